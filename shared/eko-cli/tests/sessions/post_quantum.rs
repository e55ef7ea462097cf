//! Tests of SPQR, the post-quantum ratchet beside the Double Ratchet: it proceeds, and no content
//! of its part of a message ends the process. libsignal reads that part before it checks the MAC.

use eko_client::SessionError;

use super::endpoint::{SessionEndpoint, acquainted};

/// A `SignalMessage`, split around its post-quantum part.
struct SplitMessage {
    before: Vec<u8>,
    part: Vec<u8>,
    mac: Vec<u8>,
}

impl SplitMessage {
    /// Splits a message: the version byte, the protobuf fields in their order, the last of which is
    /// the part, and the MAC.
    fn read(content: &[u8]) -> Self {
        let (fields, mac) = content.split_at(content.len() - 8);
        let mut at = 1;
        loop {
            let (begin, tag) = (at, fields[at]);
            at += 1;
            let number = number(fields, &mut at);
            match (tag >> 3, tag & 7) {
                (_, 0) => {}
                (5, 2) => {
                    assert_eq!(at + number, fields.len());
                    let (before, part, mac) = (&fields[..begin], &fields[at..], mac);
                    return Self { before: before.to_vec(), part: part.to_vec(), mac: mac.to_vec() };
                }
                (_, 2) => at += number,
                (field, kind) => panic!("field {field} is of kind {kind}"),
            }
        }
    }

    fn epoch(&self) -> usize {
        assert_eq!(self.part[0], 1);
        number(&self.part, &mut 1)
    }

    /// Returns the message with another part.
    fn with(&self, part: &[u8]) -> Vec<u8> {
        assert!(part.len() < 0x80);
        [&self.before[..], &[0x2A, part.len() as u8], part, &self.mac].concat()
    }

    /// Returns wrong forms of the part: cut short, with one bit of its head changed, with another
    /// epoch, and with numbers that are too long.
    fn changed_parts(&self) -> Vec<Vec<u8>> {
        let part = &self.part;
        let mut changed: Vec<Vec<u8>> = (0..part.len()).map(|end| part[..end].to_vec()).collect();
        for at in 1..part.len().min(8) {
            for bit in 0..8 {
                let mut flipped = part.clone();
                flipped[at] ^= 1 << bit;
                changed.push(flipped);
            }
        }
        for epoch in 0..6 {
            let mut other = part.clone();
            other[1] = epoch;
            changed.push(other);
        }
        for at in [1, 2, 3, 4] {
            let (head, tail) = part.split_at(at.min(part.len()));
            changed.push([head, &[0xFF; 12], tail].concat());
        }
        changed.retain(|other| other != part);
        changed
    }
}

fn number(bytes: &[u8], at: &mut usize) -> usize {
    let mut number = 0;
    for shift in (0..).step_by(7) {
        let byte = bytes[*at];
        *at += 1;
        number |= usize::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    number
}

/// Sends one message each way, and returns both.
fn exchange(alice: &mut SessionEndpoint, bob: &mut SessionEndpoint) -> [Vec<u8>; 2] {
    let to_bob = alice.write(bob, "to bob");
    assert_eq!(bob.read(alice, &to_bob).as_deref(), Ok("to bob"));
    let to_alice = bob.write(alice, "to alice");
    assert_eq!(alice.read(bob, &to_alice).as_deref(), Ok("to alice"));
    [to_bob, to_alice]
}

#[test]
fn it_goes_through_its_epochs() {
    let (mut alice, mut bob) = acquainted();
    let mut epoch = 0;
    for _ in 0..300 {
        let [to_bob, to_alice] = exchange(&mut alice, &mut bob);
        epoch = SplitMessage::read(&to_bob).epoch().min(SplitMessage::read(&to_alice).epoch());
    }
    // An epoch is one key exchange in chunks of 32 bytes, one chunk per message.
    assert!(epoch >= 4, "{epoch}");
}

#[test]
fn no_post_quantum_part_ends_the_process() {
    let (mut alice, mut bob) = acquainted();
    let mut tried = 0;
    for step in 0..150 {
        let content = alice.write(&bob, "whole");
        if step % 5 == 0 {
            let message = SplitMessage::read(&content);
            assert_eq!(message.with(&message.part), content);
            for part in message.changed_parts() {
                let refused = bob.look(&alice, &message.with(&part));
                assert!(matches!(refused, Err(SessionError::Unreadable(_))), "{part:?}: {refused:?}");
                tried += 1;
            }
        }
        bob.read(&alice, &content).unwrap();
        let answer = bob.write(&alice, "answer");
        alice.read(&bob, &answer).unwrap();
    }
    assert!(tried > 1000, "{tried}");
}
