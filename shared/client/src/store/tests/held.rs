//! Tests of what the store keeps of groups: held activities, invitations, and members who are behind.

use std::collections::BTreeMap;

use super::super::*;
use crate::content::tests::repeatable;
use crate::group::{GroupChange, GroupControl, GroupSigner, GroupState, KnownGroup};
use crate::keys::IdentityPair;

fn held(actor: &str, n: i64, stranger: bool) -> HeldActivity {
    HeldActivity {
        row: 0,
        group: "g".to_owned(),
        actor: actor.to_owned(),
        device: format!("{actor}/device"),
        author: actor.to_owned(),
        awaited: actor.to_owned(),
        awaited_device: format!("{actor}/device"),
        received_ms: n,
        plaintext: vec![1],
        why: HeldReason::Ahead,
        stranger,
        warning: Some("beware".to_owned()),
        place: None,
        evidence: None,
    }
}

/// Holds activities, and returns how many are held of each author afterwards.
fn hold_all(store: &DeviceStore, all: impl Iterator<Item = HeldActivity>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    store
        .write(|tx| {
            for one in all {
                tx.hold(&one, 0)?;
            }
            for one in tx.held(None)? {
                *counts.entry(one.actor).or_default() += 1;
            }
            Ok::<_, DeviceStoreError>(())
        })
        .unwrap();
    counts
}

#[test]
fn of_one_author_only_the_newest_are_held() {
    let store = DeviceStore::in_memory().unwrap();
    let counts = hold_all(&store, (0..502).map(|n| held("bob", n, false)));
    assert_eq!(counts["bob"], 500);
    let kept = store.read(|tx| tx.held(Some("g"))).unwrap();
    assert_eq!((kept[0].received_ms, kept[499].received_ms), (2, 501));
    assert_eq!(kept[0].warning.as_deref(), Some("beware"));
    assert_eq!(store.read(|tx| tx.held(Some("other"))).unwrap(), []);
}

#[test]
fn strangers_evict_nothing_of_contacts() {
    let store = DeviceStore::in_memory().unwrap();
    let genuine = (0..5).map(|n| held("bob", n, false));
    let strangers = (0..40).flat_map(|who| (0..30).map(move |n| held(&format!("s{who}"), n, true)));
    let counts = hold_all(&store, genuine.chain(strangers));
    assert_eq!(counts["bob"], 5);
    assert!(counts.iter().all(|(who, count)| who == "bob" || *count <= 20));
    assert_eq!(counts.values().sum::<usize>(), 205);
}

/// A member keeps a place by an envelope that cannot be read, and fills it months later with what is held first.
#[test]
fn what_is_held_keeps_no_place_that_it_comes_too_late_for() {
    let place = AwaitedMessage {
        actor: "bob".to_owned(),
        device: "bob/device".to_owned(),
        received_ms: 1,
        position: 7,
        stored_ms: 1,
        why: AwaitedReason::Undecryptable,
    };
    for (received_ms, kept) in [(1 + LATE_MS, Some(7)), (2 + LATE_MS, None)] {
        let store = DeviceStore::in_memory().unwrap();
        let held = store.write(|tx| {
            tx.hold(&held("bob", received_ms, false), 0)?;
            tx.hold_place(&place, &[1])?;
            tx.held(None)
        });
        let held: Result<_, DeviceStoreError> = held;
        assert_eq!(held.unwrap()[0].place, kept);
    }
}

/// Whoever has a domain invents as many servers and users as they like.
#[test]
fn strangers_of_one_domain_evict_nothing_of_those_of_another() {
    let store = DeviceStore::in_memory().unwrap();
    let (bob, mallory) =
        ("https://good.example/user/bob", |who| format!("https://s{who}.evil.example/user/m"));
    let genuine = (0..5).map(|n| held(bob, n, true));
    let flood = (0..300).map(|who| held(&mallory(who), 0, true));
    let counts = hold_all(&store, genuine.chain(flood));
    assert_eq!(counts[bob], 5);
    assert_eq!(counts.values().sum::<usize>(), 200);
    assert!(!counts.contains_key(&mallory(0)));
}

/// Returns an invitation by an actor to a group of that actor's, which Bob has seen as a stranger's.
fn invitation(by: &str, n: u64, declined: bool) -> StoredInvitation {
    let environment = repeatable(n);
    let (actor, me) = (format!("https://{by}"), "https://good.example/user/bob".to_owned());
    let device = format!("{actor}/device/a11ce001-5c1b-4e9a-9d2f-6b7c1a2e3d40");
    let state = GroupState::create("Choir", [me], &actor, &environment).unwrap();
    let identity = IdentityPair::from_secret([7; 32]);
    let signer = GroupSigner {
        actor: &actor,
        device: &device,
        identity: &identity,
        device_set: None,
        environment: &environment,
    };
    let latest = GroupControl::seal(GroupChange::Created, None, &state, &signer).unwrap();
    let known = KnownGroup::created(state, &device);
    let received_ms = i64::try_from(n).unwrap();
    StoredInvitation { by: actor, known, latest, received_ms, stranger: true, declined }
}

