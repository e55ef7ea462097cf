//! Tests of stored views and notices, and of the bounds of both.

use eko_protocol::device_set::DeviceSetRef;

use super::super::*;

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
    let keep = |of, length| {
        store.write(|tx| tx.keep_notice("friend", &view(of, length))).unwrap();
    };
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

/// Two hundred members of one domain, each with one notice, take no room from others.
#[test]
fn a_crowd_of_one_domain_pushes_out_no_notice_of_another() {
    let store = DeviceStore::in_memory().unwrap();
    let keep = |actor: &str| store.write(|tx| tx.keep_notice(actor, &KeptNotice::Forged(1))).unwrap();
    let friends = ["https://good.example/user/bob", "https://good.example/user/carol"];
    assert!(keep(friends[0]));
    for n in 0..250 {
        keep(&format!("https://s{n}.evil.example/user/puppet"));
    }
    assert!(keep(friends[1]));
    let kept = store.read(|tx| tx.kept_notices()).unwrap();
    assert!(friends.iter().all(|friend| kept.iter().any(|stored| stored.actor == *friend)));
    assert_eq!(kept.len(), 200);
}

/// A notice without room is told at once: the store does not say that it is kept.
#[test]
fn a_crowd_swallows_no_warning() {
    let store = DeviceStore::in_memory().unwrap();
    let keep = |actor: &str, notice| store.write(|tx| tx.keep_notice(actor, &notice)).unwrap();
    let is_there =
        |actor: &str| store.read(|tx| tx.kept_notices()).unwrap().iter().any(|stored| stored.actor == actor);
    let two_stories = || KeptNotice::TwoStories("g".to_owned());
    // News make room for what others state, and that for what this device has seen.
    assert!(keep("carol", KeptNotice::NotRead("m".to_owned())));
    (0..199).for_each(|n| assert!(keep(&format!("puppet {n}"), KeptNotice::Forged(1))));
    assert!(is_there("carol"));
    assert!(keep("dave", KeptNotice::Forged(1)) && is_there("dave") && !is_there("carol"));
    assert!(keep("mallory", two_stories()) && is_there("mallory"));
    assert!(!keep("erin", KeptNotice::NotRead("m".to_owned())) && !is_there("erin"));
    // Of equals the last one has no room.
    (0..199).for_each(|n| assert!(keep(&format!("liar {n}"), two_stories())));
    assert!(!keep("judy", two_stories()) && !is_there("judy"));
    // A contradiction in somebody's devices always has.
    assert!(keep("judy", KeptNotice::Distrusted("why".to_owned())) && is_there("judy"));
    (0..199).for_each(|n| assert!(keep(&format!("late {n}"), KeptNotice::Distrusted("why".to_owned()))));
    assert!(is_there("judy") && is_there("liar 0"), "and takes no place");
}
