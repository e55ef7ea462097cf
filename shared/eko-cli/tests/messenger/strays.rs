//! Tests of what a device leaves at the server before it is revoked: records of groups that nobody can open.

use eko_client::group::Proposal;
use eko_client::messenger::Notice;
use eko_protocol::group_state::SealedGroupState;
use eko_protocol::id::GroupStateId;
use eko_protocol::limits::{MAX_GROUP_STATES, MAX_SAFE_INTEGER};
use eko_testkit::World;

use crate::people::{TestMessenger, first, further};
use crate::records::{DAY_MS, look, names};
use crate::test_network::TestNetwork;

fn junk(epoch: u64) -> SealedGroupState {
    SealedGroupState { epoch, content: b"\x01nobody can open this".to_vec() }
}

/// Returns an id of no group.
fn made_up(n: u64) -> GroupStateId {
    GroupStateId::parse(&format!("00000000-0000-8000-8000-{n:012x}")).unwrap()
}

/// Returns the ids of all records of Alice, and their epochs.
async fn records(world: &World) -> Vec<(GroupStateId, u64)> {
    let items = world.stored().await.items.into_iter();
    let epoch = |item: &str| {
        let text = item.split("\"e\": \"N(\\\"").nth(1).unwrap().split('\\').next().unwrap();
        text.parse().unwrap()
    };
    let records = items.filter(|((pk, _), _)| pk == "G#alice");
    records.map(|((_, sk), item)| (GroupStateId::parse(&sk).unwrap(), epoch(&item))).collect()
}

/// Alice with a phone, a tablet, and a device that will be revoked.
async fn alices_three(world: &World, wire: &TestNetwork) -> [TestMessenger; 3] {
    let phone = first(world, wire, "alice").await;
    let tablet = further(world, wire, &phone, "tablet").await;
    let stolen = further(world, wire, &phone, "stolen").await;
    [phone, tablet, stolen]
}

/// A new device has the groups although the revoked one has left records after which no epoch follows. Both of
/// the others know of these, and each of them may be the one that begins anew.
#[tokio::test]
async fn the_last_epoch_of_all_is_not_the_end() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let [phone, tablet, stolen] = alices_three(&world, &wire).await;
    let (id, _) = phone.create_group("Friday", &[]).await.unwrap();
    look(&world, &tablet).await;
    let [(place, _)] = &records(&world).await[..] else { panic!("one record") };
    stolen.device().keep_group_state(place, &junk(MAX_SAFE_INTEGER)).await.unwrap();
    phone.revoke(stolen.device().id()).await.unwrap();
    for client in [&tablet, &phone, &tablet] {
        world.advance(DAY_MS);
        look(&world, client).await;
    }
    let [(_, epoch)] = records(&world).await[..] else { panic!("one record") };
    assert!(epoch < 9, "{epoch}");
    for (client, name) in [(&tablet, "Saturday"), (&phone, "Sunday")] {
        client.change_group(&id, Proposal::Rename(name.to_owned())).await.unwrap();
        for client in [&tablet, &phone] {
            look(&world, client).await;
        }
        let [(_, later)] = records(&world).await[..] else { panic!("one record") };
        assert!(later > epoch && later < 20, "{later}");
    }
    let new = further(&world, &wire, &phone, "new").await;
    look(&world, &new).await;
    assert_eq!(names(&new), ["Sunday"]);
    // Who leaves deletes the record, whatever its epoch is.
    let place = &records(&world).await[0].0.clone();
    new.device().keep_group_state(place, &junk(MAX_SAFE_INTEGER)).await.unwrap();
    world.advance(DAY_MS);
    look(&world, &phone).await;
    phone.change_group(&id, Proposal::Leave).await.unwrap();
    look(&world, &phone).await;
    assert_eq!(records(&world).await, []);
    world.deliver().await;
}