#[test]
fn invitations_of_one_domains_strangers_evict_neither_others_nor_what_was_declined() {
    let store = DeviceStore::in_memory().unwrap();
    let invite = |by: &str, n, declined| {
        let invitation = invitation(by, n, declined);
        store.write(|tx| tx.keep_invitation(&invitation)).unwrap();
    };
    invite("good.example/user/alice", 0, false);
    invite("good.example/user/carol", 0, false);
    for n in 1..4 {
        invite("evil.example/user/one", n, true);
    }
    for who in 0..7 {
        for n in 0..20 {
            invite(&format!("evil.example/user/mallory_{who}"), 100 * (who + 1) + n, false);
        }
    }
    let kept = store.read(|tx| tx.invitations(None)).unwrap();
    let of = |wanted: &str| kept.iter().filter(|it| it.by.ends_with(wanted)).count();
    assert_eq!(
        (of("/alice"), of("/one"), of("/mallory_0"), of("/mallory_6"), kept.len()),
        (1, 3, 14, 14, 103)
    );
    for who in 0..150 {
        invite(&format!("s{who}.evil.example/user/mallory"), 1_000 + who, false);
    }
    let kept = store.read(|tx| tx.invitations(None)).unwrap();
    let good = kept.iter().filter(|it| it.by.contains("good.example")).count();
    assert_eq!((good, kept.len()), (2, 103));
    // Nor do later ones of the same author.
    for n in 4..40 {
        invite("evil.example/user/one", n, false);
    }
    let kept = store.read(|tx| tx.invitations(None)).unwrap();
    assert_eq!(kept.iter().filter(|it| it.declined).count(), 3);
}

/// The server may have withheld what a member was told first.
#[test]
fn a_member_who_is_behind_is_told_again_after_an_hour() {
    let store = DeviceStore::in_memory().unwrap();
    let announce = |state: &str, now_ms| {
        store.write(|tx| tx.note_announced("g", "bob", state, now_ms, now_ms - 10)).unwrap()
    };
    assert!(announce("a", 0));
    assert!(!announce("a", 9));
    assert!(announce("a", 10));
    assert!(!announce("a", 19));
    assert!(announce("b", 19));
    // The clock was ahead.
    assert!(announce("b", 1_000));
    assert!(announce("b", 20));
    let is_behind = |now_ms| store.write(|tx| tx.note_behind("g", "bob", "a", now_ms, now_ms - 10)).unwrap();
    assert!(!is_behind(1_000));
    assert_eq!([20, 29, 30].map(is_behind), [false, false, true]);
}

/// Among contacts and members the sender of whom most is held makes room, not the one who was first.
/// An admin brings in as many members as they like, of one domain.
#[test]
fn whoever_sends_most_makes_room() {
    let store = DeviceStore::in_memory().unwrap();
    let genuine = (0..5).map(|n| held("bob", n, false));
    let flood = (0..11).flat_map(|who| (0..500).map(move |n| held(&format!("m{who}"), n, false)));
    let counts = hold_all(&store, genuine.chain(flood));
    assert_eq!(counts["bob"], 5);
    assert_eq!(counts.values().sum::<usize>(), 5_000);
    let store = DeviceStore::in_memory().unwrap();
    let dave = "https://good.example/user/dave";
    let genuine = (0..400).map(|n| held(dave, n, false));
    let flood = (0..5_000).map(|n| held(&format!("https://s{}.evil.example/user/m", n % 250), n, false));
    assert_eq!(hold_all(&store, genuine.chain(flood))[dave], 400);
}

/// A member who shows a made-up history and then the true one does not settle what another has shown.
#[test]
fn a_conflict_with_one_actor_does_not_hide_another() {
    let store = DeviceStore::in_memory().unwrap();
    store
        .write(|tx| {
            assert!(tx.note_conflict("choir", "alice")?);
            assert!(tx.note_conflict("choir", "mallory")?);
            assert!(!tx.note_conflict("choir", "alice")?, "it is known");
            tx.settle_conflict("choir", "mallory")?;
            assert_eq!(tx.conflict("choir")?.as_deref(), Some("alice"));
            assert_eq!(tx.conflict("other")?, None);
            Ok::<_, DeviceStoreError>(())
        })
        .unwrap();
}

/// A record that cannot be opened is sealed anew, and one that the server has lost is stored anew.
#[test]
fn whoever_is_untold_stays_so_whatever_becomes_of_the_record() {
    use crate::store::SavedRecord;
    let store = DeviceStore::in_memory().unwrap();
    let untold = std::collections::BTreeSet::from(["carol".to_owned()]);
    let record = SavedRecord { epoch: 3, hash: "now".to_owned(), untold, ..SavedRecord::default() };
    for epoch in [4, 0] {
        let anew = SavedRecord { epoch, ..record.clone() };
        store.write(|tx| tx.keep_saved_record("Friday", &anew)).unwrap();
        assert_eq!(store.read(|tx| tx.saved_record("Friday")).unwrap(), anew);
    }
    assert_eq!(record.clone().of_state("now"), record);
    let other = record.of_state("later");
    assert_eq!((other.epoch, other.untold.len()), (3, 0), "another state has members of its own to tell");
}
