//! Tests of the authorization code flow, with an obedient browser and with others.

use std::time::Duration;

use eko_cli::oidc::{BrowserSignIn, OidcError};
use http::StatusCode;

use super::test_issuer::{TestIssuer, claims, get, parameter, sign_in};

/// The nonce of the sign-ins.
pub(crate) const NONCE: &str = "c0ffee";

pub(crate) const WAY: BrowserSignIn<'_> = BrowserSignIn {
    nonce: NONCE,
    login_hint: None,
    port: None,
    wait: Duration::from_secs(60),
    max_age: None,
};

/// Returns the address that the browser comes back to, with these parameters.
fn back(url: &str, query: &str) -> String {
    format!("{}?{query}", parameter(url, "redirect_uri"))
}

#[tokio::test]
async fn whoever_signs_in_in_the_browser_is_who_the_token_names() {
    let here = TestIssuer::start().await;
    let party = here.party().await;
    let (pages, mut shown) = tokio::sync::mpsc::unbounded_channel();
    let way = BrowserSignIn { login_hint: Some("alice"), ..WAY };
    let id_token = party.in_browser(way, |url| {
        let url = url.to_owned();
        tokio::spawn(async move {
            let page = get(&url).await;
            assert!(String::from_utf8_lossy(page.body()).contains("value=\"alice\""));
            pages.send(sign_in(&url, "alice").await).unwrap();
        });
    });
    let id_token = id_token.await.unwrap();
    let claims = claims(&id_token);
    assert_eq!(claims["preferred_username"], "alice");
    assert_eq!(claims["aud"], super::test_issuer::AUDIENCE);
    assert_eq!(claims["nonce"], NONCE);
    let page = shown.recv().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(String::from_utf8_lossy(page.body()).contains("close this window"));
}

#[tokio::test]
async fn a_development_issuer_takes_a_name() {
    let here = TestIssuer::start().await;
    let party = here.party().await;
    assert!(party.issuer().asks_for_no_password());
    let claims = claims(&party.by_name("bob", NONCE).await.unwrap());
    assert_eq!((&claims["preferred_username"], &claims["nonce"]), (&"bob".into(), &NONCE.into()));
    let refused = party.by_name("not a name", NONCE).await.unwrap_err();
    assert!(matches!(&refused, OidcError::Refused { error, .. } if error == "invalid_grant"), "{refused}");
}

#[tokio::test]
async fn each_sign_in_has_a_state_and_a_challenge_of_its_own() {
    let here = TestIssuer::start().await;
    let party = here.party().await;
    let mut seen = Vec::new();
    for _ in 0..2 {
        let mut shown = String::new();
        let way = BrowserSignIn { wait: Duration::ZERO, ..WAY };
        party.in_browser(way, |url| shown = url.to_owned()).await.unwrap_err();
        seen.extend(["state", "code_challenge"].map(|name| parameter(&shown, name)));
        assert_eq!(parameter(&shown, "code_challenge_method"), "S256");
        assert_eq!(parameter(&shown, "nonce"), NONCE);
        assert_eq!(parameter(&shown, "scope"), "openid email profile");
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
    assert!(seen.iter().all(|random| random.len() == 43));
}

/// A sign-in for a reset has to be fresh. With `max_age` the issuer asks again and states the time.
#[tokio::test]
async fn a_fresh_sign_in_can_be_asked_for() {
    let here = TestIssuer::start().await;
    let party = here.party().await;
    for (max_age, due) in [(None, None), (Some(Duration::from_secs(300)), Some("300"))] {
        let mut shown = String::new();
        let way = BrowserSignIn { wait: Duration::ZERO, max_age, ..WAY };
        party.in_browser(way, |url| shown = url.to_owned()).await.unwrap_err();
        assert_eq!(shown.contains("max_age"), due.is_some(), "{shown}");
        if let Some(due) = due {
            assert_eq!(parameter(&shown, "max_age"), due);
        }
    }
    assert!(claims(&party.by_name("bob", NONCE).await.unwrap())["auth_time"].is_i64());
}

#[tokio::test]
async fn whoever_else_knocks_changes_nothing() {
    let here = TestIssuer::start().await;
    let party = here.party().await;
    let id_token = party.in_browser(WAY, |url| {
        let url = url.to_owned();
        tokio::spawn(async move {
            for query in ["", "code=stolen", "code=stolen&state=guessed", "state=guessed&error=access_denied"]
            {
                assert_eq!(get(&back(&url, query)).await.status(), StatusCode::BAD_REQUEST, "{query}");
            }
            for path in ["/favicon.ico", "/callback", "/callback/00000000000000000000000000000000"] {
                let mut elsewhere = url::Url::parse(&back(&url, "")).unwrap();
                elsewhere.set_path(path);
                assert_eq!(get(elsewhere.as_str()).await.status(), StatusCode::NOT_FOUND, "{path}");
            }
            sign_in(&url, "alice").await;
        });
    });
    assert_eq!(claims(&id_token.await.unwrap())["preferred_username"], "alice");
}

/// Returns the error of a sign-in whose browser comes back with this query beside the state.
async fn coming_back_with(query: fn(issuer: &str) -> String) -> OidcError {
    let here = TestIssuer::start().await;
    let party = here.party().await;
    let query = query(&here.url);
    let refused = party.in_browser(WAY, |url| {
        let answer = back(url, &format!("state={}&{query}", parameter(url, "state")));
        tokio::spawn(async move { assert_eq!(get(&answer).await.status(), StatusCode::OK) });
    });
    refused.await.unwrap_err()
}

#[tokio::test]
async fn a_person_may_say_no() {
    let refused =
        coming_back_with(|iss| format!("iss={iss}&error=access_denied&error_description=not%20today")).await;
    assert_eq!(refused.to_string(), "the issuer says access_denied: not today");
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_refused() {
    for query in [
        |_: &str| "iss=https://evil.example&code=theirs".to_owned(),
        |_: &str| "code=whose".to_owned(),
        |iss: &str| format!("iss={iss}"),
    ] {
        let refused = coming_back_with(query).await;
        assert!(matches!(refused, OidcError::Untrusted(_)), "{refused}");
    }
}

#[tokio::test]
async fn a_code_that_the_issuer_did_not_give_is_no_sign_in() {
    let refused = coming_back_with(|iss| format!("iss={iss}&code=made-up")).await;
    assert!(matches!(&refused, OidcError::Refused { error, .. } if error == "invalid_grant"), "{refused}");
}

#[tokio::test]
async fn nobody_comes_back() {
    let here = TestIssuer::start().await;
    let way = BrowserSignIn { wait: Duration::from_millis(10), ..WAY };
    let refused = here.party().await.in_browser(way, |_| {}).await.unwrap_err();
    assert!(matches!(refused, OidcError::TimedOut(_)), "{refused}");
}

#[tokio::test]
async fn the_port_that_was_chosen_may_be_taken() {
    let here = TestIssuer::start().await;
    let party = here.party().await;
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port();
    let way = BrowserSignIn { port: Some(port), ..WAY };
    assert!(matches!(party.in_browser(way, |_| {}).await, Err(OidcError::Listen(_))));
}
