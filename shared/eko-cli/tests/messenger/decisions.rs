//! Tests of what a user decides about people on one device: it holds on all.

use eko_client::messenger::{Notice, StoreView};
use eko_client::store::{ASK_PAUSE_MS, MOST_OF_STRANGER};
use eko_testkit::World;
use serde_json::Value;

use crate::people::{TestMessenger, first, further, hear, know, say, shown};
use crate::test_network::TestNetwork;

/// Alice with a phone and a tablet, and Carol, a stranger.
struct Scene {
    world: World,
    wire: TestNetwork,
    phone: TestMessenger,
    tablet: TestMessenger,
    carol: TestMessenger,
}

impl Scene {
    async fn meet() -> Self {
        let world = World::new().await;
        let wire = TestNetwork::to(&[&world]);
        let (phone, carol) = (first(&world, &wire, "alice").await, first(&world, &wire, "carol").await);
        let tablet = further(&world, &wire, &phone, "tablet").await;
        Self { world, wire, phone, tablet, carol }
    }

    /// Carol writes some texts one after the other.
    async fn carol_says(&self, texts: &[&str]) {
        for words in texts {
            say(&self.carol, &self.phone.me(), words).await;
            self.world.advance(1_000);
        }
        self.world.deliver().await;
    }

    /// Looks into a mailbox, and returns the texts that are new.
    async fn look(&self, device: &TestMessenger) -> Vec<String> {
        self.world.deliver().await;
        let received = device.receive().await.unwrap();
        assert!(!received.notices.iter().any(|it| matches!(it, Notice::Unreadable { .. })), "{received:?}");
        shown(device, &received)
    }

    /// Has the devices of Alice tell each other and Carol, until nothing is left to tell.
    async fn settle(&self) {
        for _ in 0..3 {
            for device in [&self.phone, &self.tablet, &self.carol] {
                self.look(device).await;
            }
        }
        assert_eq!(self.world.deliver().await, 0);
    }
}

/// Returns the number of messages of strangers that a device holds back.
fn held_back(device: &TestMessenger) -> usize {
    device.requests().unwrap().iter().map(|request| request.messages.len()).sum()
}

fn texts(device: &TestMessenger) -> Vec<String> {
    device.history(None, 200).unwrap().into_iter().map(|message| message.content.text).collect()
}

#[tokio::test]
async fn an_acceptance_releases_what_every_device_holds_back_in_order_and_once() {
    let scene = Scene::meet().await;
    let Scene { phone, tablet, carol, .. } = &scene;
    scene.carol_says(&["one", "two", "three"]).await;
    for device in [phone, tablet] {
        assert_eq!(scene.look(device).await, [""; 0]);
        assert_eq!(held_back(device), 3);
    }
    phone.accept_contact(&carol.me()).unwrap();
    phone.tell_decisions().await.unwrap();
    assert_eq!(scene.look(tablet).await, ["one", "two", "three"]);
    assert_eq!(scene.look(phone).await, ["one", "two", "three"]);
    assert_eq!(held_back(tablet), 0);
    scene.carol_says(&["four"]).await;
    for device in [phone, tablet] {
        assert_eq!(scene.look(device).await, ["four"]);
        assert_eq!(texts(device), ["one", "two", "three", "four"]);
    }
    scene.settle().await;
}

/// The phone's process dies after the acceptance. The next look of the phone tells the tablet.
#[tokio::test]
async fn an_acceptance_that_was_not_told_is_told_by_the_next_look() {
    let scene = Scene::meet().await;
    let Scene { phone, tablet, carol, .. } = &scene;
    scene.carol_says(&["one"]).await;
    for device in [phone, tablet] {
        scene.look(device).await;
    }
    phone.accept_contact(&carol.me()).unwrap();
    scene.look(phone).await;
    assert_eq!(scene.look(tablet).await, ["one"]);
    scene.settle().await;
}

/// A device that knows nothing of Carol but what another one has told it.
#[tokio::test]
async fn a_device_that_is_approved_later_knows_the_contacts() {
    let scene = Scene::meet().await;
    let Scene { world, wire, phone, tablet, carol } = &scene;
    know(phone, &carol.me()).await;
    know(carol, &phone.me()).await;
    let laptop = further(world, wire, phone, "laptop").await;
    scene.look(&laptop).await;
    scene.carol_says(&["hello all"]).await;
    for device in [&laptop, tablet, phone] {
        assert_eq!(scene.look(device).await, ["hello all"]);
        assert_eq!(held_back(device), 0);
    }
    scene.look(&laptop).await;
    scene.settle().await;
}

