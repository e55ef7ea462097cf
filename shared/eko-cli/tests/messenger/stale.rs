//! Tests of a server that withholds a control: the other members tell whoever has not got it.

use eko_client::group::{GroupChange, Proposal};

use crate::friends::{Friends, changes, group, hide};
use crate::people::{hear, text};

/// Bob's server hides from him what Alice sends, and so that Carol was removed. Carol's mailbox is
/// not Bob's, so her server does not matter.
#[tokio::test]
async fn a_withheld_removal_is_told_by_the_others() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    hide(line, bob, &[alice]);
    alice.change_group(&id, Proposal::Remove([carol.me().actor()].into())).await.unwrap();
    assert_eq!(friends.look(dave).await, changes([GroupChange::Removed]));
    assert_eq!(friends.look(bob).await, []);
    // Bob writes to Carol, as he knows nothing. Dave sees that Bob has a former state.
    bob.send_to_group(&id, text("without knowing")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(world, carol).await, ["without knowing"]);
    assert_eq!(hear(world, dave).await, ["without knowing"]);
    // Dave's message reaches Bob, and with it Alice's control, which proves itself.
    assert_eq!(friends.look(bob).await, changes([GroupChange::Removed]));
    assert_eq!(group(bob, &id).state, group(dave, &id).state);
    bob.send_to_group(&id, text("among us")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(world, carol).await, [""; 0]);
    assert_eq!(hear(world, dave).await, ["among us"]);
    line.honest();
    for client in friends.everybody() {
        friends.look(client).await;
    }
    assert_eq!(group(alice, &id).state, group(bob, &id).state);
    world.deliver().await;
}

/// A message that is held for a state that does not come is shown, and counts when the state comes.
#[tokio::test]
async fn what_waits_for_a_withheld_control_is_shown() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let id = friends.group().await;
    // Carol is told of nothing that an admin sends.
    hide(line, carol, &[alice, dave]);
    alice.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    friends.look(bob).await;
    bob.send_to_group(&id, text("on Saturday")).await.unwrap();
    world.deliver().await;
    assert_eq!(hear(world, carol).await, [""; 0]);
    let held = carol.held().unwrap();
    assert_eq!((held.len(), &held[0].actor), (1, &bob.me().actor()));
    line.honest();
    assert_eq!(hear(world, carol).await, ["on Saturday"]);
    assert_eq!(carol.held().unwrap(), []);
    world.deliver().await;
}
