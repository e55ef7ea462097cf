//! The two servers, and the devices of the users on them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use eko_client::device::{EntryContent, JoinKind, RegistrationStatus, SendOutcome};
use eko_client::{ClientError, Device, KeyCounts};
use eko_protocol::activity::ReportKind;
use eko_protocol::address::UserName;
use eko_protocol::block::BlockedParty;
use eko_protocol::settings::AccountSettings;
use eko_testkit::{BARE, ChainChanges as _, DirectTransport, Internet, World, envelope};
use proptest_state_machine::StateMachineTest;
use tokio::runtime::{Builder, Runtime};

use crate::reference::{Entry, KEYS, Model, NOTHING, Reference, Status, Step, USERS, listed, package};

/// The time between two steps, in milliseconds: an hour and a second. No budget of a minute or an hour
/// runs out, what a deletion leaves is erased, and the account is old enough to be deleted.
const STEP_MS: i64 = 3_601_000;

/// The servers, the devices, and what was said so far.
pub(crate) struct Servers {
    runtime: Rc<Runtime>,
    internet: Internet,
    /// That of the first two users, and that of the third.
    worlds: [World; 2],
    devices: [Vec<Device<DirectTransport>>; 3],
    /// The step in which each envelope was sent, by the key of its id.
    envelopes: BTreeMap<String, usize>,
    transcript: Vec<String>,
}

/// Returns a refusal in words.
fn refused(error: &ClientError) -> String {
    match error.problem() {
        Some(problem) => format!("{} {}", problem.status, problem.slug()),
        None => "refused".to_owned(),
    }
}

fn done<T>(result: Result<T, ClientError>) -> String {
    result.map_or_else(|error| refused(&error), |_| "done".to_owned())
}

impl Servers {
    fn new() -> Self {
        let runtime = Rc::new(Builder::new_current_thread().enable_all().build().unwrap());
        let internet = Internet::new();
        let worlds = runtime.block_on(async {
            let (a, _) = World::online(&internet, "a.example").await;
            let (b, _) = World::online(&internet, "b.example").await;
            [a, b]
        });
        let (devices, envelopes, transcript) = Default::default();
        Self { runtime, internet, worlds, devices, envelopes, transcript }
    }

    fn world(&self, user: usize) -> &World {
        self.worlds.iter().find(|world| world.state.origin().authority() == USERS[user].1).unwrap()
    }

    fn actor(&self, user: usize) -> String {
        format!("https://{}/user/{}", USERS[user].1, USERS[user].0)
    }

    /// Passes on what waits in all queues.
    async fn settle(&self) {
        loop {
            let mut moved = 0;
            for world in &self.worlds {
                moved += world.deliver().await + world.federate().await;
            }
            if moved == 0 {
                return;
            }
        }
    }

    /// Registers another device of a user.
    async fn register(
        &mut self,
        user: usize,
        kind: fn(&Device<DirectTransport>) -> JoinKind,
        keys: KeyCounts,
    ) -> String {
        let label = format!("{}", self.devices[user].len());
        let world = self.world(user);
        let device = world.device(USERS[user].0, &label, keys);
        let token = world.id_token(&device).await;
        match device.register(&token, kind(&device)).await {
            Ok(registered) => {
                self.devices[user].push(device);
                match registered.status {
                    RegistrationStatus::Active => "active".to_owned(),
                    RegistrationStatus::Pending => "pending".to_owned(),
                }
            }
            Err(error) => refused(&error),
        }
    }

