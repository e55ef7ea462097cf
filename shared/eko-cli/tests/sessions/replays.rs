//! Tests of first messages that arrive twice, while the session record is there and after it was
//! lost.

use eko_client::SessionError;

use super::endpoint::{SessionEndpoint, begun};

#[test]
fn a_first_message_that_comes_again_is_a_duplicate() {
    let (mut alice, mut bob) = begun();
    let content = alice.write(&bob, "pay 10");
    bob.read(&alice, &content).unwrap();
    assert_eq!(bob.look(&alice, &content), Err(SessionError::Duplicate));
    let answer = bob.write(&alice, "paid");
    alice.read(&bob, &answer).unwrap();
    assert_eq!(bob.look(&alice, &content), Err(SessionError::Duplicate));
}

#[test]
fn without_the_record_its_one_time_key_is_gone() {
    let (mut alice, mut bob) = begun();
    let content = alice.write(&bob, "pay 10");
    bob.read(&alice, &content).unwrap();
    bob.records.clear();
    assert!(matches!(bob.look(&alice, &content), Err(SessionError::MissingKey(_))));
}

#[test]
fn without_the_record_the_use_of_the_last_resort_key_is_known() {
    let (mut alice, mut bob) = (SessionEndpoint::new("alice"), SessionEndpoint::new("bob"));
    alice.begin(&bob, &bob.package()).unwrap();
    let content = alice.write(&bob, "pay 10");
    bob.read(&alice, &content).unwrap();
    bob.records.clear();
    assert_eq!(bob.look(&alice, &content), Err(SessionError::Duplicate));
    // Only the memory of that use keeps the message out.
    let used = std::mem::take(&mut bob.used);
    assert_eq!(bob.look(&alice, &content).unwrap().kyber, Some(used[0].clone()));
}

/// Curve25519 ignores a key's top bit, and nothing in a first message authenticates the encoding of
/// its base key. Another encoding must not pass for another session.
#[test]
fn another_spelling_of_the_base_key_makes_no_new_message_of_it() {
    let (mut alice, mut bob) = (SessionEndpoint::new("alice"), SessionEndpoint::new("bob"));
    alice.begin(&bob, &bob.package()).unwrap();
    let content = alice.write(&bob, "pay 10");
    bob.read(&alice, &content).unwrap();
    let key = bob.used[0].base_key.as_bytes();
    let at = content.windows(33).position(|window| window == key).unwrap();
    let mut respelled = content.clone();
    respelled[at + 32] ^= 0x80;
    assert!(matches!(bob.look(&alice, &respelled), Err(SessionError::Unreadable(_))));
    bob.records.clear();
    assert!(matches!(bob.look(&alice, &respelled), Err(SessionError::Unreadable(_))));
}
