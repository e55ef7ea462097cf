//! Tests of `login --anew`, which makes another device in the place of one that cannot be used any
//! more.

use std::path::Path;

use super::people::{ReportedFailure, signed_in, text};
use super::test_home::{TestHome, server};

#[tokio::test]
async fn a_revoked_device_makes_room_for_another() {
    let server = server().await;
    let (first, second) = (signed_in(&server, "alice").await, TestHome::new());
    let login = ["login", "alice", "--server", &server, "--no-wait"];
    let waits = second.object(&login).await;
    first.eko_reading(&["devices", "approve"], text(&waits, "joiningCode")).await.done();

    // Nothing is set aside while the device can still be used.
    let anew = [&login[..], &["--anew"]].concat();
    let ReportedFailure { code, what, .. } = second.fails(&anew).await;
    assert_eq!(code, 1);
    assert!(what.ends_with("still has this device, which is signed in: nothing was set aside"), "{what}");
    first.eko(&["devices", "revoke", text(&waits, "device"), "--yes"]).await.done();
    let ReportedFailure { next, .. } = second.fails(&login).await;
    assert!(next.starts_with(&format!("eko login @{} --anew", name(&server))), "{next}");

    let made = second.object(&anew).await;
    assert_eq!(text(&made, "status"), "pending");
    assert_ne!(text(&made, "device"), text(&waits, "device"));
    let aside = Path::new(text(&made, "setAside"));
    assert_eq!(aside.parent().unwrap(), second.path().join("former"));
    assert!(aside.join("eko.db").is_file());
    let me = second.object(&["whoami"]).await;
    assert_eq!(me["device"], made["device"]);
    first.eko_reading(&["devices", "approve"], text(&made, "joiningCode")).await.done();
    second.eko(&["send", "@alice", "to myself"]).await.done();
}

/// A user whose other device was stolen must not believe that it was revoked.
#[tokio::test]
async fn a_reset_is_made_with_a_new_device_or_refused() {
    let server = server().await;
    let first = signed_in(&server, "alice").await;
    let login = ["login", "alice", "--server", &server, "--no-wait"];
    let reset = [&login[..], &["--reset", "--yes"]].concat();
    let anew = [&reset[..], &["--anew"]].concat();
    let ReportedFailure { code, what, next } = first.fails(&reset).await;
    assert_eq!(code, 1, "{what}");
    assert!(what.starts_with("nothing was reset"), "{what}");
    assert!(next.contains("--anew --reset"), "{next}");
    assert_eq!(first.objects(&["devices"]).await.len(), 1);

    // The first device is lost while another one waits.
    let second = TestHome::new();
    let waits = second.object(&login).await;
    assert_eq!(second.fails(&reset).await.code, 1);
    let again = second.object(&[&login[..], &["--anew"]].concat()).await;
    assert_eq!(text(&again, "status"), "pending");
    assert_ne!(again["device"], waits["device"]);
    let alone = second.object(&anew).await;
    assert_eq!(text(&alone, "status"), "active");
    assert_eq!(first.fails(&["devices"]).await.code, 1);
    assert_eq!(second.path().join("former").read_dir().unwrap().count(), 2);
}

#[tokio::test]
async fn a_reset_replaces_a_device_that_is_active() {
    let server = server().await;
    let (first, second) = (signed_in(&server, "alice").await, TestHome::new());
    let login = ["login", "alice", "--server", &server, "--no-wait"];
    assert_eq!(text(&second.object(&login).await, "status"), "pending");
    let before = first.object(&["whoami"]).await["device"].clone();
    let made = first.object(&[&login[..], &["--anew", "--reset", "--yes"]].concat()).await;
    assert_eq!(text(&made, "status"), "active");
    assert_ne!(made["device"], before);
    assert_eq!(second.fails(&["devices"]).await.code, 1);
    assert_eq!(first.path().join("former").read_dir().unwrap().count(), 1);
}

