//! Tests of void numbers: nobody waits for them, and nothing is missing under them.

use super::*;
use crate::content::NumberRange;

fn note_void(store: &DeviceStore, ranges: &[(u64, u64)]) {
    let actor = arrival("", "", None).actor;
    let of = MessageStream { conversation: &actor, device: "a", actor: &actor };
    let ranges: Vec<_> = ranges.iter().map(|&(first, last)| NumberRange { first, last }).collect();
    store.write(|tx| tx.note_void(of, &ranges)).unwrap();
}

fn missing(store: &DeviceStore) -> Vec<u64> {
    let history = store.read(|tx| tx.history(None, 100)).unwrap();
    history.iter().map(|message| message.missing_before).collect()
}

fn kept(store: &DeviceStore) -> i64 {
    let count = |tx: &Transaction<'_>| {
        Ok::<_, DeviceStoreError>(
            tx.inner.query_row("SELECT count(*) FROM void_numbers", [], |row| row.get(0))?,
        )
    };
    store.read(count).unwrap()
}

#[test]
fn a_void_number_is_not_waited_for_whenever_it_is_told() {
    // Before what precedes it has come, and before what follows it.
    let store = DeviceStore::in_memory().unwrap();
    arrive(&store, "a", &[4], 0);
    note_void(&store, &[(2, 3)]);
    assert_eq!(placed(&store, 0), (vec![], Some(100)));
    arrive(&store, "a", &[1], 0);
    assert_eq!(placed(&store, 0), (vec!["a1".into(), "a4".into()], None));
    assert_eq!((missing(&store), kept(&store)), (vec![0, 0], 0));

    // With what follows it, one of several that lack.
    arrive(&store, "a", &[8], 0);
    note_void(&store, &[(2, 3), (6, 6)]);
    assert_eq!(placed(&store, 0), (vec![], Some(100)));
    assert_eq!(placed(&store, 100).0, ["a8"]);
    assert_eq!((missing(&store), kept(&store)), (vec![0, 0, 2], 0));

    // After what follows it was shown.
    arrive(&store, "a", &[9], 0);
    note_void(&store, &[(7, 7)]);
    assert_eq!(placed(&store, 0).0, ["a9"]);
    assert_eq!((missing(&store), kept(&store)), (vec![0, 0, 1, 0], 0));

    // It comes all the same.
    arrive(&store, "a", &[6, 5], 0);
    placed(&store, 0);
    assert_eq!(missing(&store), [0, 0, 0, 0, 0, 0]);
}

#[test]
fn the_first_number_of_a_device_may_be_void() {
    let store = DeviceStore::in_memory().unwrap();
    arrive(&store, "a", &[3], 0);
    note_void(&store, &[(1, 2)]);
    assert_eq!(placed(&store, 0), (vec!["a3".into()], None));
    assert_eq!((missing(&store), kept(&store)), (vec![0], 0));
}

#[test]
fn the_void_numbers_of_a_request_go_with_it() {
    let (store, asks) = (DeviceStore::in_memory().unwrap(), arrival("a3", "a", Some(3)));
    let key = CiphertextKey { actor: &asks.actor, envelope: "e", device: "a" };
    store.write(|tx| tx.store_request(&asks, key, 0)).unwrap();
    note_void(&store, &[(1, 2)]);
    assert_eq!(kept(&store), 1);
    store.write(|tx| tx.decline_requests(&asks.actor)).unwrap();
    assert_eq!(kept(&store), 0);
}

/// A block begins after a message was lost, and ends after others were dropped.
#[test]
fn what_was_lost_before_a_block_is_told_after_it_and_what_it_dropped_is_not() {
    let store = DeviceStore::in_memory().unwrap();
    let message = |number: u64| {
        let device = "https://a.example/user/alice/device/1";
        let message = arrival(&format!("a{number}"), device, Some(number));
        store.write(|tx| tx.store_arrival(&message, 0)).unwrap();
        placed(&store, 100);
    };
    message(1);
    message(3);
    let author = arrival("", "", None).actor;
    let party = eko_protocol::block::BlockedParty::parse(&author).unwrap();
    let block = |at_ms, is_undone| {
        store.write(|tx| {
            let mut blocks = tx.blocks()?;
            blocks.note(&party, KeptBlock { at_ms, is_undone, is_untold: false });
            tx.keep_blocks(&blocks)?;
            tx.owed(0)
        })
    };
    assert_eq!(block(1, false).unwrap(), [""; 0], "nobody who is blocked is told anything");
    // It had come, and waited for its position.
    message(4);
    assert_eq!(block(2, true).unwrap(), std::slice::from_ref(&author));
    message(7);
    assert_eq!(missing(&store), [0, 1, 0, 0]);
    let receipt = store.write(|tx| tx.take_receipt(&author, "me", 0)).unwrap().unwrap();
    assert_eq!(receipt.missing.iter().map(|gap| &gap.sequence[..]).collect::<Vec<_>>(), [[2]]);
}

/// A device that was away reads what came before the block, its begin, its end and what came after it in one
/// look, which gives places at the end.
#[test]
fn what_a_block_dropped_is_not_missing_if_all_is_read_at_once() {
    for first in [None, Some(4)] {
        let store = DeviceStore::in_memory().unwrap();
        let arrive = |number: u64| {
            let device = "https://a.example/user/alice/device/1";
            let message = arrival(&format!("a{number}"), device, Some(number));
            store.write(|tx| tx.store_arrival(&message, 0)).unwrap();
        };
        if let Some(number) = first {
            arrive(number);
            placed(&store, 100);
        }
        let author = arrival("", "", None).actor;
        let party = eko_protocol::block::BlockedParty::parse(&author).unwrap();
        arrive(5);
        for is_undone in [false, true] {
            let change = KeptBlock { at_ms: 1, is_undone, is_untold: false };
            let changed = store.write(|tx| {
                tx.follow_party_anew(&party)?;
                let mut blocks = tx.blocks()?;
                blocks.note(&party, change);
                tx.keep_blocks(&blocks)
            });
            changed.unwrap();
        }
        arrive(8);
        placed(&store, 100);
        assert!(missing(&store).iter().all(|missing| *missing == 0), "{first:?}");
    }
}
