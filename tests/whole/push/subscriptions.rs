//! Subscriptions: who may have one, what they may look like, and what ends them.

use eko_client::{Auth, Body, Device, Exchange};
use eko_testkit::{Browser, CallFault, ChainChanges as _, DirectTransport, World, lose_each_answer, refusal};
use http::Method;
use serde_json::{Value, json};

use super::PushScene;

/// Posts a subscription and returns the answer: a status, with the problem if there is one.
async fn post(device: &Device<DirectTransport>, user: &str, body: &Value) -> String {
    let path = format!("/user/{user}/push");
    let answer = device.call(Method::POST, &path, Body::Json(body), Auth::Device).await.unwrap();
    if answer.status.is_success() { answer.status.to_string() } else { refusal(&answer) }
}

#[tokio::test]
async fn the_capabilities_have_the_key_to_subscribe_with() {
    let world = World::new().await;
    let bob = world.user("bob").await;
    let answer = bob.call(Method::GET, "/.well-known/ecp", Body::Empty, Auth::Nobody).await.unwrap();
    assert_eq!(answer.json().unwrap()["vapid"].as_str().unwrap().len(), 87);

    let without = World::with(|config| (config.push, config.vapid_key) = (None, None)).await;
    let bob = without.user("bob").await;
    let answer = bob.call(Method::GET, "/.well-known/ecp", Body::Empty, Auth::Nobody).await.unwrap();
    assert_eq!(answer.json().unwrap().get("vapid"), None);
    let body = Browser::at("https://push.example/push/1").subscription();
    assert_eq!(post(&bob, "bob", &body).await, "404 not-found");
}

#[tokio::test]
async fn endpoints_pass_the_address_guard_and_keys_have_their_form() {
    let scene = PushScene::new().await;
    let good = scene.site.browser("2").subscription();
    let with = |member: &str, value: Value| {
        let mut body = good.clone();
        *body.pointer_mut(member).unwrap() = value;
        body
    };
    for endpoint in [
        "",
        "not a URL",
        "http://push.example/push/1",
        "https://127.0.0.1/push/1",
        "https://2130706433/",
        "https://[::1]/",
        "https://169.254.169.254/latest/",
        "https://localhost/",
        "https://printer.local/",
        "https://intranet/",
        "https://u:p@push.example/",
        "ftp://push.example/",
        &format!("https://push.example/{}", "x".repeat(1024)),
    ] {
        let told = post(&scene.absent, "bob", &with("/endpoint", json!(endpoint))).await;
        assert_eq!(told, "422 invalid #/endpoint", "{endpoint}");
    }
    for (pointer, value) in [
        ("/endpoint", json!(7)),
        ("/keys", json!([])),
        ("/keys/p256dh", json!("AAAA")),
        ("/keys/auth", json!("not base64")),
    ] {
        let told = post(&scene.absent, "bob", &with(pointer, value)).await;
        assert_eq!(told, format!("422 invalid #{pointer}"));
    }
    assert_eq!(post(&scene.absent, "bob", &json!([])).await, "422 invalid #");
    // A subscription that is refused leaves the earlier one.
    scene.send().await;
    assert_eq!(scene.site.requests(), 1);
}

#[tokio::test]
async fn only_an_active_device_that_is_signed_in_has_a_subscription_of_its_own() {
    let scene = PushScene::new().await;
    let body = scene.site.browser("2").subscription();
    assert_eq!(post(&scene.alice, "bob", &body).await, "403 not-owner");
    let pending = scene.world.pending(&scene.bob, "three").await;
    assert_eq!(post(&pending, "bob", &body).await, "403 device-pending");
    scene.bob.revoke(scene.absent.id()).await.unwrap();
    assert_eq!(post(&scene.absent, "bob", &body).await, "401 device-revoked");
    let token = scene.bob.tokens().unwrap().access;
    scene.bob.logout().await.unwrap();
    let url = format!("{}/user/bob/push", scene.bob.origin());
    let transport = scene.world.transport();
    let answer = Exchange::send(&transport, Method::POST, &url, Body::Json(&body), Some(&token)).await;
    assert_eq!(refusal(&answer.unwrap()), "401 unauthenticated");
    scene.world.deliver().await;
    scene.world.erase().await;
}

