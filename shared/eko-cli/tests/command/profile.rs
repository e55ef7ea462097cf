//! Tests of `profile`: what people call themselves is shown beside their handles, and is no name.

use std::net::TcpListener;

use eko_local::server::{BoundServer, ServerOptions};
use serde_json::json;

use super::people::signed_in;
use super::test_home::{TestHome, server};

const PICTURE: &str = "https://pictures.example/me.JPG?v=2";

#[tokio::test]
async fn a_name_is_set_shown_beside_the_handle_and_removed() {
    let server = server().await;
    let host = server.strip_prefix("http://").unwrap();
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    assert_eq!(alice.eko(&["profile"]).await.done(), format!("@alice@{host}\n"));
    let set = ["profile", "--name", " Alice \u{201d}Bob\u{201c} ", "--avatar", PICTURE];
    assert_eq!(
        alice.eko(&set).await.done(),
        format!("@alice@{host}\n  name         \u{201c}Alice 'Bob'\u{201d}\n  avatar       {PICTURE}\n")
    );
    // Bob sees the name once he has looked, and never as a handle.
    bob.eko(&["send", "@alice", "hello"]).await.done();
    alice.eko(&["send", "@bob", "who is there?"]).await.done();
    let heard = bob.eko(&["listen", "--once"]).await.done();
    assert!(heard.contains("  @alice: who is there?"), "{heard}");
    let seen = bob.object(&["profile", "@alice"]).await;
    let icon = json!({ "type": "Image", "mediaType": "image/jpeg", "url": PICTURE });
    assert_eq!(
        seen,
        json!({
            "type": "profile", "actor": format!("{server}/user/alice"), "handle": format!("@alice@{host}"),
            "name": "Alice \u{201d}Bob\u{201c}", "icon": icon,
        })
    );
    let shown = bob.eko(&["history"]).await.done();
    assert!(shown.contains("  @alice (\u{201c}Alice 'Bob'\u{201d}): who is there?"), "{shown}");
    assert!(shown.contains("  you to @alice: hello"), "{shown}");
    let verified = bob.eko(&["verify", "@alice", "--no-qr"]).await.done();
    assert!(
        verified.contains("@alice calls themselves \u{201c}Alice 'Bob'\u{201d}, which nobody has verified.")
    );
    assert_eq!(bob.fails(&["send", "@Alice 'Bob'", "no"]).await.code, 2);
    // Each part for itself.
    let seen = alice.object(&["profile", "--no-name"]).await;
    assert_eq!((&seen["name"], &seen["icon"]), (&json!(null), &icon));
    alice.eko(&["profile", "--no-avatar", "--name", "A"]).await.done();
    assert_eq!(
        bob.eko(&["profile", "@alice"]).await.done(),
        format!("@alice@{host}\n  name         \u{201c}A\u{201d}\n")
    );
}

#[tokio::test]
async fn what_nobody_can_be_called_is_refused_here() {
    let server = server().await;
    let alice = signed_in(&server, "alice").await;
    let long = format!("https://pictures.example/{}.png", "x".repeat(9_000));
    let blank = alice.fails(&["profile", "--name", "  "]).await;
    assert_eq!(
        (&*blank.what, &*blank.next),
        ("--name has no character that can be seen", "eko profile --no-name")
    );
    for (options, what) in [
        (&["--name", ""][..], "--name has no character that can be seen"),
        (&["--name", "a\u{202e}b"], "--name has a control character"),
        (&["--name", "@bob@b.example"], "--name looks like a handle"),
        (&["--avatar", &long], "--avatar is longer than 512 bytes"),
        (&["--avatar", "http://pictures.example/me.png"], "--avatar must be an https URL"),
        (&["--avatar", "https://pictures.example/me"], "--avatar-type must be one of image/png"),
        (&["--avatar", PICTURE, "--avatar-type", "image/svg+xml"], "--avatar-type must be one of image/png"),
    ] {
        let refused = alice.fails(&[&["profile"], options].concat()).await;
        assert_eq!(refused.code, 2, "{options:?}");
        assert!(refused.what.starts_with(what), "{options:?}: {}", refused.what);
    }
    for wrong in
        [&["@bob", "--name", "x"][..], &["--name", "x", "--no-name"], &["--avatar-type", "image/png"]]
    {
        assert_eq!(alice.fails(&[&["profile"], wrong].concat()).await.code, 2, "{wrong:?}");
    }
    assert_eq!(alice.fails(&["profile", "@nosuch"]).await.code, 2);
}

/// The domain of the handles is another name of the server here.
#[tokio::test]
async fn an_account_is_shown_and_chosen_by_its_handle_at_another_domain() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (domain, host) = (format!("127.0.0.1:{port}"), format!("localhost:{port}"));
    let options = ServerOptions { port, handle_domain: Some(domain.clone()), ..ServerOptions::default() };
    tokio::spawn(BoundServer::bind(&options).await.unwrap().run(std::future::pending()));
    let (home, server, reach) = (TestHome::new(), format!("http://{host}"), format!("http://{domain}"));
    for name in ["alice", "bob"] {
        home.eko(&["login", name, "--server", &server, "--local-server", &reach]).await.done();
        let chosen = [format!("{name}@{domain}"), format!("{name}@{host}"), name.to_owned()];
        for chosen in &chosen {
            let shown = home.eko(&["whoami", "--as", chosen]).await.done();
            let due = format!("@{name}@{domain}\n  at           {server}\n  device       ");
            assert!(shown.starts_with(&due), "{chosen}: {shown}");
        }
    }
    assert_eq!(home.fails(&["whoami", "--as", "alice@example.org"]).await.code, 2);
}
