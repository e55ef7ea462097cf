//! Random lives of a group, with a thief and with servers that withhold, repeat and reorder what
//! they pass on.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use eko_client::Environment;
use eko_client::group::{GroupChange, GroupControl, GroupId, GroupParts, GroupState, MasterKey, Proposal};
use eko_client::messenger::{BEHIND_MINUTES, Group};
use eko_protocol::chain::ChainNode;
use eko_testkit::{World, seeded};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::controls::{control, send_control};
use crate::forging::{Forger, ForgingSessions};
use crate::people::{request, text};
use crate::test_network::{FalseAnswer, TestNetwork};

/// The users, in the order in which a life numbers them. Alice and Dave are the admins. Eve is no
/// member in the beginning.
const USERS: [&str; 5] = ["alice", "bob", "carol", "dave", "eve"];
const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const DAVE: usize = 3;

/// The number of lives in a run that names none by `PROPTEST_CASES`.
const LIVES: u32 = 3;

/// The number of hours that a group has to settle in.
const SETTLING: usize = 10;

/// A life of a group.
#[derive(Debug, Clone)]
struct Life {
    /// True if the thief has a device of Dave's, and false if it has one of Bob's.
    robs_admin: bool,
    /// The controls that the thief has made, and those whom they are for.
    thefts: Vec<(u8, usize)>,
    /// The steps before the device is revoked, and those after it.
    steps: [Vec<LifeStep>; 2],
}

/// A step of a life: its kind, who makes it, and whom it is about.
type LifeStep = (u8, usize, usize);

fn any_life() -> impl Strategy<Value = Life> {
    let steps = || vec((0..24_u8, 0..USERS.len(), 0..USERS.len()), 2..12);
    let thefts = vec((0..4_u8, 0..USERS.len()), 1..4);
    (any::<bool>(), thefts, [steps(), steps()]).prop_map(|(robs_admin, thefts, steps)| Life {
        robs_admin,
        thefts,
        steps,
    })
}

/// The treatment that a user's server gives to what it passes on.
#[derive(Default)]
struct Tricks {
    /// The addresses of the devices whose messages it withholds.
    hidden: BTreeSet<String>,
    /// The addresses of the devices whose messages it loses.
    losing: BTreeSet<String>,
    /// Every entry that it has lost.
    lost: Vec<Value>,
    /// True if it shows the mailbox backwards.
    backwards: bool,
    /// True if it shows again what was acknowledged.
    repeats: bool,
    /// True if it shows the robbed user's chain without the revocation.
    old_chain: bool,
    /// Every entry that it has shown.
    shown: Vec<Value>,
}

impl Tricks {
    fn mailbox(&mut self, mut page: Value) -> Value {
        let Some(items) = page["orderedItems"].as_array_mut() else { return page };
        let from =
            |item: &Value| item["object"]["messages"][0]["from"].as_str().unwrap_or_default().to_owned();
        let gone =
            items.iter().filter(|item| self.losing.contains(&from(item)) && !self.shown.contains(item));
        self.lost.extend(gone.cloned());
        items.retain(|item| !self.hidden.contains(&from(item)) && !self.lost.contains(item));
        let new: Vec<Value> = items.iter().filter(|item| !self.shown.contains(item)).cloned().collect();
        if self.repeats {
            items.extend(self.shown.iter().filter(|item| !self.hidden.contains(&from(item))).cloned());
        }
        self.shown.extend(new);
        if self.backwards {
            items.reverse();
        }
        page
    }
}

/// A user with one device, whose server plays tricks.
struct Player {
    tricks: Arc<Mutex<Tricks>>,
    sessions: ForgingSessions,
    client: Forger,
}

impl Player {
    async fn sign_in(world: &World, user: &str, label: &str, robbed: &str) -> Self {
        let (line, tricks) = (TestNetwork::to(&[world]), Arc::new(Mutex::new(Tricks::default())));
        let sessions = ForgingSessions::default();
        let environment = Environment { clock: world.clock(), random: seeded(format!("{user}/{label}")) };
        let client = sessions.sign_in(world, &line, environment, request(world, user, false)).await;
        let (played, chain) = (Arc::clone(&tricks), format!("/user/{robbed}/devices"));
        line.tamper(move |passing| {
            let (method, path) = passing.endpoint;
            let mut tricks = played.lock().unwrap();
            let is_changed = path.ends_with("/inbox") || path == chain && tricks.old_chain;
            if method != "GET" || !is_changed {
                return None;
            }
            let mut shown: Value = serde_json::from_slice(passing.answer).ok()?;
            if path == chain {
                let nodes = shown["orderedItems"].as_array_mut()?;
                nodes.truncate(2);
                let head = ChainNode::parse(nodes.last()?).unwrap().hash();
                shown["eko:deviceSet"] = json!({ "length": nodes.len(), "head": head });
            } else {
                shown = tricks.mailbox(shown);
            }
            Some(FalseAnswer { status: 200, body: shown.to_string().into_bytes() })
        });
        Self { tricks, sessions, client }
    }