/// The laptop is approved while the tablet is off. So the tablet is told of all contacts, after what was said.
#[tokio::test]
async fn a_decision_that_is_told_again_leaves_a_conversation_in_order() {
    let scene = Scene::meet().await;
    let Scene { world, wire, phone, tablet, carol } = &scene;
    know(phone, &carol.me()).await;
    know(carol, &phone.me()).await;
    scene.carol_says(&["before"]).await;
    scene.settle().await;
    for (said, answered) in [("one", "two"), ("three", "four")] {
        say(phone, &carol.me(), said).await;
        world.advance(1_000);
        scene.carol_says(&[answered]).await;
    }
    further(world, wire, phone, "laptop").await;
    scene.look(phone).await;
    assert_eq!(scene.look(tablet).await, ["one", "two", "three", "four"]);
    assert_eq!(texts(tablet), ["before", "one", "two", "three", "four"]);
    scene.settle().await;
}

/// The user had one device, and what was decided on it was told to nobody.
#[tokio::test]
async fn the_second_device_knows_the_contacts_of_the_first() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let (phone, carol) = (first(&world, &wire, "alice").await, first(&world, &wire, "carol").await);
    know(&phone, &carol.me()).await;
    know(&carol, &phone.me()).await;
    let tablet = further(&world, &wire, &phone, "tablet").await;
    world.deliver().await;
    tablet.receive().await.unwrap();
    say(&carol, &phone.me(), "hello").await;
    world.deliver().await;
    for device in [&tablet, &phone] {
        assert_eq!(hear(&world, device).await, ["hello"]);
    }
    world.deliver().await;
    hear(&world, &carol).await;
    world.deliver().await;
}

/// The tablet reads what Carol wrote before the phone declined it, and after.
#[tokio::test]
async fn a_decline_holds_on_all_devices_for_what_it_was_about() {
    let scene = Scene::meet().await;
    let Scene { phone, tablet, carol, .. } = &scene;
    scene.carol_says(&["buy this", "or this"]).await;
    for device in [phone, tablet] {
        scene.look(device).await;
    }
    phone.decline(&carol.me()).unwrap();
    phone.tell_decisions().await.unwrap();
    scene.look(tablet).await;
    assert_eq!([held_back(phone), held_back(tablet)], [0, 0]);
    scene.carol_says(&["or that"]).await;
    scene.look(phone).await;
    assert_eq!(held_back(phone), 1);
    phone.decline(&carol.me()).unwrap();
    phone.tell_decisions().await.unwrap();
    // The entries of strangers are read last, so the tablet hears of the decline first.
    scene.look(tablet).await;
    assert_eq!(held_back(tablet), 0);
    scene.carol_says(&["please"]).await;
    for device in [phone, tablet] {
        scene.look(device).await;
        assert_eq!(held_back(device), 1);
    }
    scene.settle().await;
}

/// A device that was away for the time of the decline meets Carol's messages and the decline at once.
#[tokio::test]
async fn what_was_declined_is_no_request_of_a_device_that_reads_it_later() {
    let scene = Scene::meet().await;
    let Scene { phone, tablet, carol, .. } = &scene;
    let flood: Vec<String> = (0..=MOST_OF_STRANGER).map(|n| n.to_string()).collect();
    scene.carol_says(&flood.iter().map(String::as_str).collect::<Vec<_>>()).await;
    scene.look(phone).await;
    phone.decline(&carol.me()).unwrap();
    phone.tell_decisions().await.unwrap();
    scene.look(tablet).await;
    scene.look(tablet).await;
    assert_eq!(held_back(tablet), 0);
    scene.carol_says(&["please"]).await;
    for device in [phone, tablet] {
        scene.look(device).await;
        assert_eq!(held_back(device), 1);
    }
    scene.settle().await;
}

/// Neither device has heard of the decision of the other one. The acceptance counts, and what was deleted
/// comes again.
#[tokio::test]
async fn of_two_decisions_at_the_same_time_the_acceptance_counts() {
    for declines_first in [true, false] {
        let scene = Scene::meet().await;
        let Scene { world, phone, tablet, carol, .. } = &scene;
        scene.carol_says(&["one", "two"]).await;
        for device in [phone, tablet] {
            scene.look(device).await;
        }
        tablet.decline(&carol.me()).unwrap();
        phone.accept_contact(&carol.me()).unwrap();
        let order = if declines_first { [tablet, phone] } else { [phone, tablet] };
        for device in order {
            device.tell_decisions().await.unwrap();
        }
        scene.settle().await;
        world.advance(ASK_PAUSE_MS);
        scene.settle().await;
        for device in [phone, tablet] {
            assert_eq!((texts(device), held_back(device)), (vec!["one".to_owned(), "two".to_owned()], 0));
        }
        scene.carol_says(&["three"]).await;
        for device in [phone, tablet] {
            assert_eq!(scene.look(device).await, ["three"]);
        }
        scene.settle().await;
    }
}

