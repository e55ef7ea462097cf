//! Tests of the new master key after somebody has left a group: any admin may look first, and
//! anything may fail in between.

use eko_client::group::{GroupChange, Proposal};

use crate::friends::{Friends, changes, events, fail_after, group, key};
use crate::people::further;
use crate::test_network::NetworkFault;

#[tokio::test]
async fn whichever_admin_looks_first_renews_it() {
    let friends = Friends::meet().await;
    let id = friends.group().await;
    let old = key(&friends.bob, &id);
    friends.bob.change_group(&id, Proposal::Leave).await.unwrap();
    // Dave comes after Alice in the list of admins.
    assert_eq!(friends.look(&friends.dave).await, changes([GroupChange::Left]));
    friends.look_for(&friends.alice, [GroupChange::Left, GroupChange::Rekeyed]).await;
    friends.look_for(&friends.carol, [GroupChange::Left, GroupChange::Rekeyed]).await;
    friends.assert_renewed(&[&friends.alice, &friends.carol, &friends.dave], &id, &old).await;
    assert_eq!(group(&friends.alice, &id).state.epoch(), 4, "once is enough");
    assert_eq!(key(&friends.bob, &id), old, "who left has the old one");
}

#[tokio::test]
async fn a_rename_after_the_departure_does_not_hide_it() {
    let friends = Friends::meet().await;
    let id = friends.group().await;
    let old = key(&friends.bob, &id);
    friends.bob.change_group(&id, Proposal::Leave).await.unwrap();
    friends.world.deliver().await;
    // Dave's look is cut off after he has fetched the page, so he knows of the departure. Then he
    // renames the group.
    fail_after(&friends.dave_line, 1, NetworkFault::LostRequest);
    assert_eq!(events(friends.dave.receive().await.unwrap().notices), changes([GroupChange::Left]));
    friends.dave_line.honest();
    friends.dave.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    assert!(group(&friends.dave, &id).rekey_due);
    // Alice sees both changes in one look.
    friends.look_for(&friends.alice, [GroupChange::Left, GroupChange::Renamed]).await;
    assert_eq!(friends.look(&friends.dave).await, changes([GroupChange::Rekeyed]));
    friends.assert_renewed(&[&friends.alice, &friends.carol, &friends.dave], &id, &old).await;
}

#[tokio::test]
async fn a_renewal_that_cannot_be_sent_is_sent_later() {
    for fault in [NetworkFault::LostRequest, NetworkFault::LostAnswer] {
        let friends = Friends::meet().await;
        let id = friends.group().await;
        let old = key(&friends.bob, &id);
        friends.bob.change_group(&id, Proposal::Leave).await.unwrap();
        friends.world.deliver().await;
        // The page and its acknowledgement pass, and so Bob's chain is pinned.
        fail_after(&friends.alice_line, 2, fault);
        assert_eq!(events(friends.alice.receive().await.unwrap().notices), changes([GroupChange::Left]));
        if fault == NetworkFault::LostRequest {
            assert_eq!(friends.look(&friends.carol).await, changes([GroupChange::Left]));
        }
        friends.alice_line.honest();
        friends.world.advance(friends.alice.next_due_ms().unwrap().unwrap() - friends.world.now_ms());
        friends.assert_renewed(&[&friends.alice, &friends.carol, &friends.dave], &id, &old).await;
    }
}

#[tokio::test]
async fn a_renewal_outlives_the_process_that_learned_of_it() {
    let friends = Friends::meet().await;
    let (user, erin) = friends.restarting_user("erin").await;
    let (id, _) = erin.create_group("Friday", &[friends.bob.me(), friends.carol.me()]).await.unwrap();
    friends.join(&id, &[&friends.bob, &friends.carol]).await;
    let old = key(&friends.bob, &id);
    friends.bob.change_group(&id, Proposal::Leave).await.unwrap();
    friends.world.deliver().await;
    fail_after(&user.line, 1, NetworkFault::LostRequest);
    assert_eq!(events(erin.receive().await.unwrap().notices), changes([GroupChange::Left]));
    drop(erin);
    user.line.honest();
    let erin = user.open();
    assert!(group(&erin, &id).rekey_due);
    assert_eq!(friends.look(&erin).await, [], "she has read of it before");
    friends.look_for(&friends.carol, [GroupChange::Left, GroupChange::Rekeyed]).await;
    friends.assert_renewed(&[&erin, &friends.carol], &id, &old).await;
}

#[tokio::test]
async fn nobody_but_an_admin_renews_it() {
    let friends = Friends::meet().await;
    let id = friends.group().await;
    let old = key(&friends.bob, &id);
    friends.bob.change_group(&id, Proposal::Leave).await.unwrap();
    assert_eq!(friends.look(&friends.carol).await, changes([GroupChange::Left]));
    for client in [&friends.carol, &friends.bob] {
        for _ in 0..3 {
            assert_eq!(friends.look(client).await, []);
        }
        let group = group(client, &id);
        assert_eq!((group.rekey_due, group.state.epoch(), group.state.master_key()), (true, 3, &old));
    }
    assert_eq!(friends.look(&friends.alice).await, changes([GroupChange::Left]));
    friends.assert_renewed(&[&friends.alice, &friends.carol, &friends.dave], &id, &old).await;
}

#[tokio::test]
async fn two_admins_who_renew_it_at_once_end_with_one_key() {
    let friends = Friends::meet().await;
    let id = friends.group().await;
    let old = key(&friends.bob, &id);
    friends.bob.change_group(&id, Proposal::Leave).await.unwrap();
    friends.world.deliver().await;
    // Neither admin has received the other's control yet.
    for client in [&friends.alice, &friends.dave] {
        assert_eq!(events(client.receive().await.unwrap().notices), changes([GroupChange::Left]));
    }
    assert_ne!(key(&friends.alice, &id), key(&friends.dave, &id));
    friends.assert_renewed(&[&friends.alice, &friends.dave, &friends.carol], &id, &old).await;
    assert_eq!(group(&friends.alice, &id).state.epoch(), 4);
}

/// Both admins see that Bob has revoked a device, and neither has received the other's control.
#[tokio::test]
async fn two_admins_who_renew_it_at_once_after_a_revocation_end_with_one_key() {
    let friends = Friends::meet().await;
    let Friends { world, line, alice, bob, carol, dave, .. } = &friends;
    let two = further(world, line, bob, "two").await;
    let id = friends.group().await;
    let old = key(alice, &id);
    bob.revoke(two.device().id()).await.unwrap();
    for client in [alice, dave] {
        client.verification(&bob.me()).await.unwrap();
        client.receive().await.unwrap();
    }
    assert_ne!(key(alice, &id), key(dave, &id));
    friends.assert_renewed(&[alice, dave, bob, carol], &id, &old).await;
    assert_eq!(group(alice, &id).state.epoch(), 3);
}
