//! Tests of messages that could not be decrypted: their devices send them again, once, and to nobody else.

use std::sync::atomic::{AtomicUsize, Ordering};

use eko_client::Environment;
use eko_client::content::MAX_MISSING;
use eko_client::device::EntryContent;
use eko_client::group::Proposal;
use eko_client::messenger::{Notice, RESENT_FOR_DAYS, StoreView};
use eko_client::store::{ASK_PAUSE_MS, AWAITED_DAYS, EnvelopeState, MOST_RESENT, RESEND_TIME_MS};
use eko_protocol::id::EnvelopeId;
use eko_testkit::{World, seeded};
use serde_json::json;

use crate::forced::damaged;
use crate::forging::{Forger, ForgingSessions};
use crate::people::{TestMessenger, befriend, first, further, hear, request, say, shown, text};
use crate::receipts::state;
use crate::restarting::RestartingUser;
use crate::test_network::{FalseAnswer, NetworkFault, TestNetwork};

const DAY_MS: i64 = 24 * 3_600_000;

/// Damages what a device finds in its mailbox from now on.
pub(crate) fn damage(line: &TestNetwork, user: &str) {
    let inbox = format!("/user/{user}/inbox");
    line.tamper(move |passing| {
        (passing.endpoint == ("GET", &*inbox)).then(|| damaged(passing.answer)).flatten()
    });
}

/// Lets a client look, which finds one message that it cannot decrypt.
async fn looks_in_vain(client: &TestMessenger, from: &str) {
    let notices = client.receive().await.unwrap().notices;
    assert_eq!(notices, [Notice::Awaited { actor: from.to_owned() }]);
}

/// Returns the texts of the messages that are new to a program that follows the store.
fn new_texts(client: &TestMessenger, view: &mut StoreView) -> Vec<String> {
    let new = client.look_into_store(view).unwrap().shown;
    new.into_iter().map(|message| message.content.text).collect()
}

/// Answers the requests to send something in the place of Alice's server, which takes nothing.
fn refuse_to_send(line: &TestNetwork) {
    line.drop_requests(|request| {
        let is_sending = request.uri().path() == "/user/alice/outbox";
        is_sending.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
}

fn is_missed(notice: &Notice) -> bool {
    matches!(notice, Notice::Missed { .. })
}

fn texts(client: &TestMessenger) -> Vec<(String, u64)> {
    let history = client.history(None, 100).unwrap();
    history.into_iter().map(|message| (message.content.text, message.missing_before)).collect()
}

fn whole(texts: &[&str]) -> Vec<(String, u64)> {
    texts.iter().map(|text| ((*text).to_owned(), 0)).collect()
}

#[tokio::test]
async fn what_could_not_be_decrypted_comes_again_into_its_place() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    say(&alice, &bob.me(), "one").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["one"]);
    world.deliver().await;
    hear(&world, &alice).await;
    let two = say(&alice, &bob.me(), "two").await;
    // Two entries of one millisecond have no order.
    world.advance(1);
    let lost = [two, say(&alice, &bob.me(), "three").await];
    world.deliver().await;
    damage(&his, "bob");
    let awaited = Notice::Awaited { actor: alice.me().actor() };
    assert_eq!(bob.receive().await.unwrap().notices, [awaited.clone(), awaited]);
    his.honest();
    assert_eq!(bob.awaited(Some(&alice.me().actor())).unwrap().len(), 2);
    assert_eq!(bob.awaited(Some(&bob.me().actor())).unwrap(), []);
    // A program that follows the store has seen everything until now.
    let mut view = StoreView::of(None);
    bob.look_into_store(&mut view).unwrap();
    say(&bob, &alice.me(), "what did you say?").await;
    world.deliver().await;
    // Alice's device answers by itself, and tells her nothing of it.
    let received = alice.receive().await.unwrap();
    assert_eq!(
        (shown(&alice, &received), &received.notices[..]),
        (vec!["what did you say?".into()], &[][..])
    );
    say(&alice, &bob.me(), "four").await;
    world.deliver().await;
    let mut heard = hear(&world, &bob).await;
    heard.sort();
    assert_eq!(heard, ["four", "three", "two"]);
    let mut new: Vec<_> =
        bob.look_into_store(&mut view).unwrap().shown.into_iter().map(|it| it.content.text).collect();
    new.sort();
    assert_eq!(new, heard);
    assert_eq!(bob.look_into_store(&mut view).unwrap().shown, []);
    assert_eq!(texts(&bob), whole(&["one", "two", "three", "what did you say?", "four"]));
    assert_eq!(bob.awaited(None).unwrap(), []);
    world.deliver().await;
    hear(&world, &alice).await;
    for sent in lost {
        assert_eq!(state(&alice, &sent.id), EnvelopeState::Delivered);
        assert_eq!(alice.sent(&sent.id).unwrap().envelopes.len(), 1);
    }
    world.deliver().await;
}

