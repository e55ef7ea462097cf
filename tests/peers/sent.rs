//! Requests that our server signs, as other libraries verify them.

use crate::local_server::{LocalServer, envelope_id, send};
use crate::peer::Peer;
use crate::{content, create};
use serde_json::Value;

/// Returns the POSTs in the log after the first `seen` entries: the scheme, and true if it was
/// verified.
fn knocks(log: &[Value], seen: usize) -> Vec<(&str, bool)> {
    let posts = log.iter().skip(seen).filter(|entry| entry["method"] == "POST");
    posts.map(|entry| (entry["scheme"].as_str().unwrap(), entry["verified"] == true)).collect()
}

/// Sends two envelopes to a peer. `first` is the scheme and verdict of each knock for the first
/// envelope, `then` those for the second.
async fn exchange(arguments: &[&str], first: &[(&str, bool)], then: &[(&str, bool)]) {
    let (here, peer) = (LocalServer::start().await, Peer::start("peer.py", arguments).await);
    let alice = here.user("alice").await;
    let (actor, device) = (alice.actor(), alice.address());
    let mut seen = 0;
    for due in [first, then] {
        let id = envelope_id(&alice.actor());
        let sent = create((&actor, &device), &peer.actor(), &[peer.device()], &id);
        let (status, answer) = send(&alice, &sent).await;
        let log = peer.log().await;
        assert_eq!(status, 201, "{answer:#} {log:#?}");
        assert_eq!(knocks(&log, seen), due, "{log:#?}");
        let got = log.last().unwrap();
        assert_eq!(got["owner"], actor);
        let activity = &got["activity"];
        assert_eq!((&activity["type"], &activity["id"]), (&"Create".into(), &answer["id"]));
        assert_eq!(activity["object"]["id"], id);
        assert_eq!(activity["object"]["messages"][0]["to"], peer.device());
        assert_eq!(activity["object"]["messages"][0]["content"], content(&peer.device()));
        seen = log.len();
    }
    here.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rfc9421_is_verified_by_http_message_signatures() {
    exchange(&[], &[("rfc9421", true)], &[("rfc9421", true)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cavage_is_verified_by_bovine_where_rfc9421_is_refused_and_remembered() {
    let first = [("rfc9421", false), ("cavage", true)];
    exchange(&["--only", "cavage"], &first, &[("cavage", true)]).await;
}

/// The peer shows its actor only to signed requests, and reads one scheme only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_fetches_are_verified_too() {
    for (only, due) in
        [("rfc9421", vec![("rfc9421", true)]), ("cavage", vec![("rfc9421", false), ("cavage", true)])]
    {
        let here = LocalServer::start().await;
        let peer = Peer::start("peer.py", &["--secure", "--only", only]).await;
        let alice = here.user("alice").await;
        let sent = create(
            (&alice.actor(), &alice.address()),
            &peer.actor(),
            &[peer.device()],
            &envelope_id(&alice.actor()),
        );
        assert_eq!(send(&alice, &sent).await.0, 201);
        let log = peer.log().await;
        let (gets, posts): (Vec<Value>, Vec<Value>) =
            log.into_iter().partition(|entry| entry["method"] == "GET");
        let seen = |entries: &[Value]| -> Vec<(String, bool)> {
            let seen =
                |entry: &Value| (entry["scheme"].as_str().unwrap().to_owned(), entry["verified"] == true);
            entries.iter().map(seen).collect()
        };
        let due: Vec<(String, bool)> = due.iter().map(|(scheme, ok)| ((*scheme).to_owned(), *ok)).collect();
        assert_eq!(seen(&gets), due, "{gets:#?}");
        assert_eq!(gets.last().unwrap()["owner"], here.origin.server_actor());
        assert_eq!(seen(&posts), due, "{posts:#?}");
        here.end().await;
    }
}