    fn group(&self, id: &GroupId) -> Option<Group> {
        self.client.groups().unwrap().into_iter().find(|group| group.state.id() == id)
    }

    fn actor(&self) -> String {
        self.client.me().actor()
    }

    /// Returns the controls that this device has decrypted, also those that somebody forwards.
    fn heard(&self) -> Vec<Value> {
        let heard = self.sessions.heard.lock().unwrap();
        let controls = heard.iter().map(control_in).filter(|control| key_in(control).is_some());
        controls.cloned().collect()
    }

    fn has_key(&self, key: &str) -> bool {
        self.heard().iter().any(|control| key_in(control) == Some(key))
    }
}

/// Returns the control that an activity forwards, or else the activity.
fn control_in(activity: &Value) -> &Value {
    if activity["type"] == "Announce" { &activity["object"] } else { activity }
}

/// Returns the master key that an activity brings.
fn key_in(activity: &Value) -> Option<&str> {
    control_in(activity)["object"]["groupMasterKey"].as_str()
}

/// A group whose life is played.
struct PlayedGroup {
    world: World,
    players: Vec<Player>,
    thief: Player,
    robbed: usize,
    id: GroupId,
}

impl PlayedGroup {
    async fn begin(life: &Life) -> Self {
        let world = World::new().await;
        let robbed = if life.robs_admin { DAVE } else { BOB };
        let mut players = Vec::new();
        for user in USERS {
            players.push(Player::sign_in(&world, user, "one", USERS[robbed]).await);
        }
        let thief = Player::sign_in(&world, USERS[robbed], "stolen", USERS[robbed]).await;
        let code = thief.client.joining_code().unwrap().unwrap();
        players[robbed].client.approve(&code).await.unwrap();
        thief.client.join().await.unwrap();
        let alice = &players[ALICE].client;
        let others: Vec<_> = players[BOB..=DAVE].iter().map(|player| player.client.me()).collect();
        let (id, _) = alice.create_group("Friday", &others).await.unwrap();
        world.deliver().await;
        for player in &players[BOB..=DAVE] {
            player.client.receive().await.unwrap();
            player.client.join_group(&id, None).await.unwrap();
            world.deliver().await;
        }
        alice.receive().await.unwrap();
        alice.change_group(&id, Proposal::Promote([players[DAVE].actor()].into())).await.unwrap();
        world.deliver().await;
        for player in players.iter().chain([&thief]) {
            player.client.receive().await.unwrap();
        }
        let state = players[ALICE].group(&id).unwrap().state;
        for player in players[BOB..=DAVE].iter().chain([&thief]) {
            assert_eq!(player.group(&id).unwrap().state, state);
        }
        Self { world, players, thief, robbed, id }
    }

    /// Has the thief send controls, which the servers keep back.
    async fn rob(&self, life: &Life) {
        let (stolen, before) =
            (self.thief.client.device().address(), self.thief.group(&self.id).unwrap().state);
        for player in &self.players {
            player.tricks.lock().unwrap().hidden.insert(stolen.clone());
        }
        for (kind, whom) in &life.thefts {
            let made = self.theft(*kind, &before);
            let to = self.players[*whom].client.me();
            send_control(&self.thief.sessions, &self.thief.client, &to, &made).await;
        }
        self.world.deliver().await;
    }

    fn theft(&self, kind: u8, before: &GroupState) -> GroupControl {
        let own_key = MasterKey::from_bytes([7; 32]);
        let mut parts = GroupParts { epoch: before.epoch() + 1, ..before.parts().clone() };
        let change = match kind {
            _ if self.robbed != DAVE => {
                parts.members.remove(&self.players[self.robbed].actor());
                GroupChange::Left
            }
            0 => {
                parts.master_key = own_key;
                GroupChange::Rekeyed
            }
            1 => {
                parts.name = "Nobody's".to_owned();
                GroupChange::Renamed
            }
            2 => {
                parts.members.remove(&self.players[ALICE].actor());
                parts.admins.remove(&self.players[ALICE].actor());
                parts.master_key = own_key;
                GroupChange::Removed
            }
            _ => {
                parts.members.extend(self.players.iter().map(Player::actor));
                GroupChange::Added
            }
        };
        control(&self.thief.client, change, Some(before), &GroupState::new(parts).unwrap())
    }

