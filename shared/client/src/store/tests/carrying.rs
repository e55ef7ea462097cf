//! Tests of what a store takes over from that of a former device, and of an account that was left.

use eko_protocol::address::Handle;

use super::*;

const OLD: &str = "https://a.example/user/alice";
const FRIEND: &str = "https://a.example/user/bob";

/// A store in a file, which is that of a device of `alice`.
fn former(folder: &Path) -> (DeviceStore, std::path::PathBuf) {
    let path = folder.join("eko.db");
    let store = DeviceStore::open(&path).unwrap();
    store
        .write(|tx| {
            tx.put("origin", b"https://a.example")?;
            tx.put("user", b"alice")
        })
        .unwrap();
    (store, path)
}

fn arrive_from_friend(store: &DeviceStore, sequences: &[u64]) {
    for n in sequences {
        let message = MessageContent {
            actor: FRIEND.to_owned(),
            conversation: FRIEND.to_owned(),
            ..arrival(&format!("m{n}"), "d", Some(*n))
        };
        store.write(|tx| tx.store_arrival(&message, 0)).unwrap();
    }
    store.write(|tx| tx.place(1_000_000, 0)).unwrap();
}

/// Returns the ids of all messages in order, each with the number of those that are missing before it.
fn history(store: &DeviceStore) -> Vec<(String, u64)> {
    let history = store.read(|tx| tx.history(None, 100)).unwrap();
    history.into_iter().map(|message| (message.content.id, message.missing_before)).collect()
}

#[test]
fn a_new_device_keeps_the_moves_and_handles_of_people() {
    let folder = tempfile::tempdir().unwrap();
    let (store, path) = former(folder.path());
    let handle = Handle::parse("@bob@example.org").unwrap();
    store
        .write(|tx| {
            tx.note_followed(FRIEND, "https://b.example/user/robert")?;
            tx.keep_profile(FRIEND, &KeptProfile { handle: Some(handle.clone()), ..KeptProfile::default() })
        })
        .unwrap();
    let new = DeviceStore::in_memory().unwrap();
    new.carry_over(FormerDevice { store: &path, actor: OLD, is_reset: false }).unwrap();
    new.read(|tx| {
        assert_eq!(tx.moved_to(FRIEND)?.as_deref(), Some("https://b.example/user/robert"));
        assert_eq!(tx.actor_with_handle(&handle)?.as_deref(), Some(FRIEND));
        Ok::<_, DeviceStoreError>(())
    })
    .unwrap();
}

/// The old device may have been shown anything about the new account.
#[test]
fn a_store_takes_over_nothing_about_its_own_account() {
    let (folder, new_actor) = (tempfile::tempdir().unwrap(), "https://b.example/user/alina");
    let (old, path) = former(folder.path());
    old.write(|tx| {
        tx.note_accepted(new_actor)?;
        tx.keep_notice(new_actor, &KeptNotice::Moved(FRIEND.to_owned()))?;
        tx.note_followed(new_actor, FRIEND)
    })
    .unwrap();
    let former = FormerDevice { store: &path, actor: OLD, is_reset: true };
    let new = DeviceStore::in_memory().unwrap();
    new.carry_over_to_move(former).unwrap();
    new.write(|tx| {
        tx.put("origin", b"https://b.example")?;
        tx.put("user", b"alina")?;
        tx.forget_carried_self()
    })
    .unwrap();
    for is_brought_over in [false, true] {
        if is_brought_over {
            new.bring_over(former).unwrap();
        }
        let (moved, contacts) =
            new.read(|tx| Ok::<_, DeviceStoreError>((tx.moved_to(new_actor)?, tx.contacts()?))).unwrap();
        assert_eq!((moved, contacts), (None, Vec::new()));
        assert_eq!(new.read(|tx| tx.kept_notices()).unwrap().len(), 0);
    }
}

