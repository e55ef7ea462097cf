//! Tests of the places that are kept for messages, and of how often their devices are asked.

use super::super::*;
use super::{arrival, arrive, placed};

const DAY_MS: i64 = 24 * 3_600_000;

/// Returns the times of what comes at a time and of which others are missing after the usual days.
fn times(received_ms: i64, now_ms: i64) -> AwaitedTimes {
    AwaitedTimes { received_ms, stored_ms: now_ms, missing_ms: now_ms.saturating_sub(AWAITED_MS) }
}

/// Awaits a message of this actor, and returns whether a place is kept for it.
fn awaits(store: &DeviceStore, actor: &str, envelope: &str, now_ms: i64) -> bool {
    let key = CiphertextKey { actor, envelope, device: actor };
    let kept = store.write(|tx| tx.await_message(key, &again(envelope), times(0, now_ms)));
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

/// Returns the texts of a history, with what is awaited in its place.
fn conversation(store: &DeviceStore) -> Vec<String> {
    let history = store.read(|tx| tx.history(None, 100)).unwrap().into_iter();
    let mut all: Vec<_> = history.map(|it| (it.position, it.content.id)).collect();
    let awaited = store.read(|tx| tx.awaited(None)).unwrap();
    all.extend(awaited.into_iter().map(|it| (it.position, "awaited".to_owned())));
    all.sort();
    all.into_iter().map(|(_, id)| id).collect()
}

/// Returns the id of the envelope in which another one comes again.
fn again(envelope: &str) -> String {
    format!("again {envelope}")
}

/// Puts a message into the place of one that was awaited.
fn comes_again(store: &DeviceStore, envelope: &str, number: u64, now_ms: i64) {
    arrive(store, "a", &[number], now_ms);
    let filled = store.write(|tx| {
        let place = tx.take_awaited("a", &again(envelope))?.unwrap();
        tx.put_into_place(&place, &format!("a{number}"))
    });
    assert!(filled.unwrap());
}

fn await_of_a(store: &DeviceStore, envelope: &str) {
    let actor = arrival("", "", None).actor;
    let key = CiphertextKey { actor: &actor, envelope, device: "a" };
    assert!(store.write(|tx| tx.await_message(key, &again(envelope), times(0, 0))).unwrap());
}

/// The envelopes come in any order, each with a look of its own.
#[test]
fn what_is_sent_again_is_shown_in_the_order_of_its_places() {
    let store = DeviceStore::in_memory().unwrap();
    arrive(&store, "a", &[1], 0);
    placed(&store, 0);
    for envelope in ["two", "three", "four", "five"] {
        await_of_a(&store, envelope);
    }
    comes_again(&store, "four", 4, 1_000);
    assert_eq!(placed(&store, 1_000), (vec![], Some(1_100)));
    comes_again(&store, "two", 2, 1_010);
    assert_eq!(placed(&store, 1_010), (vec!["a2".into()], Some(1_100)));
    assert_eq!(conversation(&store), ["a1", "a2", "awaited", "a4", "awaited"]);
    comes_again(&store, "three", 3, 1_020);
    assert_eq!(placed(&store, 1_020), (vec!["a3".into(), "a4".into()], None));
    // What never comes holds the others up for a moment only.
    await_of_a(&store, "six");
    comes_again(&store, "six", 6, 2_000);
    assert_eq!(placed(&store, 2_099), (vec![], Some(2_100)));
    assert_eq!(placed(&store, 2_100), (vec!["a6".into()], None));
    comes_again(&store, "five", 5, 3_000);
    assert_eq!(placed(&store, 3_000), (vec!["a5".into()], None));
    assert_eq!(conversation(&store), ["a1", "a2", "a3", "a4", "a5", "a6"]);
}

/// Nobody knows of which conversation the awaited envelopes are, so they keep their places.
#[test]
fn what_comes_late_is_put_where_it_was_missing_and_takes_no_awaited_place() {
    let store = DeviceStore::in_memory().unwrap();
    arrive(&store, "a", &[1], 0);
    placed(&store, 0);
    await_of_a(&store, "two");
    await_of_a(&store, "three");
    arrive(&store, "b", &[1], 0);
    arrive(&store, "a", &[4, 7], 0);
    assert_eq!(placed(&store, 200).0, ["b1", "a4", "a7"]);
    assert_eq!(conversation(&store), ["a1", "awaited", "awaited", "b1", "a4", "a7"]);
    for number in [3, 6, 2, 5] {
        arrive(&store, "a", &[number], 300);
        assert_eq!(placed(&store, 300).0, [format!("a{number}")]);
    }
    assert_eq!(conversation(&store), ["a1", "awaited", "awaited", "b1", "a2", "a3", "a4", "a5", "a6", "a7"]);
    assert!(store.read(|tx| tx.history(None, 9)).unwrap().iter().all(|it| it.missing_before == 0));
}

/// Two people talk, and a device reads both at once.
#[test]
fn the_messages_of_one_look_have_the_order_of_the_server() {
    let store = DeviceStore::in_memory().unwrap();
    for (device, number, received_ms) in [("b", 1, 20), ("a", 1, 10), ("a", 2, 30), ("b", 2, 40)] {
        let message =
            MessageContent { received_ms, ..arrival(&format!("{device}{number}"), device, Some(number)) };
        store.write(|tx| tx.store_arrival(&message, 50)).unwrap();
    }
    assert_eq!(placed(&store, 50).0, ["a1", "b1", "a2", "b2"]);
}

/// Two entries of one millisecond have no order in a mailbox.
#[test]
fn messages_that_fill_places_in_the_wrong_order_change_them() {
    for is_shown_before in [false, true] {
        let store = DeviceStore::in_memory().unwrap();
        arrive(&store, "a", &[1], 0);
        placed(&store, 0);
        for envelope in ["x", "y", "z"] {
            await_of_a(&store, envelope);
        }
        // Between the two that come there is one that never came.
        for (envelope, number) in [("x", 5), ("z", 3), ("y", 2)] {
            comes_again(&store, envelope, number, 10);
            if is_shown_before {
                placed(&store, 200);
            }
        }
        placed(&store, 200);
        assert_eq!(conversation(&store), ["a1", "a2", "a3", "a5"]);
        let history = store.read(|tx| tx.history(None, 9)).unwrap();
        assert_eq!(history.iter().map(|it| it.missing_before).collect::<Vec<_>>(), [0, 0, 0, 1]);
    }
}

/// A correspondent keeps a place by an envelope that cannot be read, and fills it later with something else.
#[test]
fn what_does_not_fit_between_its_neighbours_is_shown_at_the_end() {
    let months_ms = 1 + LATE_MS + 1;
    let of_number = |number| arrival("late", "a", number);
    for late in [
        of_number(Some(8)),
        of_number(Some(1)),
        of_number(Some(4)),
        of_number(None),
        MessageContent { received_ms: months_ms, ..of_number(Some(2)) },
    ] {
        let store = DeviceStore::in_memory().unwrap();
        arrive(&store, "a", &[1], 0);
        placed(&store, 0);
        await_of_a(&store, "two");
        arrive(&store, "a", &[3, 4], 0);
        placed(&store, 200);
        assert_eq!(conversation(&store), ["a1", "awaited", "a3", "a4"]);
        let filled = store.write(|tx| {
            tx.store_arrival(&late, 300)?;
            let place = tx.take_awaited("a", "again two")?.unwrap();
            tx.put_into_place(&place, "late")
        });
        let filled: Result<_, DeviceStoreError> = filled;
        assert!(!filled.unwrap(), "{late:?}");
        assert_eq!(placed(&store, 9_000).0, ["late"]);
        assert_eq!(conversation(&store), ["a1", "a3", "a4", "late"], "{late:?}");
    }
}

/// A message that is sent again comes in an envelope of its own. In time it has the place in which it was missing.
#[test]
fn what_was_missing_and_comes_months_later_is_shown_at_the_end() {
    for (received_ms, shown) in [(1 + LATE_MS, ["a1", "a2", "a3"]), (2 + LATE_MS, ["a1", "a3", "a2"])] {
        let store = DeviceStore::in_memory().unwrap();
        arrive(&store, "a", &[1, 3], 0);
        placed(&store, 200);
        let late = MessageContent { received_ms, ..arrival("a2", "a", Some(2)) };
        store.write(|tx| tx.store_arrival(&late, 300)).unwrap();
        placed(&store, 300);
        assert_eq!(conversation(&store), shown);
    }
}

/// Another device of the user has answered what this one has still to read: the server of its author was away.
#[test]
fn what_is_read_later_stands_before_the_answer_of_another_device() {
    let store = DeviceStore::in_memory().unwrap();
    let actor = arrival("", "", None).actor;
    let arrive_at = |device: &str, number: u64, received_ms: i64| {
        let id = format!("{device}{number}");
        let mut message = MessageContent { received_ms, ..arrival(&id, device, Some(number)) };
        if device == "own" {
            (message.actor, message.outgoing) = ("me".to_owned(), true);
        }
        store.write(|tx| tx.store_arrival(&message, received_ms)).unwrap();
    };
    let new = |now_ms: i64| {
        let before = store.read(|tx| tx.last_position()).unwrap();
        store.write(|tx| tx.place(now_ms, 100)).unwrap();
        let new = store.read(|tx| tx.messages_after(Some(before), "this", None)).unwrap();
        new.into_iter().map(|message| message.content.id).collect::<Vec<_>>()
    };
    arrive_at("a", 1, 10);
    arrive_at("own", 1, 40);
    arrive_at("own", 3, 70);
    assert_eq!(new(500), ["a1", "own1", "own3"]);
    // What is numbered between them, and comes later, keeps its place, too.
    arrive_at("a", 4, 30);
    assert_eq!(new(1_000), ["a4"], "a program that follows the store sees it");
    let key = CiphertextKey { actor: &actor, envelope: "lost", device: "b" };
    assert!(store.write(|tx| tx.await_message(key, "again lost", times(35, 1_000))).unwrap());
    for (device, number, received_ms) in
        [("a", 2, 15), ("own", 2, 60), ("a", 5, 50), ("c", 1, 55), ("a", 6, 80)]
    {
        arrive_at(device, number, received_ms);
        assert_eq!(new(1_100), [format!("{device}{number}")]);
    }
    let in_order = ["a1", "a2", "a4", "awaited", "own1", "a5", "c1", "own2", "own3", "a6"];
    assert_eq!(conversation(&store), in_order);
    assert!(
        store
            .read(|tx| tx.history(None, 99))
            .unwrap()
            .iter()
            .all(|it| { it.missing_before == u64::from(it.content.id == "a4") })
    );
}

/// There are only so many places before an answer. What has none comes last, and takes no place of another.
#[test]
fn what_finds_no_place_before_an_answer_comes_after_it() {
    let store = DeviceStore::in_memory().unwrap();
    let mut copy = arrival("own1", "own", Some(1));
    (copy.actor, copy.outgoing, copy.received_ms) = ("me".to_owned(), true, 1_000);
    store.write(|tx| tx.store_arrival(&copy, 0)).unwrap();
    placed(&store, 0);
    for number in 1..=600 {
        arrive(&store, "a", &[number], 0);
        placed(&store, 0);
    }
    let history = store.read(|tx| tx.history(None, 1_000)).unwrap();
    let numbers: Vec<_> = history.iter().map(|it| it.content.sequence.unwrap()).collect();
    let copy = history.iter().position(|it| it.content.outgoing).unwrap();
    assert!(copy >= 400 && numbers.len() == 601, "{copy}");
    let others = history.iter().filter(|it| !it.content.outgoing);
    assert!(others.is_sorted_by_key(|it| it.content.sequence));
}

/// This device has written to the same person, by a clock that is ahead. What was under way for too long is
/// shown at the end.
#[test]
fn what_this_device_wrote_hides_no_places_and_what_is_too_old_takes_none() {
    for (now_ms, copied_ms, shown) in [
        (50, 40, ["mine", "late", "copy"]),
        (11 + LATE_MS, 40, ["mine", "copy", "late"]),
        (50, 11 + LATE_MS, ["mine", "copy", "late"]),
    ] {
        let store = DeviceStore::in_memory().unwrap();
        let written = |id: &str, device: &str, received_ms: i64| {
            let message = arrival(id, device, Some(1));
            MessageContent { actor: "me".to_owned(), outgoing: true, received_ms, ..message }
        };
        let own = written("mine", "https://b.example/user/bob/device/one", 9_000);
        store
            .write(|tx| {
                for (name, value) in [("origin", "https://b.example"), ("user", "bob"), ("device", "one")] {
                    let sql = "INSERT INTO account (name, value) VALUES (?1, CAST(?2 AS BLOB))";
                    tx.inner.execute(sql, [name, value])?;
                }
                tx.store_own(&own, 0)?;
                tx.store_arrival(&written("copy", "other", copied_ms), now_ms)?;
                tx.place(now_ms, 0)?;
                let late = MessageContent { received_ms: 10, ..arrival("late", "a", Some(1)) };
                tx.store_arrival(&late, now_ms)?;
                tx.place(now_ms, 0)
            })
            .unwrap();
        assert_eq!(conversation(&store), shown, "{now_ms} {copied_ms}");
    }
}
