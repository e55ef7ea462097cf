//! Actors whose inbox is another one than in the copy that this server keeps of them.

use eko_client::device::SendOutcome;
use eko_client::{Auth, Body};
use eko_protocol::activity::ReportKind;
use eko_protocol::deletion::tombstone;
use eko_testkit::{StrangerAnswer, refused};
use http::Method;
use serde_json::{Value, json};

use crate::stranger_scene::StrangerScene;
use crate::{HOUR_MS, MINUTE_MS, kinds};

const OLD_INBOX: &str = "/user/eve/inbox";
const NEW_INBOX: &str = "/actors/77/inbox";
const WEB_FINGER: &str = "/.well-known/webfinger?resource=acct%3Aeve%40eve.example";

/// Has Eve's server move her inbox: the old one gets this answer.
fn move_inbox(scene: &StrangerScene, old: StrangerAnswer) {
    let mut document = scene.eve.actor_document();
    document["inbox"] = json!(format!("https://eve.example{NEW_INBOX}"));
    document["eko:keyPackages"] = json!("https://eve.example/actors/77/keyPackages");
    scene.eve.document("/user/eve", StrangerAnswer::activity(200, &document));
    scene.eve.script(move |asked| (asked.target == OLD_INBOX).then(|| old.clone()));
}

/// Returns the number of times that Eve's document was fetched.
fn fetches(scene: &StrangerScene) -> usize {
    let is_fetch =
        |asked: &&eko_testkit::StrangerRequest| asked.method == Method::GET && asked.target == "/user/eve";
    scene.eve.asked().iter().filter(is_fetch).count()
}

/// Returns the paths of the POSTs that Eve's server received.
fn inboxes(scene: &StrangerScene) -> Vec<String> {
    scene.eve.posts().into_iter().map(|post| post.target).collect()
}

#[tokio::test]
async fn an_inbox_that_has_moved_is_found() {
    for (status, location) in [
        (404, None),
        (410, None),
        (301, Some("https://eve.example/actors/77/inbox")),
        (308, Some("https://elsewhere.example/actors/77/inbox")),
    ] {
        let scene = StrangerScene::new().await;
        assert!(matches!(scene.send(&scene.envelope()).await.unwrap(), SendOutcome::Accepted { .. }));
        let old = StrangerAnswer::status(status);
        move_inbox(&scene, location.map_or(old.clone(), |to| old.with("location", to)));
        scene.internet.advance(MINUTE_MS);
        for _ in 0..2 {
            let sent = scene.send(&scene.envelope()).await.unwrap();
            assert!(matches!(sent, SendOutcome::Accepted { .. }), "{status}: {sent:?}");
        }
        assert_eq!(inboxes(&scene), [OLD_INBOX, OLD_INBOX, NEW_INBOX, NEW_INBOX], "{status}");
        assert_eq!(fetches(&scene), 2, "{status}");
    }
}

#[tokio::test]
async fn what_waits_finds_an_inbox_that_has_moved() {
    let scene = StrangerScene::new().await;
    scene.send(&scene.envelope()).await.unwrap();
    scene.internet.unplug(scene.eve.address);
    scene.internet.advance(MINUTE_MS);
    assert!(matches!(scene.send(&scene.envelope()).await.unwrap(), SendOutcome::Queued { .. }));
    scene.internet.plug(scene.eve.address);
    move_inbox(&scene, StrangerAnswer::status(410));
    scene.internet.advance(HOUR_MS);
    scene.alice.refresh().await.unwrap();
    scene.settle().await;
    assert_eq!(kinds(&scene.a.reports(&scene.alice).await), [ReportKind::Confirm]);
    assert_eq!(inboxes(&scene), [OLD_INBOX, OLD_INBOX, NEW_INBOX]);
}