#[test]
fn what_is_brought_over_has_its_place_and_fills_gaps() {
    let folder = tempfile::tempdir().unwrap();
    let (old, path) = former(folder.path());
    arrive_from_friend(&old, &[1, 2]);
    let former = FormerDevice { store: &path, actor: OLD, is_reset: true };
    let new = DeviceStore::in_memory().unwrap();
    new.carry_over(former).unwrap();
    arrive_from_friend(&old, &[3, 5]);
    arrive_from_friend(&new, &[7]);
    let pair = |id: &str, missing| (id.to_owned(), missing);
    assert_eq!(history(&new), [pair("m1", 0), pair("m2", 0), pair("m7", 4)]);
    for brought in [2, 0] {
        assert_eq!(new.bring_over(former).unwrap(), brought);
        let due = [pair("m1", 0), pair("m2", 0), pair("m3", 0), pair("m5", 1), pair("m7", 1)];
        assert_eq!(history(&new), due);
    }
    // The last ones are new to a program that shows this store.
    let unshown = new.read(|tx| tx.messages_after(None, "own", None)).unwrap();
    assert_eq!(unshown.len(), 5);
    arrive_from_friend(&new, &[6]);
    arrive_from_friend(&old, &[4]);
    assert_eq!(new.bring_over(former).unwrap(), 1);
    assert!(history(&new).iter().all(|(_, missing)| *missing == 0), "{:?}", history(&new));
}

/// The new device is of the same account, which is reset then.
#[test]
fn all_that_a_replaced_device_has_got_is_brought_over() {
    let [folder, beside] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let ((old, path), (new, _)) = (former(folder.path()), former(beside.path()));
    let former = FormerDevice { store: &path, actor: OLD, is_reset: true };
    new.carry_over(former).unwrap();
    old.write(|tx| tx.put_json("hides_typing", &true)).unwrap();
    let damaged = "INSERT INTO messages (id, actor, device, conversation, outgoing, published, received, stored, text, \
                   attachments, position) VALUES ('m', 'https://a.example/user/alice', 'd', \
                   'https://a.example/user/bob', 1, 1, 1, 1, 'text', '[]', 1); \
                   INSERT INTO envelopes (id, message, recipient, state, reason, made, due, put) \
                   VALUES ('e', 'm', 'https://a.example/user/bob', 5, 'the store was damaged, and the content is lost', \
                   1, 1, 1)";
    old.lock().execute_batch(damaged).unwrap();
    assert_eq!(new.bring_over(former).unwrap(), 1);
    assert_eq!(new.read(|tx| tx.json("hides_typing")).unwrap(), Some(true));
    // The own chain is not somebody's.
    let own = "INSERT INTO chains (actor, nodes, length, head, accepted, looked, told, confirmed) \
               VALUES ('https://a.example/user/alice', x'00', 1, 'h', 'h', 1, 1, 1)";
    new.lock().execute_batch(own).unwrap();
    let due = CarriedOver { messages: 1, people: 0, groups: 0, unsent: 1 };
    assert_eq!(new.taken_over().unwrap(), due);
}

/// Alice has decided and chosen on both devices, the last time on the new one.
#[test]
fn a_device_that_has_lived_on_brings_over_messages_alone() {
    let [folder, beside] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let ((old, path), (new, _)) = (former(folder.path()), former(beside.path()));
    old.write(|tx| tx.put("device", b"old")).unwrap();
    let former = FormerDevice { store: &path, actor: OLD, is_reset: false };
    let chain = |alarm| {
        format!(
            "INSERT OR REPLACE INTO chains (actor, nodes, length, head, accepted, alarm, looked, told, confirmed) \
             VALUES ('{FRIEND}', x'00', 1, 'h', 'a', {alarm}, 1, 1, 1)"
        )
    };
    let said = |id: &str, state| {
        format!(
            "INSERT INTO messages (id, actor, device, conversation, outgoing, published, received, stored, text, \
             attachments, position) VALUES ('{id}', '{OLD}', 'd', '{FRIEND}', 1, 1, 1, 1, 'text', '[]', 1); \
             INSERT INTO envelopes (id, message, recipient, state, made, due, put) \
             VALUES ('e{id}', '{id}', '{FRIEND}', {state}, 1, 1, 1)"
        )
    };
    old.lock().execute_batch(&format!("{}; {}", chain("'alarm'"), said("m", 1))).unwrap();
    old.write(|tx| tx.put_json("hides_typing", &true)).unwrap();
    assert_eq!(new.carry_over(former).unwrap().unsent, 1);
    // The new device says what was not sent, and its user decides.
    let lived = format!(
        "{}; DELETE FROM messages; {}; DELETE FROM account WHERE name = 'carried_unsent'",
        chain("NULL"),
        said("m", 4)
    );
    new.lock().execute_batch(&lived).unwrap();
    new.write(|tx| tx.put_json("hides_typing", &false)).unwrap();
    let declined = format!("INSERT INTO decisions (actor, declined) VALUES ('{FRIEND}', 7)");
    old.lock().execute_batch(&format!("{declined}; {}", said("late", 1))).unwrap();
    for brought in [1, 0] {
        assert_eq!(new.bring_messages_over(former).unwrap(), brought);
        let unsent: Vec<_> = new.read(|tx| tx.unsent()).unwrap().into_iter().map(|it| it.id).collect();
        assert_eq!(unsent, ["late"]);
    }
    let count = |sql: &str| new.lock().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM chains WHERE alarm IS NULL"), 1);
    assert_eq!(count("SELECT count(*) FROM decisions"), 0);
    assert_eq!(new.read(|tx| tx.json("hides_typing")).unwrap(), Some(false));
    // Nor is anything said twice by a device that is new, and has said some of it.
    new.bring_over(former).unwrap();
    let unsent: Vec<_> = new.read(|tx| tx.unsent()).unwrap().into_iter().map(|it| it.id).collect();
    assert_eq!(unsent, ["late"]);
}

