//! Tests of the names of a user's devices, which all of them know.

use eko_client::messenger::Notice;
use eko_testkit::World;
use serde_json::Value;

use crate::people::{TestMessenger, approved, code_of, device_called, first, know};
use crate::test_network::{FalseAnswer, TestNetwork};

/// Alice with a phone, which has a name.
struct Scene {
    world: World,
    hers: TestNetwork,
    phone: TestMessenger,
}

impl Scene {
    async fn begin() -> Self {
        let world = World::new().await;
        let hers = TestNetwork::to(&[&world]);
        let (phone, _) = device_called(&world, &hers, "alice", "phone", Some("Phone")).await;
        Self { world, hers, phone }
    }

    /// Signs another device in, and approves it.
    async fn further(&self, approver: &TestMessenger, label: &str, name: Option<&str>) -> TestMessenger {
        let signed_in = device_called(&self.world, &self.hers, "alice", label, name).await;
        approved(&self.world, approver, signed_in).await
    }

    async fn look(&self, device: &TestMessenger) {
        self.world.deliver().await;
        let received = device.receive().await.unwrap();
        assert!(!received.notices.iter().any(|it| matches!(it, Notice::Unreadable { .. })), "{received:?}");
    }

    /// Returns how many envelopes Alice's devices have sent since this was asked last.
    fn sent(&self) -> usize {
        let seen = std::mem::take(&mut *self.hers.seen.lock().unwrap());
        let bodies = seen.iter().filter_map(|body| serde_json::from_slice::<Value>(body).ok());
        bodies.filter(|body| body["object"]["messages"].is_array()).count()
    }
}

/// Returns the names that a device knows, in the order of the alphabet.
async fn names(device: &TestMessenger) -> Vec<String> {
    let active = device.devices().await.unwrap().active;
    let mut names: Vec<_> = active.into_iter().filter_map(|device| device.name).collect();
    names.sort();
    names
}

/// The tablet is approved by the phone, and the laptop by the tablet. Each approval is one envelope more, whether
/// there is a contact or not.
#[tokio::test]
async fn every_device_knows_the_names_of_all() {
    for has_contact in [false, true] {
        let scene = Scene::begin().await;
        let Scene { world, phone, .. } = &scene;
        if has_contact {
            let carol = first(world, &TestNetwork::to(&[world]), "carol").await;
            know(phone, &carol.me()).await;
            know(&carol, &phone.me()).await;
        }
        scene.sent();
        let tablet = scene.further(phone, "tablet", Some("Tablet")).await;
        assert_eq!(scene.sent(), 1);
        scene.look(&tablet).await;
        assert_eq!(names(&tablet).await, ["Phone", "Tablet"]);
        let laptop = scene.further(&tablet, "laptop", Some("Laptop")).await;
        for _ in 0..2 {
            for device in [&laptop, phone, &tablet] {
                scene.look(device).await;
                assert_eq!(names(device).await, ["Laptop", "Phone", "Tablet"]);
            }
        }
        assert_eq!(scene.sent(), 1);
        // An hour later the phone tells the laptop of the contacts, too, but of no name again.
        world.advance(3_600_000);
        for device in [phone, &laptop, &tablet] {
            scene.look(device).await;
        }
        assert_eq!(scene.sent(), usize::from(has_contact));
        world.deliver().await;
    }
}

/// The phone's process dies after it has approved the tablet. Its next look tells the names.
#[tokio::test]
async fn names_that_were_not_told_are_told_by_the_next_look() {
    let scene = Scene::begin().await;
    scene.hers.drop_requests(|request| {
        let is_outbox = request.uri().path() == "/user/alice/outbox";
        is_outbox.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    let tablet = scene.further(&scene.phone, "tablet", Some("Tablet")).await;
    scene.hers.honest();
    assert_eq!(names(&tablet).await, ["Tablet"]);
    scene.world.advance(60_000);
    scene.look(&scene.phone).await;
    scene.look(&tablet).await;
    assert_eq!(names(&tablet).await, ["Phone", "Tablet"]);
    scene.world.deliver().await;
}

/// A server makes a name as long as it likes, and a device may have none.
#[tokio::test]
async fn a_device_without_a_name_that_fits_is_not_called_anything() {
    for name in [None, Some("")] {
        let scene = Scene::begin().await;
        scene.sent();
        let tablet = scene.further(&scene.phone, "tablet", name).await;
        assert_eq!(scene.sent(), 1, "the name of the phone");
        scene.look(&tablet).await;
        for device in [&scene.phone, &tablet] {
            assert_eq!(names(device).await, ["Phone"]);
        }
        scene.world.deliver().await;
    }
}

/// The phone hears of the watch, which the tablet has approved, while it approves the laptop. After that the server
/// does not say the laptop's name again.
#[tokio::test]
async fn the_name_of_a_device_that_is_being_approved_stays() {
    let scene = Scene::begin().await;
    let Scene { world, hers, phone } = &scene;
    let tablet = scene.further(phone, "tablet", Some("Tablet")).await;
    scene.look(&tablet).await;
    let watch = scene.further(&tablet, "watch", Some("Watch")).await;
    let (laptop, _) = device_called(world, hers, "alice", "laptop", Some("Laptop")).await;
    hers.drop_requests(|request| {
        let is_append = request.method() == "POST" && request.uri().path() == "/user/alice/devices";
        is_append.then(|| FalseAnswer { status: 503, body: Vec::new() })
    });
    phone.approve(&code_of(&laptop)).await.unwrap_err();
    hers.honest();
    scene.look(phone).await;
    hers.tamper(|passing| {
        let mut page: Value = serde_json::from_slice(passing.answer).ok()?;
        let is_pending = passing.endpoint.1.ends_with("/devices/pending");
        let waiting = page["items"].as_array_mut().filter(|_| is_pending)?;
        for device in waiting {
            device.as_object_mut()?.remove("name");
        }
        Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
    });
    phone.approve(&code_of(&laptop)).await.unwrap();
    laptop.join().await.unwrap();
    for device in [phone, &tablet, &laptop, &watch] {
        scene.look(device).await;
        assert!(names(device).await.contains(&"Laptop".to_owned()));
    }
    world.deliver().await;
}