/// Nothing comes after the message, so that its place is the last one that the program has seen.
#[tokio::test]
async fn the_last_message_is_new_to_a_program_that_follows_when_it_comes_again() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    let mut view = StoreView::of(None);
    say(&alice, &bob.me(), "one").await;
    world.deliver().await;
    hear(&world, &bob).await;
    assert_eq!(new_texts(&bob, &mut view), [""; 0], "it was shown");
    world.deliver().await;
    hear(&world, &alice).await;
    say(&alice, &bob.me(), "two").await;
    world.deliver().await;
    damage(&his, "bob");
    looks_in_vain(&bob, &alice.me().actor()).await;
    his.honest();
    assert_eq!(new_texts(&bob, &mut view), [""; 0]);
    world.deliver().await;
    alice.receive().await.unwrap();
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["two"]);
    assert_eq!(new_texts(&bob, &mut view), ["two"]);
    assert_eq!(new_texts(&bob, &mut view), [""; 0]);
    world.deliver().await;
}

/// The lost envelope was an invitation, which leaves its place empty when it comes again.
#[tokio::test]
async fn the_message_after_a_place_that_stays_empty_is_new_to_a_program_that_follows() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    let mut view = StoreView::of(None);
    assert_eq!(new_texts(&bob, &mut view), [""; 0]);
    alice.create_group("Friday", &[bob.me()]).await.unwrap();
    world.deliver().await;
    damage(&his, "bob");
    looks_in_vain(&bob, &alice.me().actor()).await;
    his.honest();
    assert_eq!(new_texts(&bob, &mut view), [""; 0]);
    world.deliver().await;
    alice.receive().await.unwrap();
    world.deliver().await;
    hear(&world, &bob).await;
    assert_eq!((bob.invitations().unwrap().len(), bob.awaited(None).unwrap()), (1, vec![]));
    say(&alice, &bob.me(), "will you come?").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["will you come?"]);
    assert_eq!(new_texts(&bob, &mut view), ["will you come?"]);
    world.deliver().await;
}

#[tokio::test]
async fn only_the_device_that_asks_gets_it_again() {
    let world = World::new().await;
    let (wire, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let sessions = ForgingSessions::default();
    let alice = sessions.first(&world, &wire, "alice").await;
    let bob = first(&world, &his, "bob").await;
    let two = further(&world, &wire, &bob, "two").await;
    alice.verification(&bob.me()).await.unwrap();
    alice.accept_contact(&bob.me()).unwrap();
    bob.verification(&alice.me()).await.unwrap();
    bob.accept_contact(&alice.me()).unwrap();
    let sent = alice.send(&bob.me(), text("hello")).await.unwrap();
    world.deliver().await;
    damage(&his, "bob");
    looks_in_vain(&bob, &alice.me().actor()).await;
    his.honest();
    hear(&world, &two).await;
    world.deliver().await;
    sessions.said.lock().unwrap().clear();
    alice.receive().await.unwrap();
    let said = sessions.said.lock().unwrap().clone();
    let to: Vec<_> =
        said.iter().filter(|(_, it)| it["id"] == *sent.id).map(|(device, _)| device.as_str()).collect();
    assert_eq!(to, [bob.device().address()]);
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["hello"]);
    assert_eq!(hear(&world, &two).await, [""; 0]);
    world.deliver().await;
}

