//! Tests of the store.

mod awaited;
mod carrying;
mod envelopes;
mod held;
mod notices;
mod numbers;
mod recovery;
mod upgrade;

use super::*;
use crate::content::tests::repeatable;

fn arrival(id: &str, device: &str, sequence: Option<u64>) -> MessageContent {
    MessageContent {
        id: id.to_owned(),
        actor: "https://a.example/user/alice".to_owned(),
        device: device.to_owned(),
        conversation: "https://a.example/user/alice".to_owned(),
        outgoing: false,
        sequence,
        published_ms: 1,
        received_ms: 1,
        text: id.to_owned(),
        attachments: Vec::new(),
        warning: None,
    }
}

fn arrive(store: &DeviceStore, device: &str, sequences: &[u64], now_ms: i64) {
    for n in sequences {
        let message = arrival(&format!("{device}{n}"), device, Some(*n));
        store.write(|tx| tx.store_arrival(&message, now_ms)).unwrap();
    }
}

/// Returns the ids of the messages that `place` lets through, and the time at which it wants to be
/// called again.
fn placed(store: &DeviceStore, now_ms: i64) -> (Vec<String>, Option<i64>) {
    store
        .write(|tx| {
            let next = tx.place(now_ms, 100)?;
            let shown = tx.unshown()?;
            if let Some(last) = shown.last() {
                tx.note_shown(last.position)?;
            }
            Ok::<_, DeviceStoreError>((shown.into_iter().map(|message| message.content.id).collect(), next))
        })
        .unwrap()
}

#[test]
fn messages_have_their_places_in_their_senders_order() {
    let store = DeviceStore::in_memory().unwrap();
    arrive(&store, "a", &[3, 1, 2], 0);
    arrive(&store, "b", &[1], 0);
    assert_eq!(placed(&store, 0), (vec!["a1".into(), "a2".into(), "a3".into(), "b1".into()], None));
    assert_eq!(placed(&store, 0), (vec![], None));
}

#[test]
fn a_gap_is_waited_for_and_then_passed() {
    let store = DeviceStore::in_memory().unwrap();
    arrive(&store, "a", &[1, 3, 4], 0);
    assert_eq!(placed(&store, 0), (vec!["a1".into()], Some(100)));
    arrive(&store, "a", &[2], 50);
    assert_eq!(placed(&store, 50), (vec!["a2".into(), "a3".into(), "a4".into()], None));
    arrive(&store, "a", &[6], 60);
    assert_eq!(placed(&store, 159), (vec![], Some(160)));
    assert_eq!(placed(&store, 160), (vec!["a6".into()], None));
    // A message that comes too late is shown all the same.
    arrive(&store, "a", &[5, 7], 200);
    assert_eq!(placed(&store, 200), (vec!["a5".into(), "a7".into()], None));
}

#[test]
fn the_same_activity_is_stored_once_and_its_second_coming_is_told() {
    let store = DeviceStore::in_memory().unwrap();
    let message = arrival("a", "d", None);
    assert!(store.write(|tx| tx.store_arrival(&message, 0)).unwrap());
    assert!(!store.write(|tx| tx.store_arrival(&message, 0)).unwrap());
    assert_eq!(placed(&store, 0).0, ["a"]);
    let history = store.read(|tx| tx.history(None, 10)).unwrap();
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].content, message);
}

#[test]
fn what_fails_is_undone() {
    let store = DeviceStore::in_memory().unwrap();
    let failed = store.write(|tx| {
        tx.keep_session("alice", "device", b"record")?;
        Err::<(), _>(DeviceStoreError::Corrupt("thing"))
    });
    assert!(failed.is_err());
    assert_eq!(store.read(|tx| tx.session("device")).unwrap(), None);
}

#[test]
fn a_file_of_another_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("eko.db");
    drop(DeviceStore::open(&path).unwrap());
    assert!(DeviceStore::open(&path).is_ok());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(DeviceStore::open(&path), Err(DeviceStoreError::Newer(99))));
    connection.pragma_update(None, "user_version", 1).unwrap();
    assert!(matches!(DeviceStore::open(&path), Err(DeviceStoreError::Older(1))));
}

#[test]
fn a_lease_has_one_holder_until_it_ends() {
    let store = DeviceStore::in_memory().unwrap();
    let take = |now_ms| store.write(|tx| tx.take_lease("refresh", now_ms, 10)).unwrap();
    assert!(take(0));
    assert!(!take(9));
    assert!(take(10));
}

#[test]
fn the_first_that_is_heard_of_a_device_waits_less() {
    let store = DeviceStore::in_memory().unwrap();
    let place = |now_ms| store.write(|tx| tx.place(now_ms, 5_000)).unwrap();
    arrive(&store, "a", &[8, 7], 0);
    assert_eq!(place(0), Some(1_000));
    assert_eq!(placed(&store, 1_000), (vec!["a7".into(), "a8".into()], None));
    arrive(&store, "a", &[10], 1_000);
    assert_eq!(place(1_000), Some(6_000));
    // Whoever waits for the first one of a device is looked at once the oldest of that device has waited.
    let store = DeviceStore::in_memory().unwrap();
    let place = |now_ms| store.write(|tx| tx.place(now_ms, 5_000)).unwrap();
    arrive(&store, "a", &[8], 0);
    arrive(&store, "a", &[7], 500);
    assert_eq!((place(500), place(1_000)), (Some(1_000), Some(1_500)));
}

