//! Tests of the packages and messages that are refused, and of the errors for them.

use eko_cli::LibSignal;
use eko_client::keys::{CurvePair, KyberPair};
use eko_client::sessions::{KyberUse, PeerDevice, PrivateKeys};
use eko_client::{SessionError, SignalSessions};
use eko_protocol::key::KeyId;
use proptest::prelude::*;

use super::endpoint::{SessionEndpoint, acquainted, begun};

#[test]
fn a_package_of_another_identity() {
    let (mut alice, bob, eve) =
        (SessionEndpoint::new("alice"), SessionEndpoint::new("bob"), SessionEndpoint::new("eve"));
    let mut package = eve.package_with(0);
    package.device = bob.address();
    assert_eq!(alice.begin(&bob, &package), Err(SessionError::WrongIdentity(bob.address())));
    assert!(matches!(alice.begin(&bob, &eve.package_with(0)), Err(SessionError::Broken(_))));
    assert!(alice.records.is_empty());
}

#[test]
fn a_package_with_a_bad_signature() {
    let (mut alice, bob, eve) =
        (SessionEndpoint::new("alice"), SessionEndpoint::new("bob"), SessionEndpoint::new("eve"));
    let mut signed = bob.package_with(0);
    signed.signed_pre_key.signature = eve.keys.signed_pre_key().signature;
    let mut kyber = bob.package_with(0);
    kyber.kyber_pre_key.as_mut().unwrap().signature = bob.keys.last_resort().unwrap().signature;
    for package in [signed, kyber] {
        assert!(matches!(alice.begin(&bob, &package), Err(SessionError::Broken(_))));
    }
    assert_eq!(alice.begin(&bob, &bob.package_with(0)), Ok(()));
}

#[test]
fn a_package_without_a_kyber_key() {
    let (mut alice, bob) = (SessionEndpoint::new("alice"), SessionEndpoint::new("bob"));
    let mut package = bob.package_with(0);
    package.kyber_pre_key = None;
    assert_eq!(alice.begin(&bob, &package), Err(SessionError::NoKyberKey(bob.address())));
}

#[test]
fn messages_of_another_identity() {
    let (mut alice, mut bob) = begun();
    let mut eve = SessionEndpoint::new("eve");
    let first = alice.write(&bob, "hello");
    // Bob's device expects Eve's key for Alice's device.
    let (address, identity) = (alice.address(), eve.identity());
    let peer = PeerDevice { address: &address, identity: &identity };
    let own = bob.address();
    let refused = LibSignal.decrypt(bob.own(&own), peer, None, &bob, &first);
    assert_eq!(refused, Err(SessionError::WrongIdentity(alice.address())));
    bob.read(&alice, &first).unwrap();
    let answer = bob.write(&alice, "hello yourself");
    alice.read(&bob, &answer).unwrap();
    let next = alice.write(&bob, "next");
    let record = &bob.records[&address];
    let refused = LibSignal.decrypt(bob.own(&own), peer, Some(record), &bob, &next);
    assert_eq!(refused, Err(SessionError::WrongIdentity(alice.address())));
    let refused = LibSignal.encrypt(bob.own(&own), peer, record, b"to whom?");
    assert_eq!(refused, Err(SessionError::WrongIdentity(alice.address())));
    // Eve writes a message of her own under Alice's address.
    eve.begin(&bob, &bob.package_with(1)).unwrap();
    let forged = eve.write(&bob, "I am Alice");
    assert_eq!(bob.look(&alice, &forged), Err(SessionError::WrongIdentity(alice.address())));
}

#[test]
fn every_bit_of_a_message_counts() {
    let (mut alice, mut bob) = acquainted();
    let content = alice.write(&bob, "to the letter");
    for (at, bit) in (0..content.len()).flat_map(|at| (0..8).map(move |bit| (at, bit))) {
        let mut changed = content.clone();
        changed[at] ^= 1 << bit;
        let refused = bob.look(&alice, &changed).unwrap_err();
        assert!(
            !matches!(refused, SessionError::Duplicate | SessionError::Broken(_)),
            "bit {bit} of byte {at}: {refused}"
        );
    }
    assert_eq!(bob.read(&alice, &content).as_deref(), Ok("to the letter"));
}