/// A copy from another device of the user wakes nobody, so that no place is kept for it.
#[tokio::test]
async fn the_copy_of_an_own_message_comes_again() {
    let world = World::new().await;
    let (hers, tablets) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &hers, "bob").await);
    let tablet = further(&world, &tablets, &alice, "tablet").await;
    befriend(&alice, &bob).await;
    say(&alice, &bob.me(), "one").await;
    world.deliver().await;
    assert_eq!(hear(&world, &tablet).await, ["one"]);
    say(&tablet, &bob.me(), "from the tablet").await;
    world.deliver().await;
    assert_eq!(hear(&world, &alice).await, ["from the tablet"]);
    say(&alice, &bob.me(), "two").await;
    world.deliver().await;
    damage(&tablets, "alice");
    let received = tablet.receive().await.unwrap();
    assert!(matches!(&received.notices[..], [Notice::Unreadable { .. }]), "{received:?}");
    tablets.honest();
    assert_eq!(tablet.awaited(None).unwrap(), []);
    world.deliver().await;
    assert_eq!(alice.receive().await.unwrap().notices, []);
    world.deliver().await;
    assert_eq!(hear(&world, &tablet).await, ["two"]);
    assert_eq!(texts(&tablet), whole(&["one", "from the tablet", "two"]));
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
    for client in [&alice, &tablet] {
        hear(&world, client).await;
    }
    world.deliver().await;
}

#[tokio::test]
async fn a_message_to_a_group_comes_again() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    world.deliver().await;
    hear(&world, &bob).await;
    bob.join_group(&id, None).await.unwrap();
    world.deliver().await;
    hear(&world, &alice).await;
    alice.send_to_group(&id, text("hello, all")).await.unwrap();
    world.deliver().await;
    damage(&his, "bob");
    looks_in_vain(&bob, &alice.me().actor()).await;
    his.honest();
    world.deliver().await;
    alice.receive().await.unwrap();
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["hello, all"]);
    assert_eq!(bob.history(Some(id.as_str()), 10).unwrap().len(), 1);
    assert_eq!(bob.awaited(None).unwrap(), []);
    world.deliver().await;
}

/// Has Mallory's device ask for an envelope.
/// Bob has not joined the group yet, so that a note to it is held.
#[tokio::test]
async fn a_held_message_that_comes_again_has_its_place_once_it_is_held_no_more() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    say(&alice, &bob.me(), "one").await;
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
    hear(&world, &alice).await;
    let (id, _) = alice.create_group("Friday", &[bob.me()]).await.unwrap();
    world.deliver().await;
    hear(&world, &bob).await;
    alice.send_to_group(&id, text("two")).await.unwrap();
    world.deliver().await;
    damage(&his, "bob");
    looks_in_vain(&bob, &alice.me().actor()).await;
    his.honest();
    say(&alice, &bob.me(), "three").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["three"]);
    // She is asked, and answers. The answer is held.
    for client in [&alice, &bob] {
        world.deliver().await;
        assert_eq!(hear(&world, client).await, [""; 0]);
    }
    assert_eq!((bob.held().unwrap().len(), bob.awaited(None).unwrap().len()), (1, 0));
    let mut view = StoreView::of(None);
    bob.look_into_store(&mut view).unwrap();
    bob.join_group(&id, None).await.unwrap();
    hear(&world, &bob).await;
    assert_eq!(texts(&bob), whole(&["one", "two", "three"]));
    assert_eq!(new_texts(&bob, &mut view), ["two"], "it is new to a program that follows");
    world.deliver().await;
    hear(&world, &alice).await;
    world.deliver().await;
}

async fn ask(sessions: &ForgingSessions, mallory: &Forger, alice: &TestMessenger, envelope: &EnvelopeId) {
    ask_for_all(sessions, mallory, alice, std::slice::from_ref(envelope)).await;
}