    async fn send(
        &mut self,
        step: usize,
        from: &Device<DirectTransport>,
        to: usize,
        named: &[usize],
    ) -> String {
        let devices: Vec<_> = named.iter().map(|device| &self.devices[to][*device]).collect();
        let outgoing = match devices.is_empty() {
            // Nobody is there: the envelope names a device that does not exist.
            true => {
                let nobody = self.world(to).device(USERS[to].0, "nobody", BARE);
                envelope(from, &[&nobody])
            }
            false => envelope(from, &devices),
        };
        let outcome = from.send(&outgoing).await;
        self.envelopes.insert(outgoing.id.key().into_owned(), step);
        match outcome {
            Ok(SendOutcome::Accepted { .. }) => "accepted".to_owned(),
            Ok(SendOutcome::Partial(_)) => "partial".to_owned(),
            Ok(SendOutcome::Queued { .. }) => "queued".to_owned(),
            Ok(SendOutcome::Rejected(_)) => "rejected".to_owned(),
            Err(error) => refused(&error),
        }
    }

    /// Reads a mailbox, but for notices of pending devices.
    async fn mailbox(&self, device: &Device<DirectTransport>) -> Result<BTreeSet<Entry>, ClientError> {
        let mut mailbox = BTreeSet::new();
        for entry in device.fetch().await?.entries {
            let step = |key: &str| *self.envelopes.get(key).unwrap_or(&0);
            match entry.content {
                EntryContent::Message(message) => {
                    let header = &message.letter.header;
                    let from = (0..USERS.len()).find(|user| self.actor(*user) == header.author).unwrap();
                    let (envelope, is_request) = (step(&header.id.key()), message.letter.is_request);
                    assert!(
                        mailbox.insert(Entry::Message { from, envelope, is_request }),
                        "twice: {envelope}"
                    );
                }
                EntryContent::Report(report) => {
                    assert_eq!(report.kind, ReportKind::Delivered);
                    let envelope = step(&report.envelope.key());
                    assert!(mailbox.insert(Entry::Delivered { envelope }), "told twice: {envelope}");
                }
                EntryContent::DeviceOffered(_) => {}
                EntryContent::Unreadable(fault) => panic!("unreadable: {fault}"),
            }
        }
        Ok(mailbox)
    }

    /// Makes a step that the model, in the state before it, says makes sense. Returns the answer.
    async fn make(&mut self, before: &Model, number: usize, step: &Step) -> String {
        if let Step::Fetch { user, device } = *step {
            let device = &self.devices[user][device];
            let _ = device.refresh().await;
            return self.mailbox(device).await.map_or_else(|_| "refused".to_owned(), |it| listed(&it));
        }
        match *step {
            Step::Register { user } if self.devices[user].is_empty() || before.acting(user).is_none() => {
                let keys = KeyCounts { pre_keys: KEYS, kyber_pre_keys: 0, last_resort: false };
                return self.register(user, |_| JoinKind::First, keys).await;
            }
            Step::Register { user } => return self.register(user, |device| device.as_further(), BARE).await,
            Step::Reset { user } => return self.register(user, |_| JoinKind::Reset, BARE).await,
            _ => {}
        }
        let (user, at) = match *step {
            Step::Rotate { user, device } | Step::Acknowledge { user, device } => (user, device),
            Step::Approve { user, .. }
            | Step::Revoke { user, .. }
            | Step::Take { user, .. }
            | Step::Send { user, .. }
            | Step::Block { user, .. }
            | Step::Accept { user, .. }
            | Step::LetWrite { user, .. }
            | Step::Delete { user } => (user, before.acting(user).unwrap()),
            Step::Register { .. } | Step::Reset { .. } | Step::Fetch { .. } => unreachable!("made above"),
        };
        // The device is taken out for the time of its step.
        let mut device = self.devices[user].remove(at);
        device.refresh().await.expect("an active device");
        let id = |other: usize| self.devices[user][if other > at { other - 1 } else { other }].id().clone();
        let answer = match *step {
            Step::Approve { device: other, .. } if other == at => "refused".to_owned(),
            Step::Approve { device: other, .. } => done(device.approve(&id(other)).await),
            Step::Revoke { device: other, .. } => done(device.revoke(&id(other)).await),
            Step::Rotate { .. } => {
                let environment = device.environment().clone();
                let more = device.keys_mut().more(KEYS, 0, &environment).unwrap();
                done(device.publish(&more).await)
            }
            Step::Take { of, .. } => {
                let origin = self.world(of).state.origin();
                match device.take_from(origin, &UserName::parse(USERS[of].0).unwrap()).await {
                    Ok(taken) => {
                        let mut packages: Vec<String> = Vec::new();
                        for (number, other) in self.devices[of].iter().enumerate() {
                            let of_other = taken.packages.iter().find(|it| it.device == other.address());
                            packages.extend(of_other.map(|it| package(number, it.pre_key.is_some())));
                        }
                        packages.join(" ")
                    }
                    Err(error) => refused(&error),
                }
            }
            Step::Send { to, lacks_one, .. } => {
                let mut named = before.users[to].active();
                if lacks_one && named.len() > 1 {
                    named.pop();
                }
                self.send(number, &device, to, &named).await
            }
            Step::Acknowledge { .. } => {
                let entries = device.fetch().await.unwrap().entries;
                let addresses: Vec<String> = entries.into_iter().map(|entry| entry.address).collect();
                match addresses.is_empty() {
                    true => "done".to_owned(),
                    false => done(device.acknowledge(&addresses).await),
                }
            }
            Step::Block { whom, is_undone, .. } => {
                let party = BlockedParty::parse(&self.actor(whom)).unwrap();
                done(device.change_block(&party, is_undone).await)
            }
            Step::Accept { whom, .. } => done(device.accept_actor(&self.actor(whom)).await),
            Step::LetWrite { who, .. } => {
                done(device.change_settings(AccountSettings { who_may_write: who }).await)
            }
            Step::Delete { .. } => {
                let token = self.world(user).id_token(&device).await;
                done(device.delete_account(&token).await)
            }
            Step::Register { .. } | Step::Reset { .. } | Step::Fetch { .. } => unreachable!("made above"),
        };
        self.devices[user].insert(at, device);
        answer
    }