/// A reset cannot be undone, and it ends devices that may be in use.
#[tokio::test]
async fn a_reset_asks_and_says_what_it_has_done() {
    let server = server().await;
    let (first, second) = (signed_in(&server, "alice").await, TestHome::new());
    let login = ["login", "alice", "--server", &server, "--no-wait", "--reset"];
    let ReportedFailure { code, next, .. } = second.fails(&login).await;
    assert_eq!((code, next), (2, format!("eko login @{} --reset --yes", name(&server))));
    let asked = second.eko_asking(&login, "no\n").await;
    assert_eq!(asked.code, 1);
    assert!(asked.err.contains("A reset revokes every device of @alice"), "{}", asked.err);
    assert_eq!(first.objects(&["devices"]).await.len(), 1);
    assert_eq!(second.eko(&["login", "alice", "--yes"]).await.code, 2);

    let said = second.eko_asking(&login, "yes\n").await.done();
    assert!(
        said.ends_with(
            "\nAll your other devices are revoked. Your contacts are warned, and send nothing until they have \
             accepted this device. For each of your groups, ask an admin to remove you and to add you again; if \
             you were the only admin, begin a new group.\n"
        ),
        "{said}"
    );
    assert_eq!(first.fails(&["devices"]).await.code, 1);
}

/// With the chain hidden, a reset would silently begin another chain.
#[tokio::test]
async fn a_reset_of_a_name_that_is_free_leaves_nothing_behind() {
    let (server, home) = (server().await, TestHome::new());
    let login = ["login", "alice", "--server", &server, "--reset", "--yes"];
    let ReportedFailure { code, what, .. } = home.fails(&login).await;
    assert_eq!(code, 1);
    assert!(what.starts_with("nothing was reset: the server shows no devices"), "{what}");
    assert_eq!(home.path().join("accounts").read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_server_without_its_data_gets_another_device() {
    let (before, after) = (server().await, server().await);
    let home = signed_in(&before, "alice").await;
    // The account is moved to the other server's name, as if that were the first server without its
    // data.
    let (old, new) = (name(&before), name(&after));
    let accounts = home.path().join("accounts");
    std::fs::rename(accounts.join(&old), accounts.join(&new)).unwrap();
    let database = accounts.join(&new).join("eko.db");
    let moved = rusqlite::Connection::open(database).unwrap();
    moved.execute("UPDATE account SET value = ?1 WHERE name = 'origin'", [after.as_bytes()]).unwrap();
    drop(moved);
    let login = ["login", "alice", "--server", &after];
    let ReportedFailure { code, what, next } = home.fails(&login).await;
    assert_eq!(code, 1);
    assert!(what.starts_with("the server does not know this device any more"), "{what}");
    assert!(next.starts_with(&format!("eko login @{} --anew", name(&after))), "{next}");
    let said = home.eko(&[&login[..], &["--anew"]].concat()).await.done();
    assert!(said.contains("\nThe files of the former device are in "), "{said}");
    assert_eq!(home.path().join("former").read_dir().unwrap().count(), 1);
    assert_eq!(home.objects(&["devices"]).await.len(), 1);
}

fn name(server: &str) -> String {
    format!("alice@{}", &server["http://".len()..])
}

#[tokio::test]
async fn what_was_set_aside_comes_back_where_the_server_refuses_another() {
    let (before, after) = (server().await, server().await);
    let home = signed_in(&before, "alice").await;
    let (old, new) = (name(&before), name(&after));
    let accounts = home.path().join("accounts");
    std::fs::rename(accounts.join(&old), accounts.join(&new)).unwrap();
    let moved = rusqlite::Connection::open(accounts.join(&new).join("eko.db")).unwrap();
    moved.execute("UPDATE account SET value = ?1 WHERE name = 'origin'", [after.as_bytes()]).unwrap();
    drop(moved);
    let device = home.object(&["whoami"]).await["device"].clone();
    // Somebody else has taken the name there in the meantime.
    let eves = TestHome::new();
    let eve = super::signing_in::id_token(&eves, &after, "alice", "eve").await;
    eves.eko_reading(&["login", "alice", "--server", &after, "--id-token", "-"], &eve).await.done();
    let ReportedFailure { code, what, .. } =
        home.fails(&["login", "alice", "--server", &after, "--anew"]).await;
    assert_eq!(code, 1, "{what}");
    assert_eq!(home.object(&["whoami"]).await["device"], device);
    assert_eq!(home.path().join("former").read_dir().unwrap().count(), 0);
}