/// Has Mallory's device ask for envelopes.
async fn ask_for_all(
    sessions: &ForgingSessions,
    mallory: &Forger,
    alice: &TestMessenger,
    envelopes: &[EnvelopeId],
) {
    let device = alice.device().address();
    let asked = envelopes.iter().map(|envelope| json!({ "device": device, "envelope": envelope }));
    let asked: Vec<_> = asked.collect();
    sessions.forge(move |activity| {
        activity["type"] = json!("Delivered");
        activity["object"] = json!([]);
        activity["eko:unreadable"] = json!(asked);
    });
    mallory.send(&alice.me(), text("what did you say?")).await.unwrap();
}

/// Returns the number of times that an activity was heard.
fn times(sessions: &ForgingSessions, id: &str) -> usize {
    sessions.heard.lock().unwrap().iter().filter(|activity| activity["id"] == *id).count()
}

#[tokio::test]
async fn whoever_asks_gets_nothing_but_what_the_device_had_and_that_once() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let look = async |client: &Forger| {
        world.deliver().await;
        let notices = alice.receive().await.unwrap().notices;
        world.deliver().await;
        client.receive().await.unwrap();
        notices
    };
    let hers = say(&alice, &mallory.me(), "hello, Mallory").await;
    let his = say(&alice, &bob.me(), "for Bob").await;
    look(&mallory).await;
    // Her device says what it owes before it forges anything.
    mallory.accept_contact(&alice.me()).unwrap();
    for _ in 0..2 {
        look(&mallory).await;
    }
    let not_read = Notice::NotRead { actor: mallory.me().actor(), id: hers.id.clone() };
    let forged = Notice::Forged { actor: mallory.me().actor(), count: 1 };
    ask(&sessions, &mallory, &alice, &his.envelopes[0].id).await;
    assert_eq!(look(&mallory).await, std::slice::from_ref(&forged));
    assert_eq!((times(&sessions, &hers.id), times(&sessions, &his.id)), (1, 0));
    // Over and over.
    for expected in [vec![], vec![not_read.clone()], vec![]] {
        ask(&sessions, &mallory, &alice, &hers.envelopes[0].id).await;
        let notices = look(&mallory).await;
        notices.iter().for_each(|notice| alice.note_told(notice).unwrap());
        assert!(notices == expected || notices == [not_read.clone()], "{notices:?}");
        assert_eq!(times(&sessions, &hers.id), 2);
    }
    // A device that she had not when it was sent.
    sessions.forge(|_| {});
    let environment = Environment { clock: world.clock(), random: seeded("mallory/later") };
    let later = sessions.sign_in(&world, &wire, environment, request(&world, "mallory", false)).await;
    world.deliver().await;
    mallory.receive().await.unwrap();
    mallory.approve(&later.joining_code().unwrap().unwrap()).await.unwrap();
    later.join().await.unwrap();
    later.verification(&alice.me()).await.unwrap();
    later.accept_contact(&alice.me()).unwrap();
    ask(&sessions, &later, &alice, &hers.envelopes[0].id).await;
    assert!(look(&later).await.contains(&not_read));
    assert_eq!(times(&sessions, &hers.id), 2);
    // A device that is revoked when Alice reads what it asks for.
    sessions.forge(|_| {});
    let both = say(&alice, &mallory.me(), "to both of you").await;
    look(&mallory).await;
    later.receive().await.unwrap();
    assert_eq!(times(&sessions, &both.id), 2);
    ask(&sessions, &later, &alice, &both.envelopes[0].id).await;
    world.deliver().await;
    sessions.forge(|_| {});
    mallory.revoke(later.device().id()).await.unwrap();
    alice.verification(&mallory.me()).await.unwrap();
    look(&mallory).await;
    assert_eq!((times(&sessions, &both.id), world.deliver().await), (2, 0));
    assert_eq!(alice.next_due_ms().unwrap(), None);
}

