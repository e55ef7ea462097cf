//! Tests of a true invitation beside one of a former member for the same group.

use eko_client::group::{Proposal, propose};
use eko_client::messenger::GroupEvent;

use crate::controls::{control, signing};
use crate::friends::group;
use crate::lineages::Scene;
use crate::people::{TestMessenger, first, know};
use crate::test_network::{FalseAnswer, TestNetwork};

/// Mallory, who was removed, has invited Eve at an early epoch and lists Alice among the admins.
struct Shadow {
    scene: Scene,
    line: TestNetwork,
    eve: TestMessenger,
}

impl Shadow {
    async fn cast(declines: bool) -> Self {
        let scene = Scene::begin().await;
        let Scene { world, alice, mallory, id, common, .. } = &scene;
        alice.change_group(id, Proposal::Remove([mallory.me().actor()].into())).await.unwrap();
        let line = TestNetwork::to(&[world]);
        let eve = first(world, &line, "eve").await;
        know(&eve, &alice.me()).await;
        let addition = Proposal::Add([eve.me().actor()].into());
        let (change, state) = signing(mallory, |signer| propose(common, addition, signer)).unwrap();
        scene.send(&control(mallory, change, Some(common), &state), &eve).await;
        scene.look(&eve).await;
        if declines {
            eve.decline_group(id, None).unwrap();
        }
        Self { scene, line, eve }
    }

    /// Changes the entries of each page of Eve's mailbox.
    fn tamper(&self, change: impl Fn(&mut Vec<serde_json::Value>) + Send + Sync + 'static) {
        let inbox = format!("/user/{}/inbox", self.eve.me().user);
        self.line.tamper(move |passing| {
            if passing.endpoint != ("GET", inbox.as_str()) {
                return None;
            }
            let mut page: serde_json::Value = serde_json::from_slice(passing.answer).unwrap();
            change(page["orderedItems"].as_array_mut().unwrap());
            Some(FalseAnswer { status: 200, body: page.to_string().into_bytes() })
        });
    }

    /// Alice adds Eve and renames the group. Eve is told of Alice's invitation, and joins by it.
    async fn assert_invited(&self) {
        let Self { scene, eve, .. } = self;
        let Scene { world, alice, id, .. } = scene;
        alice.change_group(id, Proposal::Add([eve.me().actor()].into())).await.unwrap();
        world.deliver().await;
        world.advance(1_000);
        alice.change_group(id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
        let told = [scene.look(eve).await, scene.look(eve).await].concat();
        let by_alice =
            |it: &&(String, GroupEvent, _)| it.0 == alice.me().actor() && it.1 == GroupEvent::Invited;
        assert_eq!(told.iter().filter(by_alice).count(), 1, "{told:?}");
        eve.join_group(id, Some(&alice.me())).await.unwrap();
        assert_eq!(group(eve, id).state, group(alice, id).state);
        for client in [alice, &scene.bob, &scene.dave] {
            scene.look(client).await;
        }
        scene.mallory.receive().await.unwrap();
        scene.look(eve).await;
        world.deliver().await;
    }
}

/// Mallory, who is an admin still, renames the group after Alice has added Eve. Eve sees that first.
#[tokio::test]
async fn changes_of_two_admins_in_the_wrong_order_are_one_invitation() {
    let scene = Scene::begin().await;
    let (world, id) = (&scene.world, scene.id.clone());
    let line = TestNetwork::to(&[world]);
    let eve = first(world, &line, "eve").await;
    know(&eve, &scene.alice.me()).await;
    know(&eve, &scene.mallory.me()).await;
    let id = &id;
    let shadow = Shadow { scene, line, eve };
    let Shadow { scene: Scene { world, alice, mallory, .. }, eve, .. } = &shadow;
    shadow.tamper(|entries| entries.reverse());
    alice.change_group(id, Proposal::Add([eve.me().actor()].into())).await.unwrap();
    world.deliver().await;
    mallory.receive().await.unwrap();
    world.advance(1_000);
    mallory.change_group(id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    shadow.scene.look(eve).await;
    shadow.scene.look(eve).await;
    eve.join_group(id, None).await.unwrap();
    assert_eq!(group(eve, id).state.name(), "Saturday");
    for client in [alice, &shadow.scene.bob, &shadow.scene.dave] {
        shadow.scene.look(client).await;
    }
    mallory.receive().await.unwrap();
    world.deliver().await;
}

/// Alice's `renamed` comes before her `added`.
#[tokio::test]
async fn a_true_invitation_in_the_wrong_order_is_its_authors() {
    for declines in [true, false] {
        let shadow = Shadow::cast(declines).await;
        shadow.tamper(|entries| entries.reverse());
        shadow.assert_invited().await;
    }
}

/// Alice's `added` is withheld.
#[tokio::test]
async fn a_true_invitation_without_its_addition_is_its_authors() {
    for declines in [true, false] {
        let shadow = Shadow::cast(declines).await;
        let author = shadow.scene.alice.me().actor();
        shadow.tamper(move |entries| {
            if let Some(at) = entries.iter().position(|entry| entry["actor"] == *author) {
                entries.remove(at);
            }
        });
        shadow.assert_invited().await;
    }
}