/// Whoever has a domain invents as many servers and users as they like, and pushes out only what came
/// from these.
#[test]
fn a_flood_of_strangers_pushes_out_only_what_their_domain_sent() {
    const GOOD: &str = "https://good.example/user/bob";
    let store = DeviceStore::in_memory().unwrap();
    let from = |actor: &str, n: i64| MessageContent {
        actor: actor.to_owned(),
        conversation: actor.to_owned(),
        ..arrival(&format!("{actor}/{n}"), &format!("{actor}/device/1"), None)
    };
    let request = |actor: &str, n: i64| {
        let (message, envelope) = (from(actor, n), format!("https://good.example/message/{n}"));
        let key = CiphertextKey { actor, envelope: &envelope, device: &message.device };
        store.write(|tx| tx.store_request(&message, key, n)).unwrap()
    };
    store.write(|tx| tx.store_arrival(&from("https://evil.example/user/contact", 0), 0)).unwrap();
    for n in 0..5 {
        let expected = if n == 0 { RequestOutcome::First } else { RequestOutcome::Another };
        assert_eq!(request(GOOD, n), expected);
    }
    assert_eq!(request(GOOD, 4), RequestOutcome::Ignored);
    for n in 0..MOST_OF_STRANGERS + 50 {
        request(&format!("https://s{n}.evil.example/user/mallory"), n);
    }
    let kept = store.read(|tx| tx.requests()).unwrap();
    assert_eq!(kept.len(), usize::try_from(MOST_OF_STRANGERS).unwrap());
    assert_eq!(kept.iter().filter(|message| message.actor == GOOD).count(), 5);
    assert!(kept.iter().all(|message| message.actor != "https://s0.evil.example/user/mallory"));
    // What has made room, or had none, is remembered by its envelope, and asked for once it is wanted.
    let unkept = |actor: &str| store.read(|tx| tx.unkept_of(actor)).unwrap();
    assert_eq!((unkept("https://s0.evil.example/user/mallory"), unkept(GOOD)), (1, 0));
    for n in 5..MOST_OF_STRANGER + MOST_UNKEPT + 100 {
        request(GOOD, n);
    }
    assert_eq!(unkept(GOOD), MOST_UNKEPT);
    store.write(|tx| tx.decline_requests(GOOD)).unwrap();
    assert_eq!(unkept(GOOD), 0);
    assert_eq!(placed(&store, 0).0, ["https://evil.example/user/contact/0"]);
}

#[test]
fn a_gap_of_any_size_is_one_record_and_is_told_in_part() {
    const LAST: u64 = (1 << 53) - 1;
    let store = DeviceStore::in_memory().unwrap();
    let author = arrival("", "", None).actor;
    arrive(&store, "a", &[1, LAST], 0);
    assert_eq!(placed(&store, 100).0, ["a1".to_owned(), format!("a{LAST}")]);
    let missing = || store.read(|tx| tx.history(None, 10)).unwrap()[1].missing_before;
    assert_eq!(missing(), LAST - 2);
    arrive(&store, "a", &[5], 100);
    placed(&store, 100);
    assert_eq!(missing(), LAST - 3);
    let receipt = store.write(|tx| tx.take_receipt(&author, "me", 0)).unwrap().unwrap();
    let told: Vec<_> = receipt.missing.iter().map(|gap| gap.sequence.clone()).collect();
    assert_eq!(told, [vec![2, 3, 4], (6..26).collect::<Vec<u64>>()]);
    // Each gap is told once.
    assert_eq!(store.write(|tx| tx.take_receipt(&author, "me", 0)).unwrap(), None);
}

#[test]
fn strangers_of_whom_nothing_was_read_for_the_longest_time_are_forgotten_first() {
    let store = DeviceStore::in_memory().unwrap();
    store
        .write(|tx| {
            let sql = "INSERT INTO chains (actor, nodes, length, head, accepted, contact, looked, told, confirmed) \
                       VALUES (?1, '[]', 1, '', '', ?2, ?3, 1, 0)";
            for (actor, contact, looked) in
                [("old", 0, 1), ("new", 0, 3), ("contact", 1, 0), ("asks", 0, 0), ("middle", 0, 2)]
            {
                tx.inner.execute(sql, (actor, contact, looked))?;
            }
            let asks = MessageContent { actor: "asks".to_owned(), ..arrival("request", "d", None) };
            tx.store_request(&asks, CiphertextKey { actor: "asks", envelope: "e", device: "d" }, 0)?;
            assert_eq!(tx.strangers_without_requests()?, ["old", "middle", "new"]);
            tx.note_read(CiphertextKey { actor: "old", envelope: "e", device: "d" }, 9, 0)?;
            assert_eq!(tx.strangers_without_requests()?, ["middle", "new", "old"]);
            Ok::<_, DeviceStoreError>(())
        })
        .unwrap();
}

/// The server reports on an envelope after its recipient has received it.
#[test]
fn no_report_takes_a_receipt_back() {
    let (store, environment) = (DeviceStore::in_memory().unwrap(), repeatable(1));
    for said in [EnvelopeState::Accepted, EnvelopeState::Failed] {
        let id = environment.envelope_id(&eko_protocol::address::Origin::parse("https://a.example").unwrap());
        let message = id.as_str();
        let new = NewEnvelope {
            id: &id,
            message,
            recipient: "bob",
            plaintext: b"hi",
            silent: false,
            expires_ms: None,
        };
        let envelope = store.write(|tx| {
            tx.add_envelope(&new, 0)?;
            tx.settle(&id, EnvelopeState::Queued, None)?;
            assert_eq!(tx.note_received(message, "bob")?, None, "other devices may lack it");
            tx.settle(&id, said, Some("too late"))?;
            tx.envelope(message)
        });
        let envelope = envelope.unwrap().unwrap();
        let expected = (EnvelopeState::Delivered, None);
        assert_eq!((envelope.state, envelope.reason), expected, "{said:?}");
    }
}
