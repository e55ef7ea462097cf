//! Section 9: group states at the server.

use eko_client::device::{GroupStateAnswer, JoinKind};
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::GroupStateId;
use eko_testkit::World;

use super::{Examples, actor};
use crate::cast::ALICE;

pub(super) async fn play(examples: &mut Examples) {
    let world = World::new().await;
    let alice = actor(&world, &ALICE);
    alice.register(&world.id_token(&alice).await, JoinKind::First).await.unwrap();
    let id = GroupStateId::parse("5c8d2f6b-7c1a-8e4b-9c39-2f6f6f0f7a11").unwrap();
    let state = |epoch| SealedGroupState { epoch, content: vec![7; 1_600] };
    assert_eq!(alice.keep_group_state(&id, &state(2)).await.unwrap(), GroupStateAnswer::Done);
    examples.exchange("keep group state", &alice.last());
    assert_eq!(alice.keep_group_state(&id, &state(1)).await.unwrap(), GroupStateAnswer::Stale(2));
    examples.answer("stale group state", &alice.last());
    assert_eq!(alice.group_states().await.unwrap().states.len(), 1);
    examples.exchange("group states", &alice.last());
    assert_eq!(alice.group_state(&id).await.unwrap(), Some(state(2)));
    examples.exchange("group state", &alice.last());
    assert_eq!(alice.drop_group_state(&id, 2).await.unwrap(), GroupStateAnswer::Done);
    examples.exchange("drop group state", &alice.last());
}