#[tokio::test]
async fn a_device_has_one_subscription_the_last_one() {
    let scene = PushScene::new().await;
    scene.subscribe(&scene.absent, &scene.site.browser("2")).await;
    scene.send().await;
    let [message] = <[_; 1]>::try_from(scene.site.taken()).unwrap();
    assert_eq!(message.id, "2");
    scene.unsubscribe(&scene.absent).await;
    scene.unsubscribe(&scene.absent).await;
    scene.absent.fetch().await.unwrap();
    scene.send().await;
    assert!(scene.site.taken().is_empty());
}

#[tokio::test]
async fn subscriptions_count_in_the_budget_of_the_account() {
    let scene = PushScene::on(World::with(|config| config.limits.account_budget = 4).await).await;
    let body = scene.site.browser("2").subscription();
    let mut told = Vec::new();
    for _ in 0..4 {
        told.push(post(&scene.absent, "bob", &body).await);
    }
    let done = "204 No Content";
    assert_eq!(told, [done, done, done, "429 too-many"]);
    scene.world.advance(60_000);
    assert_eq!(post(&scene.absent, "bob", &body).await, done);
}

/// An order that is under way finds that the device is not there any more.
#[tokio::test]
async fn revocation_and_logout_end_pushes_at_once() {
    for is_revoked in [true, false] {
        let scene = PushScene::new().await;
        scene.world.send(&scene.alice, &[&scene.bob, &scene.absent]).await;
        scene.world.deliver().await;
        match is_revoked {
            true => drop(scene.bob.revoke(scene.absent.id()).await.unwrap()),
            false => scene.absent.logout().await.unwrap(),
        }
        scene.world.push().await;
        assert_eq!(scene.site.requests(), 0);
        scene.world.deliver().await;
        scene.world.erase().await;
        // Nothing is left of the subscription: no item, and no state that the next delivery reads.
        let items = scene.world.stored().await.items;
        assert!(items.values().all(|item| !item.contains("push.example")), "{items:#?}");
        assert!(items.keys().all(|(_, sort)| sort != "PUSH"), "{items:#?}");
        scene.world.advance(1_000);
        assert_eq!(scene.world.push().await, 0);
    }
}

#[tokio::test]
async fn a_logout_removes_the_subscription() {
    let scene = PushScene::new().await;
    scene.absent.logout().await.unwrap();
    scene.absent.sign_in_again(&scene.world.id_token(&scene.absent).await).await.unwrap();
    scene.send().await;
    assert_eq!(scene.site.requests(), 0);
}

/// The process dies after it has ended the session, and the device does not log out again. It has no
/// subscription when it signs in again, and its old socket ends with the access token.
#[tokio::test]
async fn a_logout_whose_process_dies_has_ended_the_subscription() {
    let scene = PushScene::on(World::live().await).await;
    let mut socket = scene.world.connect(&scene.absent).await.unwrap();
    scene.world.calls.reset();
    // The first call reads the token.
    scene.world.calls.fail_at(1, CallFault::ProcessDies);
    assert!(scene.world.calls.until_death(scene.absent.logout()).await.is_none());
    assert!(scene.world.stored().await.items.keys().all(|(_, sort)| sort != "PUSH"));
    scene.absent.sign_in_again(&scene.world.id_token(&scene.absent).await).await.unwrap();
    scene.world.advance(900_000);
    scene.alice.refresh().await.unwrap();
    scene.send().await;
    assert_eq!(scene.site.requests(), 0);
    assert_eq!(socket.frames().last().unwrap()["reason"], "token-expired");
    assert!(socket.is_closed());
}

