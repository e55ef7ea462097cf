//! Tests of envelopes that wait for a decision, or that are sent again.

use eko_protocol::address::Origin;
use eko_protocol::id::EnvelopeId;

use super::*;

const BOB: &str = "https://b.example/user/bob";

fn ids() -> impl Fn() -> EnvelopeId {
    let (environment, origin) = (repeatable(1), Origin::parse("https://a.example").unwrap());
    move || environment.envelope_id(&origin)
}

/// Adds an envelope to Bob, with a ciphertext for each of these devices.
fn add(store: &DeviceStore, id: &EnvelopeId, devices: &[&str], state: EnvelopeState) {
    let (message, silent, expires_ms) = (id.as_str(), false, None);
    let new = NewEnvelope { id, message, recipient: BOB, plaintext: b"hi", silent, expires_ms };
    store
        .write(|tx| {
            tx.add_envelope(&new, 0)?;
            devices.iter().try_for_each(|device| tx.keep_ciphertext(id, device, b"sealed"))?;
            tx.settle(id, state, None)
        })
        .unwrap();
}

/// Both were written to by somebody who was a stranger to them until now, and ask for all of it.
#[test]
fn what_one_device_asks_for_takes_nothing_from_another() {
    let (store, new_id) = (DeviceStore::in_memory().unwrap(), ids());
    let first: Vec<_> = (0..=MOST_RESENT).map(|_| new_id()).collect();
    first.iter().for_each(|id| add(&store, id, &["one", "two"], EnvelopeState::Accepted));
    for device in ["one", "two"] {
        let again = |id| store.write(|tx| tx.add_resend(id, &new_id(), device, 0)).unwrap();
        let (last, most) = first.split_last().unwrap();
        assert!(most.iter().all(again), "{device}");
        assert!(!again(last), "{device}");
    }
}

#[test]
fn what_was_refused_is_kept_until_it_is_decided_about() {
    let (store, new_id) = (DeviceStore::in_memory().unwrap(), ids());
    for (state, is_kept) in [(EnvelopeState::Accepted, false), (EnvelopeState::Refused, true)] {
        let id = new_id();
        add(&store, &id, &[], state);
        store.write(|tx| tx.forget_contents(9, 40)).unwrap();
        assert_eq!(store.read(|tx| tx.plaintext(&id)).unwrap().is_some(), is_kept, "{state:?}");
        // It counts from the time at which it was sent.
        let is_sent = |tx: &Transaction<'_>| {
            tx.send_refused(&id, 10)?;
            tx.settle(&id, EnvelopeState::Accepted, None)
        };
        for (before_ms, now_ms, is_kept) in [(9, 40, is_kept), (11, 43, false)] {
            store.write(is_sent).unwrap();
            store.write(|tx| tx.forget_contents(before_ms, now_ms)).unwrap();
            assert_eq!(store.read(|tx| tx.plaintext(&id)).unwrap().is_some(), is_kept, "{before_ms}");
        }
    }
}

/// The first one was written while the clock was an hour ahead.
#[test]
fn what_a_clock_that_was_ahead_has_made_is_not_overtaken() {
    let (store, new_id) = (DeviceStore::in_memory().unwrap(), ids());
    let (first, later) = (new_id(), new_id());
    let put = |id: &EnvelopeId, now_ms| {
        let (message, silent, expires_ms) = (id.as_str(), false, None);
        let new = NewEnvelope { id, message, recipient: BOB, plaintext: b"hi", silent, expires_ms };
        store.write(|tx| tx.add_envelope(&new, now_ms)).unwrap();
    };
    put(&first, 3_600_000);
    store.write(|tx| tx.settle(&first, EnvelopeState::Refused, Some("why"))).unwrap();
    put(&later, 0);
    let is_behind_refused = |id| store.read(|tx| tx.is_behind_refused(id)).unwrap();
    assert_eq!([&first, &later].map(is_behind_refused), [false, true]);
    store.write(|tx| tx.send_refused(&first, 1)).unwrap();
    // The clock catches up.
    for now_ms in [1, 3_540_000, 3_540_001, 7_200_000] {
        let is_behind =
            |id| store.read(|tx| tx.is_behind_unsent(SendingAttempt { id, sender: 1, now_ms })).unwrap();
        assert_eq!([&first, &later].map(is_behind), [false, true], "{now_ms}");
        let unsent = store.read(|tx| tx.unsent_to(BOB)).unwrap();
        assert_eq!(unsent.iter().map(|sent| &sent.id).collect::<Vec<_>>(), [&first, &later]);
    }
    // What waits for its next attempt is not overtaken either.
    let failed = SendingAttempt { id: &first, sender: 0, now_ms: 1 };
    assert!(store.write(|tx| tx.postpone(failed, 9_000, "away")).unwrap());
    let attempt = SendingAttempt { id: &later, sender: 1, now_ms: 2 };
    assert!(store.read(|tx| tx.is_behind_unsent(attempt)).unwrap());
}