    /// Notes an answer, and panics with the transcript if it is not the model's.
    fn compare(&mut self, what: &str, answer: &str, due: &str) {
        self.transcript.push(format!("{what}: {answer}"));
        assert_eq!(answer, due, "\n{}\nThe model's last answer is {due}\n", self.transcript.join("\n"));
    }
}

/// The servers, and the model before their next step.
pub(crate) struct Run {
    servers: Servers,
    before: Model,
}

impl StateMachineTest for Servers {
    type SystemUnderTest = Run;
    type Reference = Reference;

    fn init_test(first: &Model) -> Run {
        Run { servers: Self::new(), before: first.clone() }
    }

    fn apply(mut run: Run, after: &Model, step: Step) -> Run {
        let Run { servers, before } = &mut run;
        if after.answer != NOTHING {
            let runtime = Rc::clone(&servers.runtime);
            let answer = runtime.block_on(async {
                servers.internet.advance(STEP_MS);
                servers.settle().await;
                let answer = servers.make(before, after.steps, &step).await;
                servers.settle().await;
                answer
            });
            servers.compare(&format!("{} {step}", after.steps), &answer, &after.answer);
        }
        run.before = after.clone();
        run
    }

    /// Compares all mailboxes at the end.
    fn teardown(run: Run, last: Model) {
        let Run { mut servers, .. } = run;
        for (user, it) in last.users.iter().enumerate() {
            for (number, device) in it.devices.iter().enumerate() {
                if device.status != Status::Active {
                    continue;
                }
                let step = Step::Fetch { user, device: number };
                let runtime = Rc::clone(&servers.runtime);
                let answer = runtime.block_on(servers.make(&last, last.steps, &step));
                servers.compare(&format!("at the end {step}"), &answer, &listed(&device.mailbox));
            }
        }
        let Servers { runtime, worlds, .. } = servers;
        runtime.block_on(async move { drop(worlds) });
    }
}
