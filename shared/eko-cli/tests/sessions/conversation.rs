//! Tests of sessions in use: their order, repetition and loss of messages, and new sessions.

use eko_client::SessionError;

use super::endpoint::{SessionEndpoint, acquainted, begun};

/// Sends a text, and asserts that it is read.
fn say(from: &mut SessionEndpoint, to: &mut SessionEndpoint, text: &str) {
    let content = from.write(to, text);
    assert_eq!(to.read(from, &content).as_deref(), Ok(text));
}

/// True for a `SignalMessage`, false for a `PreKeySignalMessage`.
fn is_ratcheted(content: &[u8]) -> bool {
    content[1] == 0x0A
}

#[test]
fn forty_steps_of_the_ratchet() {
    let (mut alice, mut bob) = begun();
    let first = alice.write(&bob, "step 0");
    assert!(!is_ratcheted(&first));
    assert_eq!(bob.read(&alice, &first).as_deref(), Ok("step 0"));
    for step in 1..=40 {
        let (from, to) = if step % 2 == 1 { (&mut bob, &mut alice) } else { (&mut alice, &mut bob) };
        let text = format!("step {step}");
        let content = from.write(to, &text);
        assert!(is_ratcheted(&content), "step {step}");
        assert!(!content.windows(4).any(|window| window == b"step"));
        assert_eq!(to.read(from, &content), Ok(text));
    }
}

#[test]
fn first_messages_go_on_until_there_is_an_answer() {
    let (mut alice, mut bob) = begun();
    let firsts: Vec<_> = (0..4).map(|n| alice.write(&bob, &format!("first {n}"))).collect();
    assert!(firsts.iter().all(|content| !is_ratcheted(content)));
    // The first message that is read begins the session. The others belong to it.
    for n in [2, 0, 3, 1] {
        assert_eq!(bob.read(&alice, &firsts[n]), Ok(format!("first {n}")));
    }
    assert_eq!((bob.spent.len(), bob.used.len()), (1, 1));
    say(&mut bob, &mut alice, "answer");
    assert!(is_ratcheted(&alice.write(&bob, "ratcheted")));
}

#[test]
fn messages_come_in_any_order_and_some_never() {
    let (mut alice, mut bob) = acquainted();
    let contents: Vec<_> = (0..8).map(|n| alice.write(&bob, &format!("{n}"))).collect();
    // Message 3 is never read; message 5 is read after the ratchet has turned.
    for n in [7, 0, 6, 1, 4, 2] {
        assert_eq!(bob.read(&alice, &contents[n]), Ok(n.to_string()));
    }
    say(&mut bob, &mut alice, "between");
    say(&mut alice, &mut bob, "after");
    assert_eq!(bob.read(&alice, &contents[5]).as_deref(), Ok("5"));
    say(&mut bob, &mut alice, "and on");
}

#[test]
fn what_was_read_is_not_read_again() {
    let (mut alice, mut bob) = acquainted();
    let contents: Vec<_> = (0..3).map(|n| alice.write(&bob, &format!("{n}"))).collect();
    for content in &contents {
        bob.read(&alice, content).unwrap();
    }
    for content in &contents {
        assert_eq!(bob.look(&alice, content), Err(SessionError::Duplicate));
    }
    // They are duplicates also after the ratchet has turned.
    for n in 0..3 {
        say(&mut bob, &mut alice, &format!("to alice {n}"));
        say(&mut alice, &mut bob, &format!("to bob {n}"));
    }
    assert_eq!(bob.look(&alice, &contents[1]), Err(SessionError::Duplicate));
    say(&mut alice, &mut bob, "unharmed");
}

#[test]
fn a_step_that_is_not_kept_can_be_made_again() {
    let (mut alice, mut bob) = acquainted();
    let content = alice.write(&bob, "once more");
    // A decrypted message whose record is not kept can be decrypted again, as after a crash.
    assert_eq!(bob.look(&alice, &content).unwrap().plaintext, b"once more");
    assert_eq!(bob.read(&alice, &content).as_deref(), Ok("once more"));
    assert_eq!(bob.look(&alice, &content), Err(SessionError::Duplicate));
}

#[test]
fn both_begin_at_once_and_both_go_on() {
    let (mut alice, mut bob) = (SessionEndpoint::new("alice"), SessionEndpoint::new("bob"));
    alice.begin(&bob, &bob.package_with(0)).unwrap();
    bob.begin(&alice, &alice.package_with(0)).unwrap();
    let (to_bob, to_alice) = (alice.write(&bob, "a1"), bob.write(&alice, "b1"));
    assert_eq!(bob.read(&alice, &to_bob).as_deref(), Ok("a1"));
    assert_eq!(alice.read(&bob, &to_alice).as_deref(), Ok("b1"));
    // The next messages cross as well, each in the session that the other side has begun.
    let (to_bob, to_alice) = (alice.write(&bob, "a2"), bob.write(&alice, "b2"));
    assert_eq!(bob.read(&alice, &to_bob).as_deref(), Ok("a2"));
    assert_eq!(alice.read(&bob, &to_alice).as_deref(), Ok("b2"));
    for n in 0..6 {
        say(&mut alice, &mut bob, &format!("a{n}"));
        say(&mut bob, &mut alice, &format!("b{n}"));
    }
    assert_eq!((alice.spent.len(), bob.spent.len()), (1, 1));
}

#[test]
fn a_new_session_keeps_the_one_before_it_readable() {
    let (mut alice, mut bob) = acquainted();
    let under_way = bob.write(&alice, "written before");
    alice.begin(&bob, &bob.package_with(1)).unwrap();
    let anew = alice.write(&bob, "anew");
    assert!(!is_ratcheted(&anew));
    assert_eq!(alice.read(&bob, &under_way).as_deref(), Ok("written before"));
    assert_eq!(bob.read(&alice, &anew).as_deref(), Ok("anew"));
    say(&mut bob, &mut alice, "good");
    say(&mut alice, &mut bob, "good");
}
