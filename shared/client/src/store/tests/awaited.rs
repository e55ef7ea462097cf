//! Tests of the places that are kept for messages, and of how often their devices are asked.

use super::super::*;

const DAY_MS: i64 = 24 * 3_600_000;

/// Awaits a message of this actor, and returns whether a place is kept for it.
fn awaits(store: &DeviceStore, actor: &str, envelope: &str, now_ms: i64) -> bool {
    let key = CiphertextKey { actor, envelope, device: actor };
    let kept = store.write(|tx| tx.await_message(key, &format!("again {envelope}"), 0, now_ms));
    kept.unwrap()
}

/// A server makes up envelopes.
#[test]
fn places_are_bounded_and_those_that_are_missing_make_room() {
    let store = DeviceStore::in_memory().unwrap();
    let kept = (0..MOST_AWAITED + 50).filter(|n| awaits(&store, "mallory", &n.to_string(), 0)).count();
    assert_eq!(i64::try_from(kept).unwrap(), MOST_AWAITED);
    assert!(awaits(&store, "alice", "one", 0), "an author of her own");
    assert!(!awaits(&store, "mallory", "early", AWAITED_DAYS * DAY_MS - 1));
    assert!(awaits(&store, "mallory", "later", AWAITED_DAYS * DAY_MS));
    let awaited = store.read(|tx| tx.awaited(Some("mallory"))).unwrap();
    assert_eq!(i64::try_from(awaited.len()).unwrap(), MOST_AWAITED);
    assert!(awaited.windows(2).all(|two| two[0].position < two[1].position));
}

#[test]
fn a_device_is_asked_once_an_hour_whatever_the_clock_said_before() {
    let store = DeviceStore::in_memory().unwrap();
    let owe = |number: u8| {
        let envelope = format!("urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a{number:02x}");
        let key = CiphertextKey { actor: "alice", envelope: &envelope, device: "phone" };
        store.write(|tx| tx.owe_unreadable(key)).unwrap();
    };
    let asked = |now_ms: i64| {
        let owed = !store.read(|tx| tx.owed(now_ms)).unwrap().is_empty();
        let receipt = store.write(|tx| tx.take_receipt("alice", "me", now_ms)).unwrap();
        assert_eq!(owed, receipt.is_some());
        receipt.map_or(0, |receipt| receipt.unreadable.len())
    };
    owe(0);
    assert_eq!(asked(DAY_MS), 1);
    owe(1);
    owe(2);
    assert_eq!((asked(DAY_MS), asked(DAY_MS + ASK_PAUSE_MS - 1)), (0, 0));
    assert_eq!(asked(DAY_MS + ASK_PAUSE_MS), 2);
    owe(3);
    assert_eq!(asked(DAY_MS), 1, "the clock was ahead");
}