/// The device asks, and is revoked before the answer is sent.
#[tokio::test]
async fn a_device_that_is_gone_when_the_answer_is_sent_gets_none() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    let two = further(&world, &his, &bob, "two").await;
    befriend(&alice, &bob).await;
    two.verification(&alice.me()).await.unwrap();
    two.accept_contact(&alice.me()).unwrap();
    let sent = say(&alice, &bob.me(), "hello").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["hello"]);
    damage(&his, "bob");
    looks_in_vain(&two, &alice.me().actor()).await;
    his.honest();
    world.deliver().await;
    // Nothing can be sent at that moment.
    refuse_to_send(&hers);
    alice.receive().await.unwrap();
    hers.honest();
    bob.revoke(two.device().id()).await.unwrap();
    alice.verification(&bob.me()).await.unwrap();
    world.advance(600_000);
    let tried = alice.flush().await.unwrap();
    assert_eq!((tried.len(), tried[0].state), (1, EnvelopeState::Failed));
    let notices = alice.receive().await.unwrap().notices;
    assert!(notices.contains(&Notice::NotRead { actor: bob.me().actor(), id: sent.id }), "{notices:?}");
    world.deliver().await;
}

/// A server takes the answer and drops it.
#[tokio::test]
async fn an_answer_that_does_not_come_is_missed_an_hour_later() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    say(&alice, &bob.me(), "one").await;
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
    hear(&world, &alice).await;
    let lost = say(&alice, &bob.me(), "two").await;
    world.deliver().await;
    damage(&his, "bob");
    looks_in_vain(&bob, &alice.me().actor()).await;
    his.honest();
    world.deliver().await;
    alice.receive().await.unwrap();
    world.deliver().await;
    let entries = bob.device().fetch().await.unwrap().entries.into_iter();
    let entries = entries.filter(|entry| matches!(entry.content, EntryContent::Message(_)));
    let entries: Vec<_> = entries.map(|entry| entry.address).collect();
    assert_eq!(entries.len(), 1);
    bob.device().acknowledge(&entries).await.unwrap();
    say(&alice, &bob.me(), "three").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["three"]);
    // The next look reports what is missing. It may be on its way again.
    hear(&world, &bob).await;
    world.deliver().await;
    let notices = alice.receive().await.unwrap().notices;
    assert!(!notices.iter().any(is_missed), "{notices:?}");
    world.advance(RESEND_TIME_MS);
    let notices = alice.receive().await.unwrap().notices;
    assert_eq!(notices, [Notice::Missed { actor: bob.me().actor(), ids: vec![lost.id.clone()] }]);
    let reason = alice.sent(&lost.id).unwrap().envelopes[0].reason.clone().unwrap();
    assert!(reason.contains("not received"), "{reason}");
    world.deliver().await;
}

/// Mallory asks for everything at once, while Alice's server takes nothing.
#[tokio::test]
async fn whoever_asks_for_much_gets_some_of_it_and_holds_up_nothing() {
    let world = World::new().await;
    let (hers, wire) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let alice = first(&world, &hers, "alice").await;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let most = usize::try_from(MOST_RESENT).unwrap();
    let mut said = Vec::new();
    for number in 0..most + 5 {
        said.push(say(&alice, &mallory.me(), &number.to_string()).await);
    }
    world.deliver().await;
    mallory.receive().await.unwrap();
    let envelopes: Vec<_> = said.iter().map(|sent| sent.envelopes[0].id.clone()).collect();
    refuse_to_send(&hers);
    ask_for_all(&sessions, &mallory, &alice, &envelopes[..most]).await;
    ask_for_all(&sessions, &mallory, &alice, &envelopes[most..]).await;
    sessions.forge(|_| {});
    world.deliver().await;
    let notices = alice.receive().await.unwrap().notices;
    let not_read = notices.iter().filter(|it| matches!(it, Notice::NotRead { .. })).count();
    assert_eq!(not_read, 5, "{notices:?}");
    // What she writes waits for none of it.
    let posts = || hers.asked.lock().unwrap().iter().filter(|url| url.ends_with("/alice/outbox")).count();
    let before = posts();
    alice.send(&mallory.me(), text("new")).await.unwrap();
    assert_eq!(posts() - before, 1);
    hers.honest();
    world.advance(600_000);
    assert_eq!(alice.flush().await.unwrap().len(), most + 1);
    world.deliver().await;
    mallory.receive().await.unwrap();
    let heard: usize = said.iter().map(|sent| times(&sessions, &sent.id)).sum();
    assert_eq!(heard, said.len() + most);
    world.deliver().await;
}