/// Returns the recipients of the envelopes that a device has sent, with the number of its requests and of the
/// bytes that have passed, since this was asked last.
fn traffic(wire: &TestNetwork) -> (Vec<String>, usize, usize) {
    let asked = std::mem::take(&mut *wire.asked.lock().unwrap());
    let seen = std::mem::take(&mut *wire.seen.lock().unwrap());
    let bodies = seen.iter().filter_map(|body| serde_json::from_slice::<Value>(body).ok());
    let envelopes: Vec<Value> = bodies.filter(|it| it["object"]["messages"].is_array()).collect();
    let to = envelopes.iter().filter_map(|body| body["to"].as_str());
    let bytes = seen.iter().map(Vec::len).sum();
    (to.map(str::to_owned).collect(), asked.len(), bytes)
}

/// One envelope tells the other devices what is decided in one look, whatever was decided about how many.
#[tokio::test]
async fn what_is_decided_in_one_look_costs_one_envelope() {
    let world = World::new().await;
    let (hers, wire) = (TestNetwork::to(&[&world]), TestNetwork::to(&[&world]));
    let phone = first(&world, &hers, "alice").await;
    let mut others = Vec::new();
    for label in ["tablet", "laptop"] {
        others.push(further(&world, &wire, &phone, label).await);
    }
    let mut strangers = Vec::new();
    for name in ["carol", "dave", "erin", "frank"] {
        strangers.push(first(&world, &wire, name).await);
    }
    let everybody = || std::iter::once(&phone).chain(&others).chain(&strangers);
    let settle = async || {
        for _ in 0..3 {
            for device in everybody() {
                world.deliver().await;
                device.receive().await.unwrap();
            }
        }
        world.advance(1_000);
    };
    for stranger in &strangers[..3] {
        say(stranger, &phone.me(), "hello").await;
    }
    settle().await;
    let me = phone.me().actor();
    traffic(&hers);
    // The first sessions with the other devices begin with their keys. Then it is one request, for one person
    // as for two.
    for (accepted, most_requests, most_bytes) in [(&strangers[..1], 2, 20_000), (&strangers[1..3], 1, 13_000)]
    {
        for stranger in accepted {
            phone.accept_contact(&stranger.me()).unwrap();
        }
        phone.tell_decisions().await.unwrap();
        let (to, requests, bytes) = traffic(&hers);
        assert_eq!(to, [me.as_str()], "one envelope for both other devices");
        assert!(requests <= most_requests && bytes < most_bytes, "{requests} requests, {bytes} bytes");
        settle().await;
        traffic(&hers);
        phone.tell_decisions().await.unwrap();
        assert_eq!(traffic(&hers), (vec![], 0, 0), "and nothing is told twice");
    }
    // The first message to somebody: the chain, the keys, the message, its copy, and the decision.
    let them = strangers[3].me();
    say(&phone, &them, "hello").await;
    let (mut to, requests, bytes) = traffic(&hers);
    to.sort();
    assert_eq!(to, [me.clone(), me, them.actor()]);
    assert!(requests <= 6 && bytes < 50_000, "{requests} requests, {bytes} bytes");
    settle().await;
    traffic(&hers);
    say(&phone, &them, "again").await;
    assert_eq!(traffic(&hers).0.len(), 2, "the message and its copy");
    settle().await;
    assert!(others.iter().all(|device| held_back(device) == 0));
    world.deliver().await;
}

/// The phone answers, and the tablet hears of that before or after it has read what was asked, and whether it
/// has kept all of it or not.
#[tokio::test]
async fn what_a_stranger_asked_stands_before_the_answer_on_every_device() {
    for count in [2, MOST_OF_STRANGER + 5] {
        for has_looked in [true, false] {
            for accepts_before in [true, false] {
                if accepts_before && count > MOST_OF_STRANGER {
                    continue;
                }
                let scene = Scene::meet().await;
                let Scene { world, phone, tablet, carol, .. } = &scene;
                let mut all: Vec<String> = (0..count).map(|n| format!("{n:02}")).collect();
                scene.carol_says(&all.iter().map(String::as_str).collect::<Vec<_>>()).await;
                scene.look(phone).await;
                if has_looked {
                    scene.look(tablet).await;
                }
                if accepts_before {
                    phone.accept_contact(&carol.me()).unwrap();
                    phone.tell_decisions().await.unwrap();
                }
                let mut view = StoreView::of(None);
                tablet.look_into_store(&mut view).unwrap();
                say(phone, &carol.me(), "an answer").await;
                let seen = scene.look(tablet).await;
                assert!(seen.last().is_some_and(|last| last == "an answer"), "{seen:?}");
                let followed = tablet.look_into_store(&mut view).unwrap().shown.into_iter();
                assert_eq!(followed.map(|it| it.content.text).collect::<Vec<_>>(), seen);
                for _ in 0..2 {
                    scene.settle().await;
                    world.advance(ASK_PAUSE_MS);
                }
                all.push("an answer".to_owned());
                for device in [phone, tablet] {
                    assert_eq!(texts(device), all, "{count} {has_looked} {accepts_before}");
                }
            }
        }
    }
}
