//! Tests of `devices`: a further device is listed, compared, approved, revoked and turned away.

use super::people::{ReportedFailure, signed_in, text};
use super::test_home::{TestHome, server};

/// A device of Alice's that waits for approval.
struct WaitingDevice {
    home: TestHome,
    id: String,
    fingerprint: String,
}

async fn waiting(server: &str) -> WaitingDevice {
    let home = TestHome::new();
    let me = home.object(&["login", "alice", "--server", server, "--device-name", "my \u{1b}desk"]).await;
    assert_eq!(text(&me, "status"), "pending");
    let [id, fingerprint] = ["device", "fingerprint"].map(|member| text(&me, member).to_owned());
    WaitingDevice { home, id, fingerprint }
}

#[tokio::test]
async fn a_further_device_is_approved_by_its_fingerprint() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    assert_eq!(first.fails(&["devices", "approve"]).await.what, "no device waits for approval");
    let WaitingDevice { home: second, id, fingerprint } = waiting(&server).await;
    let bob = signed_in(&server, "bob").await;

    let listed = first.objects(&["devices"]).await;
    assert_eq!((text(&listed[0], "state"), &listed[0]["this"]), ("active", &true.into()));
    assert_eq!((text(&listed[1], "state"), text(&listed[1], "name")), ("waiting", "my \u{1b}desk"));
    assert_eq!(text(&listed[1], "fingerprint"), fingerprint);
    let shown = first.eko(&["devices", "list"]).await.done();
    assert!(
        shown.contains(&fingerprint) && shown.contains(", this one") && !shown.contains('\u{1b}'),
        "{shown}"
    );

    // The pending device can do nothing yet, and says what to do next.
    let ReportedFailure { code, what, next } = second.fails(&["send", "@bob", "Hello"]).await;
    assert_eq!(code, 1, "{what}");
    assert!(next.starts_with("eko devices approve, on "), "{next}");
    assert_eq!(second.fails(&["devices", "approve"]).await.next, next);

    // Without a terminal nobody can be asked.
    let ReportedFailure { code, next, .. } = first.fails(&["devices", "approve"]).await;
    assert_eq!((code, next), (2, format!("eko devices approve {id} --fingerprint DIGITS")));
    let wrong = fingerprint.replace(char::is_numeric, "1");
    let ReportedFailure { code, what, .. } =
        first.fails(&["devices", "approve", "--fingerprint", &wrong]).await;
    assert_eq!(code, 3, "{what}");
    assert_eq!(first.objects(&["devices"]).await, listed);
    let bare = fingerprint.replace(' ', "");
    let approved = first.object(&["devices", "approve", &id[..30], "--fingerprint", &bare]).await;
    assert_eq!((text(&approved, "id"), text(&approved, "state")), (&*id, "active"));
    assert_eq!(second.eko(&["send", "@bob", "from my desk"]).await.done(), "sent\n");
    assert_eq!(bob.hears().await, ["from my desk"]);
    assert_eq!(first.fails(&["devices", "approve", &id]).await.what, "no device waits for approval");
}

#[tokio::test]
async fn the_person_is_asked_at_a_terminal() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let WaitingDevice { home: _second, id, fingerprint } = waiting(&server).await;
    let refused = first.eko_asking(&["devices", "approve"], "y\n").await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains(&fingerprint), "{}", refused.err);
    assert!(refused.err.ends_with("eko: the answer was not yes: nothing was changed\n"), "{}", refused.err);
    assert_eq!(text(&first.objects(&["devices"]).await[1], "state"), "waiting");
    first.eko_asking(&["devices", "approve"], "yes\n").await.done();
    assert_eq!(first.objects(&["devices"]).await.iter().filter(|it| it["state"] == "active").count(), 2);
    let asked = first.eko_asking(&["devices", "revoke", &id], "yes\n").await;
    assert!(asked.err.contains("neither reads nor sends any more, for good"), "{}", asked.err);
    asked.done();
    assert_eq!(first.objects(&["devices"]).await.len(), 1);
}

#[tokio::test]
async fn a_revoked_device_says_so_and_what_it_may_do() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let WaitingDevice { home: second, id, fingerprint } = waiting(&server).await;
    first.eko(&["devices", "approve", "--fingerprint", &fingerprint]).await.done();
    let ReportedFailure { code, next, .. } = first.fails(&["devices", "revoke", &id]).await;
    assert_eq!((code, next), (2, format!("eko devices revoke {id} --yes")));
    for nobodys in ["x", ""] {
        let ReportedFailure { code, what, .. } = first.fails(&["devices", "revoke", nobodys, "--yes"]).await;
        assert_eq!(
            (code, what),
            (2, format!("no device of yours whose id begins with {nobodys:?} is active"))
        );
    }
    assert_eq!(text(&first.object(&["devices", "revoke", &id, "--yes"]).await, "state"), "revoked");
    for command in [&["listen", "--once"][..], &["send", "@alice", "Hello"], &["devices"], &["keys"]] {
        let ReportedFailure { code, what, next } = second.fails(command).await;
        assert_eq!(code, 1, "{command:?}: {what}");
        assert!(
            what.starts_with("this device was revoked by another of your devices"),
            "{command:?}: {what}"
        );
        assert!(next.starts_with("eko login NAME --anew"), "{next}");
    }
}

#[tokio::test]
async fn a_device_revokes_itself_and_one_that_waits_is_turned_away() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let WaitingDevice { home: second, id, .. } = waiting(&server).await;
    let ReportedFailure { code, what, next } = first.fails(&["devices", "revoke", &id, "--yes"]).await;
    assert_eq!((code, what), (2, format!("{id} only waits for approval")));
    assert_eq!(next, format!("eko devices turn-away {id}"));
    first.eko(&["devices", "turn-away", &id]).await.done();
    assert_eq!(first.objects(&["devices"]).await.len(), 1);
    assert_eq!(second.fails(&["devices"]).await.code, 1);
    let WaitingDevice { home: third, id, fingerprint } = waiting(&server).await;
    first.eko(&["devices", "approve", "--fingerprint", &fingerprint]).await.done();
    let said = third.eko(&["devices", "revoke", &id, "--yes"]).await.done();
    assert!(said.starts_with("This device is revoked"), "{said}");
    assert_eq!(third.fails(&["listen", "--once"]).await.code, 1);
    assert_eq!(first.objects(&["devices"]).await.len(), 1);
}
