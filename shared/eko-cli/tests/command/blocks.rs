//! Tests of `block`, `unblock` and `blocked`.

use eko_local::server::{BoundServer, ServerOptions};
use serde_json::json;

use super::devices::further;
use super::people::{signed_in, text};
use super::talking::two_on;
use super::test_home::server;

#[tokio::test]
async fn a_person_is_blocked_listed_and_unblocked() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    bob.eko(&["send", "@alice", "do you know me?"]).await.done();
    alice.objects(&["listen", "--once"]).await;
    let blocked = alice.eko(&["block", "@bob"]).await.done();
    assert_eq!(blocked, "@bob is blocked, on all your devices. To end that: eko unblock @bob\n");
    assert_eq!(alice.objects(&["requests"]).await, [json!(null); 0]);
    bob.eko(&["send", "@alice", "can you hear me?"]).await.done();
    assert_eq!(alice.objects(&["listen", "--once"]).await, [json!(null); 0]);
    let [listed] = <[_; 1]>::try_from(alice.objects(&["blocked"]).await).unwrap();
    assert_eq!(text(&listed, "object"), format!("{server}/user/bob"));
    assert_eq!((&listed["type"], &listed["server"]), (&json!("block"), &json!(true)));
    let refused = alice.fails(&["send", "@bob", "no"]).await;
    assert_eq!(refused.code, 1);
    assert!(refused.what.starts_with("you block @bob@") && refused.next.starts_with("eko unblock @bob@"));
    let refused = alice.fails(&["groups", "create", "New", "@bob"]).await;
    assert!(refused.what.starts_with("you block @bob@") && refused.next.starts_with("eko unblock @bob@"));
    assert_eq!(alice.objects(&["groups"]).await, [json!(null); 0]);
    let unblocked = alice.eko(&["unblock", "@bob"]).await.done();
    assert_eq!(unblocked, "@bob is no longer blocked.\n");
    assert_eq!(alice.eko(&["blocked"]).await.done(), "");
    bob.eko(&["send", "@alice", "and now?"]).await.done();
    assert_eq!(alice.hears().await, ["and now?"]);
}

#[tokio::test]
async fn a_domain_is_blocked_and_what_is_no_party_is_named() {
    let server = server().await;
    let alice = signed_in(&server, "alice").await;
    let blocked = alice.object(&["block", "Spam.Example"]).await;
    assert_eq!(blocked, json!({ "type": "blocked", "object": "https://spam.example", "told": true }));
    let shown = alice.eko(&["blocked"]).await.done();
    assert!(shown.trim_end().ends_with("  everybody at spam.example"), "{shown}");
    alice.eko(&["unblock", "spam.example"]).await.done();
    assert_eq!(alice.eko(&["blocked"]).await.done(), "");
    for whom in ["@alice", server.as_str(), "no name", "https://spam.example/"] {
        let refused = alice.fails(&["block", whom]).await;
        assert_eq!(refused.code, 2, "{whom}: {}", refused.what);
        assert!(!refused.what.starts_with("is ") && !refused.next.is_empty(), "{whom}: {}", refused.what);
    }
}

/// Nothing is said to be blocked, or to be blocked no longer, that is not there.
#[tokio::test]
async fn a_name_that_is_nobodys_is_neither_blocked_nor_unblocked() {
    let server = BoundServer::bind(&ServerOptions::default()).await.unwrap();
    let origin = server.origin.to_string();
    let running = tokio::spawn(server.run(std::future::pending()));
    let alice = signed_in(&origin, "alice").await;
    let host = &origin["http://".len()..];
    for nobody in ["@nosuch".to_owned(), format!("@nosuch@{host}")] {
        let failure = alice.fails(&["block", &nobody]).await;
        assert_eq!(
            (failure.code, failure.what),
            (2, format!("there is no @nosuch@{host}; nobody is blocked"))
        );
        let address = format!("check the name; eko block {origin}/user/nosuch blocks that address");
        assert!(failure.next.starts_with(&address), "{}", failure.next);
    }
    for whom in ["@nosuch", "@bob@b.example", "spam.example", "https://b.example/user/eve"] {
        let failure = alice.fails(&["unblock", whom]).await;
        assert!(failure.what.ends_with(" is not blocked, so there is nothing to end"), "{}", failure.what);
        assert_eq!((failure.code, &*failure.next), (2, "eko blocked"));
    }
    assert_eq!(alice.eko(&["blocked"]).await.done(), "");
    // Whoever is out of reach, or has gone, can be blocked all the same.
    let local = ["--local-server", "http://localhost:9"];
    let away = alice.fails(&[&["block", "@eve@localhost:9"][..], &local].concat()).await;
    assert_eq!(away.code, 4, "{}", away.what);
    assert!(away.what.ends_with("; nobody is blocked"), "{}", away.what);
    assert!(away.next.contains("eko block http://localhost:9/user/eve blocks"), "{}", away.next);
    for address in ["http://localhost:9/user/eve".to_owned(), format!("{origin}/user/nosuch")] {
        alice.eko(&["block", &address]).await.done();
    }
    alice.eko(&["block", "spam.example"]).await.done();
    let with_all = alice.fails(&["unblock", "@eve@spam.example"]).await;
    assert_eq!(with_all.next, "eko unblock spam.example", "{}", with_all.what);
    alice.eko(&["unblock", "@eve@localhost:9"]).await.done();
    alice.eko(&["unblock", "@nosuch"]).await.done();
    running.abort();
    running.await.unwrap_err();
    let blocked = alice.eko(&["block", "@carol"]).await;
    assert!(blocked.err.contains("Your server does not say whether there is @carol"), "{blocked:?}");
    assert!(blocked.done().contains("@carol is blocked"));
}