/// A device has read that a record has the last epoch, and another one begins anew and stores what follows. What
/// that one has stored stays.
#[tokio::test]
async fn what_another_device_has_begun_anew_is_not_deleted() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let [phone, tablet, stolen] = alices_three(&world, &wire).await;
    let (id, _) = phone.create_group("Friday", &[]).await.unwrap();
    look(&world, &tablet).await;
    let [(place, _)] = &records(&world).await[..] else { panic!("one record") };
    // A record of the last epoch that opens, which the tablet keeps in mind.
    stolen.device().keep_group_state(place, &junk(MAX_SAFE_INTEGER - 1)).await.unwrap();
    phone.revoke(stolen.device().id()).await.unwrap();
    for client in [&phone, &tablet] {
        world.advance(DAY_MS);
        look(&world, client).await;
    }
    assert_eq!(records(&world).await, [(place.clone(), MAX_SAFE_INTEGER)]);
    phone.change_group(&id, Proposal::Rename("Saturday".to_owned())).await.unwrap();
    assert_eq!(records(&world).await, [(place.clone(), 1)]);
    look(&world, &tablet).await;
    tablet.change_group(&id, Proposal::Rename("Sunday".to_owned())).await.unwrap();
    assert_eq!(records(&world).await, [(place.clone(), 2)]);
    look(&world, &phone).await;
    let new = further(&world, &wire, &phone, "new").await;
    look(&world, &new).await;
    assert_eq!(names(&new), ["Sunday"]);
    world.deliver().await;
}

/// The revoked device has left as many records as the server keeps, at addresses of no group.
#[tokio::test]
async fn made_up_records_make_room_for_a_group() {
    let world = World::with(|config| config.limits.account_budget = 100_000).await;
    let wire = TestNetwork::to(&[&world]);
    let [phone, tablet, stolen] = alices_three(&world, &wire).await;
    phone.create_group("Friday", &[]).await.unwrap();
    look(&world, &tablet).await;
    for n in 1..MAX_GROUP_STATES {
        let epoch = if n % 2 == 0 { 1 } else { MAX_SAFE_INTEGER };
        stolen.device().keep_group_state(&made_up(n), &junk(epoch)).await.unwrap();
    }
    phone.revoke(stolen.device().id()).await.unwrap();
    look(&world, &phone).await;
    look(&world, &tablet).await;
    phone.create_group("Saturday", &[]).await.unwrap();
    let told = |notices: Vec<Notice>| {
        for notice in &notices {
            phone.note_told(notice).unwrap();
        }
        notices.into_iter().filter(|notice| matches!(notice, Notice::RecordsFull { .. })).collect::<Vec<_>>()
    };
    let most = usize::try_from(MAX_GROUP_STATES).unwrap();
    assert_eq!(told(look(&world, &phone).await), [Notice::RecordsFull { unreadable: most - 1 }]);
    assert_eq!(records(&world).await.len(), most, "nothing is deleted on the first day");
    world.advance(DAY_MS);
    assert_eq!(told(look(&world, &phone).await), []);
    // What is young may be sealed under a key that this device does not have yet.
    let young = made_up(MAX_GROUP_STATES);
    look(&world, &tablet).await;
    tablet.device().keep_group_state(&young, &junk(7)).await.unwrap();
    for _ in 0..12 {
        assert_eq!(told(look(&world, &phone).await), []);
    }
    let left = records(&world).await;
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.contains(&(young, 7)));
    let new = further(&world, &wire, &phone, "new").await;
    look(&world, &new).await;
    assert_eq!(names(&new), ["Friday", "Saturday"]);
    look(&world, &tablet).await;
    world.deliver().await;
}

/// Of a server that keeps nothing but groups nothing is deleted, and the user is told once.
#[tokio::test]
async fn records_that_can_be_opened_stay_in_a_full_server() {
    let world = World::new().await;
    let wire = TestNetwork::to(&[&world]);
    let [phone, tablet, _] = alices_three(&world, &wire).await;
    phone.create_group("Friday", &[]).await.unwrap();
    world.set_number(("L#alice", "GROUPS"), "n", MAX_GROUP_STATES).await;
    tablet.create_group("Saturday", &[]).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..4 {
        for notice in look(&world, &tablet).await {
            tablet.note_told(&notice).unwrap();
            told.extend(Some(notice).filter(|notice| matches!(notice, Notice::RecordsFull { .. })));
        }
        world.advance(DAY_MS);
    }
    assert_eq!(told, [Notice::RecordsFull { unreadable: 0 }]);
    assert_eq!(records(&world).await.len(), 1);
    look(&world, &phone).await;
    world.deliver().await;
}