/// The former store could not be read when the new device was made, and what is brought over later
/// is all of it.
#[test]
fn what_is_taken_over_late_stands_before_what_has_come_since() {
    for lives in [false, true] {
        let [folder, beside] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let ((old, path), (new, _)) = (former(folder.path()), former(beside.path()));
        arrive_from_friend(&old, &[1, 2]);
        old.write(|tx| {
            tx.put("device", b"old")?;
            tx.put_json("hides_typing", &true)
        })
        .unwrap();
        let of = |actor| FormerDevice { store: &path, actor, is_reset: false };
        new.carry_over(of(FRIEND)).unwrap_err();
        if lives {
            arrive_from_friend(&new, &[4]);
        }
        let brought = match lives {
            true => new.bring_messages_over(of(OLD)),
            false => new.bring_over(of(OLD)),
        };
        assert_eq!(brought.unwrap(), 2);
        assert_eq!(new.read(|tx| tx.json("hides_typing")).unwrap(), Some(true));
        if !lives {
            arrive_from_friend(&new, &[4]);
        }
        arrive_from_friend(&old, &[3]);
        assert_eq!(new.bring_messages_over(of(OLD)).unwrap(), 1);
        let due = ["m1", "m2", "m3", "m4"].map(|id| (id.to_owned(), 0));
        assert_eq!(history(&new), due, "{lives}");
    }
}

/// Only the account to which a message was sent can report it, however often the user has moved since.
#[test]
fn evidence_names_the_account_that_it_came_to() {
    let folders = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (old, path) = former(folders[0].path());
    arrive_from_friend(&old, &[1]);
    let kept = "INSERT INTO evidence VALUES ('https://a.example/user/bob', 'm1', '{\"eko:evidence\":{\"tag\":\"x\"}}'); \
                INSERT INTO held_evidence VALUES (1, '{\"eko:evidence\":{}}'), (2, 'damaged')";
    old.lock().execute_batch(kept).unwrap();
    let next_path = folders[1].path().join("eko.db");
    let next = DeviceStore::open(&next_path).unwrap();
    next.carry_over(FormerDevice { store: &path, actor: OLD, is_reset: true }).unwrap();
    next.write(|tx| {
        tx.put("origin", b"https://b.example")?;
        tx.put("user", b"alina")
    })
    .unwrap();
    let last = DeviceStore::in_memory().unwrap();
    let from_next = FormerDevice { store: &next_path, actor: "https://b.example/user/alina", is_reset: true };
    last.carry_over(from_next).unwrap();
    let texts = |store: &DeviceStore| {
        let sql = "SELECT flag FROM evidence UNION ALL SELECT flag FROM held_evidence";
        let connection = store.lock();
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).unwrap();
        rows.collect::<Result<Vec<_>, _>>().unwrap()
    };
    let due = [
        r#"{"eko:evidence":{"tag":"x","to":"https://a.example/user/alice"}}"#,
        r#"{"eko:evidence":{"to":"https://a.example/user/alice"}}"#,
        "damaged",
    ];
    assert_eq!(texts(&next), due);
    assert_eq!(texts(&last), due);
    // What comes later is brought over in the same way.
    arrive_from_friend(&old, &[2]);
    let later = "INSERT INTO evidence VALUES ('https://a.example/user/bob', 'm2', '{\"eko:evidence\":{}}')";
    old.lock().execute_batch(later).unwrap();
    next.bring_over(FormerDevice { store: &path, actor: OLD, is_reset: true }).unwrap();
    assert_eq!(texts(&next)[1], due[1]);
}