/// An answer would show a stranger that Alice's device is there.
#[tokio::test]
async fn a_former_member_who_asks_gets_nothing() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &wire, "bob").await);
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let (id, _) = bob.create_group("Friday", &[alice.me(), mallory.me()]).await.unwrap();
    world.deliver().await;
    alice.receive().await.unwrap();
    alice.join_group(&id, None).await.unwrap();
    mallory.receive().await.unwrap();
    mallory.join_group(&id, None).await.unwrap();
    let look = async || {
        world.deliver().await;
        bob.receive().await.unwrap();
        mallory.receive().await.unwrap();
        alice.receive().await.unwrap().notices
    };
    look().await;
    let sent = alice.send_to_group(&id, text("hello, all")).await.unwrap();
    let to_mallory = sent.envelopes.iter().find(|it| it.recipient == mallory.me().actor()).unwrap();
    look().await;
    bob.change_group(&id, Proposal::Remove([mallory.me().actor()].into())).await.unwrap();
    look().await;
    look().await;
    ask(&sessions, &mallory, &alice, &to_mallory.id).await;
    let notices = look().await;
    let not_read = Notice::NotRead { actor: mallory.me().actor(), id: sent.id.clone() };
    assert!(notices.contains(&not_read), "{notices:?}");
    sessions.forge(|_| {});
    look().await;
    assert_eq!(times(&sessions, &sent.id), 1);
    world.deliver().await;
}

#[tokio::test]
async fn what_has_no_room_in_a_report_is_asked_for_an_hour_later() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    for number in 0..MAX_MISSING + 2 {
        say(&alice, &bob.me(), &number.to_string()).await;
    }
    world.deliver().await;
    damage(&his, "bob");
    assert_eq!(bob.receive().await.unwrap().notices.len(), MAX_MISSING + 2);
    his.honest();
    for expected in [MAX_MISSING, 2] {
        world.deliver().await;
        alice.receive().await.unwrap();
        world.deliver().await;
        assert_eq!(hear(&world, &bob).await.len(), expected);
        world.deliver().await;
        hear(&world, &alice).await;
        world.advance(ASK_PAUSE_MS);
        bob.receive().await.unwrap();
    }
    assert_eq!(bob.awaited(None).unwrap(), []);
    let missing: u64 = texts(&bob).iter().map(|(_, missing)| missing).sum();
    assert_eq!((texts(&bob).len(), missing), (MAX_MISSING + 2, 0));
    world.deliver().await;
}

/// A second message is lost within the hour in which its device is not asked again.
#[tokio::test]
async fn what_is_still_to_be_asked_for_is_not_missed() {
    let world = World::new().await;
    let (hers, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &hers, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    say(&alice, &bob.me(), "one").await;
    world.deliver().await;
    hear(&world, &bob).await;
    world.deliver().await;
    hear(&world, &alice).await;
    let mut told = Vec::new();
    let mut look = async || {
        world.deliver().await;
        told.extend(alice.receive().await.unwrap().notices);
        world.deliver().await;
    };
    let mut lost = None;
    for words in ["two", "three"] {
        lost = Some(say(&alice, &bob.me(), words).await);
        world.deliver().await;
        damage(&his, "bob");
        looks_in_vain(&bob, &alice.me().actor()).await;
        his.honest();
        look().await;
        let heard = hear(&world, &bob).await;
        assert_eq!(heard.len(), usize::from(words == "two"));
        world.advance(600_000);
        hear(&world, &bob).await;
        look().await;
    }
    say(&alice, &bob.me(), "four").await;
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["four"]);
    hear(&world, &bob).await;
    look().await;
    assert_eq!(texts(&bob), [whole(&["one", "two"]), vec![("four".into(), 1)]].concat());
    world.advance(ASK_PAUSE_MS);
    // This report names the message as lost and as missing.
    hear(&world, &bob).await;
    look().await;
    assert_eq!(hear(&world, &bob).await, ["three"]);
    look().await;
    world.advance(RESEND_TIME_MS);
    look().await;
    assert!(!told.iter().any(is_missed), "{told:?}");
    assert_eq!(state(&alice, &lost.unwrap().id), EnvelopeState::Delivered);
    assert_eq!(texts(&bob), whole(&["one", "two", "three", "four"]));
    world.deliver().await;
}

