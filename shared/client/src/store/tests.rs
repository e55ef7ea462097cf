//! Tests of the store.

use std::collections::BTreeMap;

use eko_protocol::device_set::DeviceSetRef;

use super::*;
use crate::content::tests::repeatable;
use crate::group::{GroupChange, GroupControl, GroupSigner, GroupState, KnownGroup};
use crate::keys::IdentityPair;

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
    let take = |now_ms| store.write(|tx| tx.take_lease("refresh", now_ms, now_ms + 10)).unwrap();
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
}

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
    }
}

fn origin_of(actor: &str) -> String {
    actor.split('/').next().unwrap().to_owned()
}

/// Holds activities, and returns how many are held of each author afterwards.
fn hold_all(store: &DeviceStore, all: impl Iterator<Item = HeldActivity>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    store
        .write(|tx| {
            for one in all {
                tx.hold(&one, 0, origin_of)?;
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

/// A server invents as many members as it likes.
#[test]
fn strangers_of_one_server_evict_nothing_of_those_of_another() {
    let store = DeviceStore::in_memory().unwrap();
    let genuine = (0..5).map(|n| held("good/bob", n, true));
    let flood = (0..300).map(|who| held(&format!("evil/{who}"), 0, true));
    let counts = hold_all(&store, genuine.chain(flood));
    assert_eq!(counts["good/bob"], 5);
    assert_eq!(counts.values().sum::<usize>(), 200);
    assert!(!counts.contains_key("evil/0"));
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
fn invitations_of_one_servers_strangers_evict_neither_others_nor_what_was_declined() {
    let store = DeviceStore::in_memory().unwrap();
    let origin = |actor: &str| actor.split('/').nth(2).unwrap().to_owned();
    let invite = |by: &str, n, declined| {
        let invitation = invitation(by, n, declined);
        store.write(|tx| tx.keep_invitation(&invitation, origin)).unwrap();
    };
    invite("good.example/user/alice", 0, false);
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
        (1, 3, 0, 20, 103)
    );
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
}

/// Among contacts the author of whom most is held makes room, not the one who was first.
#[test]
fn whoever_sends_most_makes_room() {
    let store = DeviceStore::in_memory().unwrap();
    let genuine = (0..5).map(|n| held("bob", n, false));
    let flood = (0..11).flat_map(|who| (0..500).map(move |n| held(&format!("m{who}"), n, false)));
    let counts = hold_all(&store, genuine.chain(flood));
    assert_eq!(counts["bob"], 5);
    assert_eq!(counts.values().sum::<usize>(), 5_000);
}

/// A server invents as many names as it likes. It pushes out only what came from it.
#[test]
fn a_flood_of_strangers_pushes_out_only_what_their_server_sent() {
    let store = DeviceStore::in_memory().unwrap();
    let from = |actor: &str, n: i64| MessageContent {
        actor: actor.to_owned(),
        conversation: actor.to_owned(),
        ..arrival(&format!("{actor}/{n}"), &format!("{actor}/device/1"), None)
    };
    let request = |actor: &str, n| store.write(|tx| tx.store_request(&from(actor, n), n, origin_of)).unwrap();
    store.write(|tx| tx.store_arrival(&from("evil/contact", 0), 0)).unwrap();
    for n in 0..5 {
        let expected = if n == 0 { RequestOutcome::First } else { RequestOutcome::Another };
        assert_eq!(request("good/bob", n), expected);
    }
    assert_eq!(request("good/bob", 4), RequestOutcome::Ignored);
    for n in 0..MOST_OF_STRANGERS + 50 {
        request(&format!("evil/{n}"), n);
    }
    let kept = store.read(|tx| tx.requests()).unwrap();
    assert_eq!(kept.len(), usize::try_from(MOST_OF_STRANGERS).unwrap());
    assert_eq!(kept.iter().filter(|message| message.actor == "good/bob").count(), 5);
    assert!(kept.iter().all(|message| message.actor != "evil/0"));
    assert_eq!(placed(&store, 0).0, ["evil/contact/0"]);
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
    let receipt = store.write(|tx| tx.take_receipt(&author, "me")).unwrap().unwrap();
    let told: Vec<_> = receipt.missing.iter().map(|gap| gap.sequence.clone()).collect();
    assert_eq!(told, [vec![2, 3, 4], (6..26).collect::<Vec<u64>>()]);
    // Each gap is told once.
    assert_eq!(store.write(|tx| tx.take_receipt(&author, "me")).unwrap(), None);
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
            tx.store_request(&asks, 0, |_| String::new())?;
            assert_eq!(tx.strangers_without_requests()?, ["old", "middle", "new"]);
            tx.note_read(CiphertextKey { actor: "old", envelope: "e", device: "d" }, 9, 0)?;
            assert_eq!(tx.strangers_without_requests()?, ["middle", "new", "old"]);
            Ok::<_, DeviceStoreError>(())
        })
        .unwrap();
}

/// Whoever has left a group does not get its list of members.
#[test]
fn the_views_of_former_members_are_forgotten() {
    let store = DeviceStore::in_memory().unwrap();
    let holder = |actor| ViewHolder { actor, device: actor, conversation: "g" };
    let due = store.write(|tx| {
        tx.note_difference(holder("bob"), "other")?;
        tx.note_difference(holder("carol"), "other")?;
        tx.keep_views_of("g", &["alice".to_owned(), "carol".to_owned()].into())?;
        Ok::<_, DeviceStoreError>([tx.due_view("bob")?, tx.due_view("carol")?])
    });
    assert_eq!(due.unwrap(), [None, Some("g".to_owned())]);
}

/// Twenty-five puppets with eight notices each do not push out what one friend has told.
#[test]
fn no_crowd_pushes_out_the_notice_of_one() {
    let store = DeviceStore::in_memory().unwrap();
    let set = |length| DeviceSetRef { length, head: "ab".repeat(32) };
    let keep = |actor: &str, of: &str| {
        let notice = KeptNotice::Contradiction(of.to_owned(), set(7));
        store.write(|tx| tx.keep_notice(actor, &notice)).unwrap();
    };
    keep("friend", "bob");
    for puppet in 0..30 {
        (0..9).for_each(|of| keep(&format!("puppet {puppet}"), &format!("{of}")));
    }
    let kept = store.read(|tx| tx.kept_notices()).unwrap();
    assert_eq!((kept.len(), kept[0].actor.as_str()), (200, "friend"));
    let most = (0..30).map(|puppet| {
        let actor = format!("puppet {puppet}");
        kept.iter().filter(|stored| stored.actor == actor).count()
    });
    assert_eq!(most.max(), Some(7), "whoever has most makes room");
}

/// A view that the user was told of stays, and is not told again. It makes room for another one.
#[test]
fn a_view_that_was_told_stays_told() {
    let store = DeviceStore::in_memory().unwrap();
    let view = |of: usize, length| {
        let set = DeviceSetRef { length, head: "ab".repeat(32) };
        KeptNotice::Contradiction(format!("user {of}"), set)
    };
    let keep = |of, length| store.write(|tx| tx.keep_notice("friend", &view(of, length))).unwrap();
    let told = || {
        let kept = store.read(|tx| tx.kept_notices()).unwrap();
        kept.into_iter().map(|stored| (stored.notice, stored.told)).collect::<Vec<_>>()
    };
    (0..8).for_each(|of| keep(of, 7));
    store.write(|tx| tx.note_notice_told("friend", &view(0, 0))).unwrap();
    for length in [7, 9] {
        keep(0, length);
        assert!(told().contains(&(view(0, length), true)), "{length}");
    }
    keep(8, 7);
    assert_eq!(told().len(), 8);
    assert!(told().contains(&(view(8, 7), false)) && !told().contains(&(view(0, 9), true)));
    keep(9, 7);
    assert!(!told().contains(&(view(9, 7), false)), "no notice makes room that was not told");
}

/// The server reports on an envelope after its recipient has received it.
#[test]
fn no_report_takes_a_receipt_back() {
    let (store, environment) = (DeviceStore::in_memory().unwrap(), repeatable(1));
    for said in [EnvelopeState::Accepted, EnvelopeState::Failed] {
        let id = environment.envelope_id();
        let message = id.as_str();
        let new = NewEnvelope { id: &id, message, recipient: "bob", plaintext: b"hi", silent: false };
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