#[test]
fn the_id_of_what_is_sent_anew_is_still_that_of_this_device() {
    let (store, new_id) = (DeviceStore::in_memory().unwrap(), ids());
    let (id, anew) = (new_id(), new_id());
    add(&store, &id, &["one"], EnvelopeState::Queued);
    store.write(|tx| tx.send_anew(&id, &anew, b"hi", 5)).unwrap();
    let former = store.read(|tx| tx.envelope(id.as_str())).unwrap().unwrap();
    assert_eq!((former.recipient.as_str(), former.silent), (BOB, true));
    let open = store.read(|tx| tx.envelopes_of(id.as_str())).unwrap();
    assert!(open.iter().any(|it| it.id == anew && it.state == EnvelopeState::ToSend), "{open:?}");
}

/// The user has a message tried again, and later ones to the same person are due.
#[test]
fn only_what_is_older_goes_before_a_message() {
    let (store, new_id) = (DeviceStore::in_memory().unwrap(), ids());
    let all = [BOB, "https://b.example/user/carol", BOB, BOB].map(|recipient| {
        let id = new_id();
        let (message, silent, expires_ms) = (id.as_str(), false, None);
        let new = NewEnvelope { id: &id, message, recipient, plaintext: b"hi", silent, expires_ms };
        store.write(|tx| tx.add_envelope(&new, 0)).unwrap();
        id
    });
    let before = |id: &EnvelopeId| {
        let before = store.read(|tx| tx.envelopes_before(id.as_str(), 10)).unwrap();
        before.into_iter().map(|it| it.id).collect::<Vec<_>>()
    };
    let [first, carols, second, third] = &all;
    assert_eq!([first, carols].map(before), [vec![], vec![]]);
    assert_eq!([second, third].map(before), [vec![first.clone()], vec![first.clone(), second.clone()]]);
}

/// A process was suspended for longer than its claim lasts, and another one has tried the envelope meanwhile.
#[test]
fn a_late_failure_takes_back_nothing_that_another_process_has_done() {
    let (store, new_id) = (DeviceStore::in_memory().unwrap(), ids());
    let id = new_id();
    add(&store, &id, &["one"], EnvelopeState::ToSend);
    let by = |sender, now_ms| SendingAttempt { id: &id, sender, now_ms };
    let state = || {
        let now = store.read(|tx| tx.envelope(id.as_str())).unwrap().unwrap();
        (now.state, now.reason, now.tries, now.is_claimed)
    };
    let fails = |sender| {
        store
            .write(|tx| {
                let put_off = tx.postpone(by(sender, 300), 400, "away")?;
                let failed = tx.settle_attempt(&id, sender, EnvelopeState::Failed, Some("refused"))?;
                let held_back = tx.settle_attempt(&id, sender, EnvelopeState::Refused, Some("distrust"))?;
                Ok::<_, DeviceStoreError>([put_off, failed, held_back])
            })
            .unwrap()
    };
    assert!(store.write(|tx| tx.claim_envelope(by(1, 0), 100)).unwrap());
    assert!(store.write(|tx| tx.claim_envelope(by(2, 100), 200)).unwrap());
    assert_eq!(fails(1), [false; 3]);
    assert_eq!(state(), (EnvelopeState::ToSend, None, 0, true));
    let comes_to = |sender, state| store.write(|tx| tx.settle_attempt(&id, sender, state, None)).unwrap();
    assert!(comes_to(2, EnvelopeState::Accepted));
    assert_eq!((fails(1), comes_to(1, EnvelopeState::Queued)), ([false; 3], false));
    assert_eq!(state(), (EnvelopeState::Accepted, None, 0, false));
    // What it has sent is sent, whatever another one has met since.
    store.write(|tx| tx.settle(&id, EnvelopeState::Failed, Some("refused"))).unwrap();
    assert!(comes_to(1, EnvelopeState::Accepted));
    assert_eq!(state(), (EnvelopeState::Accepted, None, 0, false));
}