/// Another device has ended the block, and this one has not listened since.
#[tokio::test]
async fn what_another_device_has_unblocked_is_not_listed() {
    let server = server().await;
    let alice = signed_in(&server, "alice").await;
    let second = further(&alice, &server).await;
    alice.eko(&["block", "spam.example"]).await.done();
    assert_eq!(second.objects(&["blocked"]).await.len(), 1);
    second.eko(&["listen", "--once"]).await.done();
    alice.eko(&["unblock", "spam.example"]).await.done();
    let listed = second.eko(&["blocked"]).await;
    assert_eq!((&*listed.out, &*listed.err, listed.code), ("", "", 0));
}

/// The reason for which a list may be out of date is said once, and is the right one.
#[tokio::test]
async fn a_list_of_blocks_says_why_the_server_was_not_asked() {
    let server = server().await;
    let alice = signed_in(&server, "alice").await;
    let second = further(&alice, &server).await;
    alice.eko(&["block", "spam.example"]).await.done();
    second.eko(&["listen", "--once"]).await.done();
    alice.eko(&["logout"]).await.done();
    let shown = alice.eko(&["blocked"]).await;
    assert!(shown.out.ends_with("  everybody at spam.example, on this device\n"), "{shown:?}");
    let due =
        "eko: your server's list was not read, so this is what this device has: this device is signed out\n";
    assert!(shown.err.starts_with(due) && shown.code == 0, "{shown:?}");
    alice.eko(&["login", "alice"]).await.done();
    let id = second.object(&["whoami"]).await;
    alice.eko(&["devices", "revoke", text(&id, "device"), "--yes"]).await.done();
    let shown = second.eko(&["blocked"]).await;
    assert!(shown.out.ends_with("  everybody at spam.example, on this device\n"), "{shown:?}");
    assert_eq!((shown.code, shown.err.matches("eko: ").count()), (1, 1), "{shown:?}");
    assert!(shown.err.starts_with("eko: this device was turned away or revoked"), "{shown:?}");
}

/// Nothing is kept of what is typed to somebody who is blocked, so the way out is not in the history.
#[tokio::test]
async fn a_chat_with_somebody_who_is_blocked_names_the_way_out() {
    let server = server().await;
    let [alice, _bob] = two_on(&server).await;
    alice.eko(&["block", "@bob"]).await.done();
    let failed = alice.eko_reading(&["chat", "@bob"], "one\ntwo\n").await;
    assert_eq!((failed.code, failed.err.matches("nothing is kept").count()), (1, 2), "{failed:?}");
    let end = failed.err.rsplit_once("eko: not everything that you wrote was sent\n").unwrap().1;
    assert!(end.starts_with("Next: eko unblock @bob@"), "{end}");
    assert_eq!(alice.objects(&["history"]).await.len(), 0);
}

/// Somebody who has deleted their account is blocked in one line, whether they were known or not, here and on
/// another server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_whose_account_was_deleted_is_blocked_and_said_to_have_gone() {
    let (here, there) = (server().await, server().await);
    let [alice, bob] = two_on(&here).await;
    let (carol, dave) = (signed_in(&here, "carol").await, signed_in(&there, "dave").await);
    let host = |server: &str| server.trim_start_matches("http://").to_owned();
    bob.eko(&["send", "@alice", "hello"]).await.done();
    alice.eko(&["listen", "--once"]).await.done();
    for (home, name, server) in [(&bob, "bob", &here), (&carol, "carol", &here), (&dave, "dave", &there)] {
        home.eko(&["account", "delete", "--yes", &format!("{name}@{}", host(server))]).await.done();
    }
    let his = format!("@dave@{}", host(&there));
    for (whom, actor) in [("@carol", format!("{here}/user/carol")), (&*his, format!("{there}/user/dave"))] {
        let local = ["--local-server", &there];
        let shown = alice.eko(&[&["block", whom][..], &local].concat()).await;
        assert_eq!(shown.err, "", "{whom}");
        let handle = if whom == his { his.clone() } else { format!("@carol@{}", host(&here)) };
        let said = format!(
            "The account of {handle} was deleted, so nothing more comes. {whom} is blocked all the same, on all your \
             devices. To end that: eko unblock {whom}\n"
        );
        assert_eq!(shown.done(), said);
        alice.eko(&["unblock", whom]).await.done();
        let object = alice.object(&[&["block", whom][..], &local].concat()).await;
        assert_eq!(object, json!({ "type": "blocked", "object": actor, "told": true, "deleted": true }));
    }
    // Whom she knows is blocked without asking.
    let known = alice.eko(&["block", "@bob"]).await.done();
    assert!(known.contains("@bob is blocked") && !known.contains('{'), "{known}");
}

#[tokio::test]
async fn who_may_write_is_shown_and_changed() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    assert_eq!(alice.eko(&["settings"]).await.done(), "Everyone may write to you.\n");
    let shown = alice.eko(&["settings", "--who-may-write", "nobody"]).await.done();
    assert_eq!(shown, "Those whom you know may write to you, and nobody else.\n");
    bob.eko(&["send", "@alice", "do you know me?"]).await.done();
    assert_eq!(alice.objects(&["listen", "--once"]).await, [json!(null); 0]);
    let shown = alice.object(&["settings", "--who-may-write", "everyone"]).await;
    assert_eq!(shown, json!({ "type": "settings", "who_may_write": "everyone" }));
    assert_eq!(alice.fails(&["settings", "--who-may-write", "friends"]).await.code, 2);
}