/// A first message carries prekey ids and a registration id around the actual message. A changed
/// prekey id makes the message unreadable. The registration id is not authenticated, and has no
/// effect here.
#[test]
fn no_bit_of_a_first_message_changes_what_it_says() {
    let (mut alice, bob) = begun();
    let content = alice.write(&bob, "to the letter");
    // The registration id is in field 5, with one or two bytes. Half of the first byte is a version
    // that only informs.
    let id = alice.keys.registration_id().get();
    let id = if id < 0x80 { vec![0x28, id as u8] } else { vec![0x28, (id as u8) | 0x80, (id >> 7) as u8] };
    let registration = content.windows(id.len()).rposition(|window| window == id).unwrap();
    let harmless: Vec<_> = (registration..registration + id.len()).chain([0]).collect();
    // Most of the message is the Kyber ciphertext. Testing every 16th of its bytes is enough.
    let kyber = content.windows(4).position(|window| window == [0x42, 0xA1, 0x0C, 0x08]).unwrap();
    let some_of_it = |at: &usize| !(kyber + 4..kyber + 4 + 1568).contains(at) || at.is_multiple_of(16);
    for at in (0..content.len()).filter(some_of_it) {
        let mut changed = content.clone();
        changed[at] ^= 1 << (at % 8);
        match bob.look(&alice, &changed) {
            Ok(decrypted) => {
                assert!(harmless.contains(&at), "byte {at} of {} has no effect", content.len());
                assert_eq!(decrypted.plaintext, b"to the letter", "byte {at}");
            }
            Err(
                SessionError::Unreadable(_) | SessionError::MissingKey(_) | SessionError::WrongIdentity(_),
            ) => {}
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn keys_that_are_gone_are_named() {
    let (mut alice, bob) = begun();
    let content = alice.write(&bob, "hello");
    for (fault, name) in [
        (PrekeyFault::NoSigned, "signed prekey"),
        (PrekeyFault::NoOneTime, "one-time prekey"),
        (PrekeyFault::NoKyber, "Kyber prekey"),
    ] {
        let (address, identity, own) = (alice.address(), alice.identity(), bob.address());
        let peer = PeerDevice { address: &address, identity: &identity };
        let refused =
            LibSignal.decrypt(bob.own(&own), peer, None, &IncompleteKeys { device: &bob, fault }, &content);
        assert_eq!(refused, Err(SessionError::MissingKey(name)));
    }
}

/// The keys of a device that has lost one kind of them, or cannot read any.
struct IncompleteKeys<'a> {
    device: &'a SessionEndpoint,
    fault: PrekeyFault,
}

/// The fault of a device's keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PrekeyFault {
    NoSigned,
    NoOneTime,
    NoKyber,
    Unreadable,
}

impl PrivateKeys for IncompleteKeys<'_> {
    fn signed(&self, id: KeyId) -> Result<Option<CurvePair>, SessionError> {
        match self.fault {
            PrekeyFault::NoSigned => Ok(None),
            PrekeyFault::Unreadable => Err(SessionError::Broken("the disk is gone".to_owned())),
            PrekeyFault::NoOneTime | PrekeyFault::NoKyber => self.device.signed(id),
        }
    }

    fn one_time(&self, id: KeyId) -> Result<Option<CurvePair>, SessionError> {
        if self.fault == PrekeyFault::NoOneTime { Ok(None) } else { self.device.one_time(id) }
    }

    fn kyber(&self, id: KeyId) -> Result<Option<KyberPair>, SessionError> {
        if self.fault == PrekeyFault::NoKyber { Ok(None) } else { self.device.kyber(id) }
    }

    fn was_used(&self, kyber: &KyberUse) -> Result<bool, SessionError> {
        self.device.was_used(kyber)
    }
}

#[test]
fn a_store_that_fails_is_no_unreadable_message() {
    let (mut alice, bob) = begun();
    let content = alice.write(&bob, "hello");
    let (address, identity, own) = (alice.address(), alice.identity(), bob.address());
    let peer = PeerDevice { address: &address, identity: &identity };
    let refused = LibSignal.decrypt(
        bob.own(&own),
        peer,
        None,
        &IncompleteKeys { device: &bob, fault: PrekeyFault::Unreadable },
        &content,
    );
    assert_eq!(refused, Err(SessionError::Broken("the disk is gone".to_owned())));
}

#[test]
fn no_session_and_no_record() {
    let (mut alice, mut bob) = acquainted();
    let content = alice.write(&bob, "hello?");
    let record = bob.records.remove(&alice.address()).unwrap();
    assert_eq!(bob.look(&alice, &content), Err(SessionError::NoSession(alice.address())));
    assert_eq!(bob.try_write(&alice, "hello?"), Err(SessionError::NoSession(alice.address())));
    bob.records.insert(alice.address(), record[..record.len() / 2].to_vec());
    assert!(matches!(bob.look(&alice, &content), Err(SessionError::Broken(_))));
    assert!(matches!(bob.try_write(&alice, "hello?"), Err(SessionError::Broken(_))));
    bob.records.insert(alice.address(), record);
    assert_eq!(bob.read(&alice, &content).as_deref(), Ok("hello?"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_no_message(content in proptest::collection::vec(any::<u8>(), 0..400), version in 0x30u8..0x50) {
        let (alice, bob) = (SessionEndpoint::new("alice"), SessionEndpoint::new("bob"));
        prop_assert!(matches!(bob.look(&alice, &content), Err(SessionError::Unreadable(_))));
        // With a version byte that libsignal knows, it parses the message as either kind.
        for second in [0x0A, 0x08] {
            let content = [&[version, second][..], &content].concat();
            let refused = bob.look(&alice, &content).unwrap_err();
            prop_assert!(matches!(refused, SessionError::Unreadable(_) | SessionError::NoSession(_)), "{refused}");
        }
    }
}