/// An actor who is gone is asked for once a minute, however many envelopes there are.
#[tokio::test]
async fn a_recipient_who_is_gone_is_looked_for_once_a_minute() {
    let scene = StrangerScene::new().await;
    scene.send(&scene.envelope()).await.unwrap();
    scene.eve.script(|asked| (asked.method == Method::POST).then(|| StrangerAnswer::status(404)));
    for (minute, expected) in [(0, 1), (1, 2), (2, 3)] {
        for _ in 0..3 {
            assert_eq!(refused(scene.send(&scene.envelope()).await), "404 not-found", "{minute}");
        }
        assert_eq!(fetches(&scene), expected, "{minute}");
        scene.internet.advance(MINUTE_MS);
    }
    // Her document is gone as well. That is kept for ten minutes, and her inbox is not asked.
    let tombstone = tombstone("https://eve.example/user/eve", "Person", 0);
    scene.eve.document("/user/eve", StrangerAnswer::activity(410, &tombstone));
    let before = scene.eve.posts().len();
    for expected in ["404 not-found", "410 user-deleted", "410 user-deleted"] {
        assert_eq!(refused(scene.send(&scene.envelope()).await), expected);
    }
    assert_eq!((fetches(&scene), scene.eve.posts().len() - before), (4, 1));
}

/// As long as the server does not say whether the actor exists, the envelope waits.
#[tokio::test]
async fn a_recipient_of_whom_the_server_says_nothing_is_not_given_up() {
    let mut scene = StrangerScene::new().await;
    scene.send(&scene.envelope()).await.unwrap();
    scene.eve.script(|asked| {
        let status = if asked.method == Method::POST { 404 } else { 503 };
        Some(StrangerAnswer::status(status))
    });
    scene.internet.advance(MINUTE_MS);
    let sent = scene.send(&scene.envelope()).await.unwrap();
    assert!(matches!(sent, SendOutcome::Queued { .. }), "{sent:?}");
    scene.a.leave_queues();
}

#[tokio::test]
async fn a_take_finds_an_inbox_that_has_moved() {
    let scene = StrangerScene::new().await;
    let link = json!({ "rel": "self", "type": "application/activity+json", "href": scene.eve.actor });
    let found = StrangerAnswer::activity(200, &json!({ "links": [link] }));
    scene.eve.document(WEB_FINGER, StrangerAnswer { media_type: "application/jrd+json", ..found });
    let mut document = scene.eve.actor_document();
    document["inbox"] = json!(format!("https://eve.example{OLD_INBOX}"));
    document["eko:keyPackages"] = json!("https://eve.example/user/eve/keyPackages");
    scene.eve.document("/user/eve", StrangerAnswer::activity(200, &document));
    let packages = |id: &str| {
        // A proxy has changed the answer.
        StrangerAnswer::activity(203, &json!({ "type": "Collection", "id": id, "items": [] }))
    };
    let take = async || {
        let activity = scene.alice.take_activity(json!("@eve@eve.example"));
        let path = "/user/alice/outbox";
        scene.alice.call(Method::POST, path, Body::Json(&activity), Auth::Device).await.unwrap()
    };
    scene.eve.answer(packages("https://eve.example/user/eve/keyPackages"));
    let taken = take().await;
    assert_eq!(taken.status, 200, "{}", String::from_utf8_lossy(&taken.body));
    move_inbox(&scene, StrangerAnswer::status(404));
    scene.internet.advance(MINUTE_MS);
    scene.eve.answer(packages("https://eve.example/actors/77/keyPackages"));
    assert_eq!(take().await.status, 200);
    let asked: Vec<(String, Value)> =
        scene.eve.posts().iter().map(|post| (post.target.clone(), post.json()["object"].clone())).collect();
    let (old, new) = (
        json!("https://eve.example/user/eve/keyPackages"),
        json!("https://eve.example/actors/77/keyPackages"),
    );
    assert_eq!(
        asked,
        [(OLD_INBOX.to_owned(), old.clone()), (OLD_INBOX.to_owned(), old), (NEW_INBOX.to_owned(), new)]
    );
}