#[tokio::test]
async fn what_is_not_sent_again_is_missing_after_some_days() {
    let world = World::new().await;
    let (wire, his) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let (alice, bob) = (first(&world, &wire, "alice").await, first(&world, &his, "bob").await);
    befriend(&alice, &bob).await;
    let sent = say(&alice, &bob.me(), "hello").await;
    world.deliver().await;
    damage(&his, "bob");
    looks_in_vain(&bob, &alice.me().actor()).await;
    his.honest();
    let [awaited] = &bob.awaited(None).unwrap()[..] else { panic!() };
    assert!(!awaited.is_missing(world.now_ms()));
    world.deliver().await;
    world.advance(AWAITED_DAYS * DAY_MS);
    assert!(awaited.is_missing(world.now_ms()));
    // It finds its place all the same.
    alice.receive().await.unwrap();
    world.deliver().await;
    assert_eq!(hear(&world, &bob).await, ["hello"]);
    assert_eq!(bob.awaited(None).unwrap(), []);
    world.deliver().await;
    hear(&world, &alice).await;
    assert_eq!(state(&alice, &sent.id), EnvelopeState::Delivered);
    world.deliver().await;
}

#[tokio::test]
async fn what_was_said_long_ago_is_not_kept() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let alice = first(&world, &wire, "alice").await;
    let sessions = ForgingSessions::default();
    let mallory = sessions.first(&world, &wire, "mallory").await;
    let sent = say(&alice, &mallory.me(), "hello").await;
    world.deliver().await;
    mallory.receive().await.unwrap();
    world.deliver().await;
    world.advance((RESENT_FOR_DAYS + 1) * DAY_MS);
    alice.receive().await.unwrap();
    ask(&sessions, &mallory, &alice, &sent.envelopes[0].id).await;
    world.deliver().await;
    let notices = alice.receive().await.unwrap().notices;
    assert!(notices.contains(&Notice::NotRead { actor: mallory.me().actor(), id: sent.id }), "{notices:?}");
    world.deliver().await;
}

/// Alice's process ends after any number of requests, before or after the server has handled the last one.
#[tokio::test]
async fn an_answer_comes_once_wherever_the_process_ends() {
    let world = World::new().await;
    let his = TestNetwork::to(&[&world]);
    let (user, alice) = RestartingUser::sign_in(&world, "alice").await;
    let bob = first(&world, &his, "bob").await;
    befriend(&alice, &bob).await;
    drop(alice);
    for fault in [NetworkFault::LostRequest, NetworkFault::LostAnswer] {
        for good in 0..4 {
            let words = format!("{good}");
            say(&user.open(), &bob.me(), &words).await;
            world.deliver().await;
            damage(&his, "bob");
            looks_in_vain(&bob, &user.open().me().actor()).await;
            his.honest();
            world.deliver().await;
            let requests = AtomicUsize::new(0);
            user.line.fail(move || (requests.fetch_add(1, Ordering::SeqCst) >= good).then_some(fault));
            // It dies, whatever it has done.
            let _ = user.open().receive().await;
            user.line.honest();
            world.advance(3_600_000);
            hear(&world, &user.open()).await;
            world.deliver().await;
            assert_eq!(hear(&world, &bob).await, [words]);
            assert_eq!(bob.awaited(None).unwrap(), []);
            world.deliver().await;
            hear(&world, &user.open()).await;
            world.deliver().await;
            hear(&world, &bob).await;
        }
    }
    world.deliver().await;
}