#[tokio::test]
async fn each_answer_is_lost_once_while_a_device_subscribes() {
    lose_each_answer(
        PushScene::new,
        |scene| &scene.world.calls,
        async |scene, _| {
            let body = scene.site.browser("2").subscription();
            match post(&scene.absent, "bob", &body).await.as_str() {
                "204 No Content" => Ok(()),
                other => Err(other.to_owned()),
            }
        },
        async |scene, run| {
            scene.send().await;
            let taken = scene.site.taken();
            assert_eq!(taken.iter().map(|message| message.id.as_str()).collect::<Vec<_>>(), ["2"], "{run}");
        },
    )
    .await;
}

/// A push is sent once, or twice if the process died after it had been sent: the service then
/// replaces the first one, which has the same topic.
#[tokio::test]
async fn each_answer_is_lost_once_while_a_push_is_sent() {
    lose_each_answer(
        async || {
            let scene = PushScene::new().await;
            scene.world.send(&scene.alice, &[&scene.bob, &scene.absent]).await;
            scene.world.deliver().await;
            scene
        },
        |scene| &scene.world.calls,
        async |scene, attempt| {
            if attempt > 0 {
                scene.world.advance(90_000);
            }
            scene.world.push().await;
            Ok(())
        },
        async |scene, run| {
            scene.world.advance(90_000);
            scene.world.push().await;
            let taken = scene.site.taken().len();
            assert!((1..=2).contains(&taken), "{run}: {taken}");
            scene.absent.fetch().await.unwrap();
            scene.send().await;
            assert_eq!(scene.site.taken().len(), 1, "{run}");
        },
    )
    .await;
}

/// Whatever is lost of a fetch, the next message leads to a push.
#[tokio::test]
async fn each_answer_is_lost_once_while_a_device_fetches_after_a_push() {
    lose_each_answer(
        async || {
            let scene = PushScene::new().await;
            scene.send().await;
            scene
        },
        |scene| &scene.world.calls,
        async |scene, _| match scene.absent.fetch().await {
            Ok(page) if page.entries.len() == 1 => Ok(()),
            other => Err(format!("{other:?}")),
        },
        async |scene, run| {
            assert_eq!(scene.site.taken().len(), 1, "{run}");
            scene.send().await;
            assert_eq!(scene.site.taken().len(), 1, "{run}");
        },
    )
    .await;
}

/// A refresh token of a sign-in that was followed by another one says nothing of that one.
#[tokio::test]
async fn an_old_refresh_token_ends_no_pushes_of_a_later_sign_in() {
    let scene = PushScene::new().await;
    let old = scene.absent.tokens();
    scene.absent.sign_in_again(&scene.world.id_token(&scene.absent).await).await.unwrap();
    let subscription = scene.site.browser("2").subscription();
    assert_eq!(post(&scene.absent, "bob", &subscription).await, "204 No Content");
    let new = scene.absent.tokens();
    scene.absent.set_tokens(old);
    scene.absent.logout().await.unwrap();
    scene.absent.set_tokens(new);
    scene.send().await;
    assert_eq!(scene.site.taken().len(), 1);
}

/// Whoever has an access token of a device can subscribe and connect in its place. Both end when the
/// device signs in again.
#[tokio::test]
async fn a_new_sign_in_ends_the_subscription_and_the_sockets() {
    let scene = PushScene::on(World::live().await).await;
    let mut socket = scene.world.connect(&scene.absent).await.unwrap();
    scene.absent.sign_in_again(&scene.world.id_token(&scene.absent).await).await.unwrap();
    let own = scene.world.connect(&scene.absent).await.unwrap();
    scene.world.deliver().await;
    assert_eq!(socket.frames().last().unwrap()["reason"], "token-expired");
    assert!(socket.is_closed() && !own.is_closed());
    own.close().await;
    scene.send().await;
    assert_eq!(scene.site.requests(), 0);
}