    /// Plays a step. Nobody does what they may not do.
    async fn step(&self, (kind, who, whom): &LifeStep, at: usize, is_revoked: bool) {
        let (who, whom) = (&self.players[*who], &self.players[*whom]);
        let may_go =
            whom.actor() != self.players[ALICE].actor() && whom.actor() != self.players[DAVE].actor();
        let (client, id, them) = (&who.client, &self.id, BTreeSet::from([whom.actor()]));
        match kind {
            0 => drop(client.change_group(id, Proposal::Rename(format!("at {at}"))).await),
            1 | 2 if may_go => drop(client.change_group(id, Proposal::Remove(them)).await),
            3 | 4 => drop(client.change_group(id, Proposal::Add(them)).await),
            5 => drop(client.change_group(id, Proposal::Rekey).await),
            6 if may_go => drop(whom.client.change_group(id, Proposal::Leave).await),
            7 | 8 => drop(client.send_to_group(id, text("hello")).await),
            9 | 10 => drop(who.tricks.lock().unwrap().hidden.insert(whom.client.device().address())),
            11 => who.tricks.lock().unwrap().backwards ^= true,
            12 => who.tricks.lock().unwrap().repeats ^= true,
            13 if who.actor() != self.players[self.robbed].actor() => {
                who.tricks.lock().unwrap().old_chain = true;
            }
            14 => {
                let stolen = self.thief.client.device().address();
                let mut tricks = who.tricks.lock().unwrap();
                tricks.hidden.retain(|device| !is_revoked && *device == stolen);
                tricks.losing.clear();
            }
            15 => drop(client.join_group(id, None).await),
            // What follows skips the epochs that are lost.
            16 => drop(who.tricks.lock().unwrap().losing.insert(whom.client.device().address())),
            17 => drop(client.decline_group(id, None)),
            18 => {
                // The departure loses to a removal that was made without having seen it.
                let left = whom.client.change_group(id, Proposal::Leave);
                if may_go && left.await.is_ok() {
                    let other = self.players[CAROL].actor();
                    drop(client.change_group(id, Proposal::Remove([other].into())).await);
                }
            }
            19 => {
                // The history of somebody who has not looked is the longer one.
                for name in ["longer", "longest"] {
                    let renamed = client.change_group(id, Proposal::Rename(format!("{name} {at}")));
                    drop(renamed.await);
                }
            }
            _ => {
                self.world.deliver().await;
                let _ = client.receive().await;
            }
        }
    }

    fn keys(&self) -> Vec<Option<String>> {
        let key = |player: &Player| Some(player.group(&self.id)?.state.master_key().to_base64());
        self.players.iter().map(key).collect()
    }

    /// Delivers everything, and has everybody look, join and write once an hour, and the leader
    /// change the group once, until all have kept one state for an hour.
    async fn settle(&self, leader: usize) {
        for player in &self.players {
            let mut tricks = player.tricks.lock().unwrap();
            (tricks.backwards, tricks.repeats, tricks.old_chain) = (false, false, false);
            tricks.hidden.clear();
            tricks.losing.clear();
        }
        for hour in 0..SETTLING {
            self.world.advance((BEHIND_MINUTES + 1) * 60_000);
            let before = self.keys();
            for player in &self.players {
                self.world.deliver().await;
                player.client.receive().await.unwrap();
                self.join(player, leader).await;
            }
            // What a thief made somebody believe at the same epoch holds there until the next change.
            if hour == 1 {
                let change = Proposal::Rename("Settled".to_owned());
                self.players[leader].client.change_group(&self.id, change).await.unwrap();
            }
            let is_quiet = hour > 1 && self.keys() == before && self.has_settled(leader);
            for player in self.players.iter().filter(|_| !is_quiet) {
                if player.group(&self.id).is_some_and(|group| group.member) {
                    player.client.send_to_group(&self.id, text("is all well?")).await.unwrap();
                }
            }
            if is_quiet {
                break;
            }
        }
        self.world.deliver().await;
    }

    /// Has a user join what they are invited to. Whoever is shown another history chooses the leader's.
    async fn join(&self, player: &Player, leader: usize) {
        let chosen = self.players[leader].client.me();
        let open = player.client.invitations().unwrap();
        let is_chosen = open.iter().any(|it| it.by == chosen.actor());
        if is_chosen || open.iter().any(|invitation| !invitation.other_history) {
            // What cannot be proven now may be later.
            let _ = player.client.join_group(&self.id, is_chosen.then_some(&chosen)).await;
        }
    }

    /// True if all members of the leader's state have it, and no admin has to make a new key.
    fn has_settled(&self, leader: usize) -> bool {
        let end = self.players[leader].group(&self.id).unwrap().state;
        let mut members = self.players.iter().filter(|player| end.members().contains(&player.actor()));
        members
            .all(|player| player.group(&self.id).is_some_and(|it| it.state == end && !owes_key(player, &it)))
    }

    fn check(&self, leader: usize) -> Result<(), TestCaseError> {
        let end = self.players[leader].group(&self.id).unwrap();
        prop_assert!(end.member);
        let key = end.state.master_key().to_base64();
        for (player, user) in self.players.iter().zip(USERS) {
            let is_member = end.state.members().contains(&player.actor());
            let own = player.group(&self.id);
            if is_member {
                let own = own.unwrap();
                prop_assert_eq!(&own.state, &end.state, "{} has another state", user);
                prop_assert!(!owes_key(player, &own), "{} owes a key", user);
            } else {
                prop_assert!(!player.has_key(&key), "{} has the key", user);
            }
            let stolen = self.thief.client.device().address();
            for control in player.heard().iter().filter(|control| control["eko:device"] != *stolen) {
                let listed = control["object"]["members"].as_array().unwrap();
                let is_for = listed.iter().any(|member| *member == *player.actor());
                let is_own = control["eko:change"] == "left" && control["actor"] == *player.actor();
                prop_assert!(is_for || is_own, "{} heard {}", user, control);
            }
        }
        prop_assert!(!self.thief.has_key(&key), "the thief has the key");
        // A server gives the thief whatever is encrypted for the stolen device.
        let stolen = self.thief.client.device().address();
        for (player, user) in self.players.iter().zip(USERS) {
            let said = player.sessions.said.lock().unwrap();
            let mut to_thief = said.iter().filter(|(to, _)| *to == stolen).map(|(_, activity)| activity);
            let has_key = to_thief.any(|activity| key_in(activity) == Some(key.as_str()));
            prop_assert!(!has_key, "{} has sent the key to the thief", user);
        }
        prop_assert_ne!(end.state.master_key(), &MasterKey::from_bytes([7; 32]));
        Ok(())
    }
}

/// True if a user is to make a new key. Whoever is no admin, and learns of the revocation after the key
/// was made, does not know that it was.
fn owes_key(player: &Player, group: &Group) -> bool {
    group.rekey_due && group.state.admins().contains(&player.actor())
}

async fn play(life: Life) -> Result<(), TestCaseError> {
    let mut group = PlayedGroup::begin(&life).await;
    group.rob(&life).await;
    let leader = if life.robs_admin { DAVE } else { ALICE };
    for (at, step) in life.steps[0].iter().enumerate() {
        group.step(step, at, false).await;
    }
    group.players[group.robbed].client.revoke(group.thief.client.device().id()).await.unwrap();
    for (at, step) in life.steps[1].iter().enumerate() {
        group.step(step, life.steps[0].len() + at, true).await;
    }
    group.settle(leader).await;
    let checked = group.check(leader);
    if checked.is_err() {
        group.world.leave_queues();
    }
    checked
}

/// After everything honest is delivered, and an admin has changed the group once more, all members
/// have one state, and nobody else has its key.
///
/// `PROPTEST_CASES` tells the number of lives to play, which are others in every run. Without it the
/// same few are played.
#[test]
fn the_members_end_alike_and_nobody_else_has_the_key() {
    let settings =
        ProptestConfig { failure_persistence: None, max_shrink_iters: 20, ..ProptestConfig::default() };
    let mut runner = if std::env::var_os("PROPTEST_CASES").is_some() {
        TestRunner::new(settings)
    } else {
        let settings = ProptestConfig { cases: LIVES, ..settings };
        TestRunner::new_with_rng(settings, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let played = runner.run(&any_life(), |life| runtime.block_on(play(life)));
    if let Err(failure) = played {
        panic!("{failure:?}");
    }
}
