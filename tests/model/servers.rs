//! The two servers, and the devices of the accounts on them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use eko_client::device::{EntryContent, JoinKind, OutgoingEnvelope, RegistrationStatus, SendOutcome};
use eko_client::{ClientError, Device, KeyCounts};
use eko_protocol::activity::ReportKind;
use eko_protocol::address::UserName;
use eko_protocol::block::BlockedParty;
use eko_protocol::chain::{MoveTarget, NextNode};
use eko_protocol::key::JoiningMac;
use eko_protocol::settings::AccountSettings;
use eko_testkit::{BARE, ChainChanges as _, DirectTransport, Internet, World};
use proptest_state_machine::StateMachineTest;
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use crate::accounts::{AccountState, Entry, listed};
use crate::reference::{KEYS, Model, NOTHING, package};
use crate::sequences::Reference;
use crate::steps::{ACCOUNTS, Again, DOMAINS, Party, Step, USERS};

/// The time between two steps, in milliseconds: an hour and a second. No budget of a minute or an hour
/// runs out, what a deletion leaves is erased, and the account is old enough to be deleted.
const STEP_MS: i64 = 3_601_000;
/// The keys of a first device.
const FIRST_KEYS: KeyCounts = KeyCounts { pre_keys: KEYS, kyber_pre_keys: 0, last_resort: false };

/// The servers, the devices, and what was said so far.
pub(crate) struct Servers {
    runtime: Rc<Runtime>,
    internet: Internet,
    /// Those of the domains.
    worlds: [World; DOMAINS.len()],
    pub(crate) devices: [Vec<Device<DirectTransport>>; ACCOUNTS.len()],
    /// The envelopes as they were sent last, by the steps that sent them first.
    envelopes: BTreeMap<usize, OutgoingEnvelope>,
    transcript: Vec<String>,
}

/// The kind of a registration.
#[derive(Clone, Copy, Debug)]
enum Joining {
    First,
    /// As the first device of an account to which this one moves.
    After(usize),
    Further,
    Reset,
}

/// Returns the actor id of an account.
pub(crate) fn actor(user: usize) -> String {
    let (name, domain) = ACCOUNTS[user];
    format!("https://{domain}/user/{name}")
}

/// Returns an error as status and slug, or as it is if it is no problem.
pub(crate) fn in_words(error: &ClientError) -> String {
    match (error, error.problem()) {
        (_, Some(problem)) => format!("{} {}", problem.status, problem.slug()),
        // A tombstone, in the place of a chain.
        (ClientError::Deleted(_), None) => "410 user-deleted".to_owned(),
        (_, None) => error.to_string(),
    }
}

fn answer<T>(result: Result<T, ClientError>) -> Result<String, ClientError> {
    result.map(|_| "done".to_owned())
}

impl Servers {
    fn new() -> Self {
        let runtime = Rc::new(Builder::new_current_thread().enable_all().build().unwrap());
        let internet = Internet::new();
        let worlds = runtime.block_on(async {
            let (a, _) = World::online(&internet, DOMAINS[0]).await;
            let (b, _) = World::online(&internet, DOMAINS[1]).await;
            [a, b]
        });
        let (devices, envelopes, transcript) = Default::default();
        Self { runtime, internet, worlds, devices, envelopes, transcript }
    }

    fn world(&self, user: usize) -> &World {
        self.worlds.iter().find(|world| world.state.origin().authority() == ACCOUNTS[user].1).unwrap()
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

    /// Registers another device of an account.
    async fn register(&mut self, user: usize, kind: Joining, keys: KeyCounts) -> Result<String, ClientError> {
        let label = self.devices[user].len().to_string();
        let world = self.world(user);
        let device = world.device(ACCOUNTS[user].0, &label, keys);
        let token = world.id_token(&device).await;
        let kind = match kind {
            Joining::First => JoinKind::First,
            Joining::After(old) => JoinKind::FirstAfter(actor(old)),
            Joining::Further => device.as_further(),
            Joining::Reset => JoinKind::Reset,
        };
        let registered = device.register(&token, kind).await?;
        self.devices[user].push(device);
        Ok(match registered.status {
            RegistrationStatus::Active => "active".to_owned(),
            RegistrationStatus::Pending => "pending".to_owned(),
        })
    }

    /// Sends the envelope of a step for these devices. Returns the answer.
    async fn send(&mut self, before: &Model, step: &Step, by: usize) -> Result<String, ClientError> {
        let (user, number) = (step.user(), before.steps + 1);
        let device = &self.devices[user][by];
        let (to, first, content, id) = match *step {
            Step::Repeat { again, .. } => {
                let first = before.accounts[user].latest.unwrap();
                let envelope = &before.envelopes[&first];
                let content = if again == Again::WithOtherContent { number } else { envelope.content };
                (envelope.to, first, content, self.envelopes[&first].id.clone())
            }
            Step::Send { to, .. } => (to, number, number, device.envelope_id()),
            _ => panic!("no envelope"),
        };
        let mut named: Vec<_> =
            before.named(step).iter().map(|it| self.devices[to][*it].id().clone()).collect();
        if named.is_empty() {
            named.push(self.world(to).device(ACCOUNTS[to].0, "nobody", BARE).id().clone());
        }
        let messages = named.into_iter().map(|device| (device, content.to_string().into_bytes())).collect();
        let recipient = UserName::parse(ACCOUNTS[to].0).unwrap();
        let outgoing = OutgoingEnvelope::new(recipient, id, messages).at(self.world(to).state.origin());
        let outcome = device.send(&outgoing).await;
        self.envelopes.insert(first, outgoing);
        Ok(match outcome? {
            SendOutcome::Accepted { .. } => "accepted".to_owned(),
            SendOutcome::Partial(_) => "partial".to_owned(),
            SendOutcome::Queued { .. } => "queued".to_owned(),
            SendOutcome::Rejected(_) => "rejected".to_owned(),
        })
    }

    /// Reads a mailbox, but for notices of pending devices.
    async fn mailbox(&self, device: &Device<DirectTransport>) -> Result<String, ClientError> {
        let mut mailbox = BTreeSet::new();
        let page = device.fetch().await?;
        let first = |key: &str| {
            let found = self.envelopes.iter().find(|(_, envelope)| envelope.id.key() == key);
            *found.expect("an envelope that was sent").0
        };
        for entry in page.entries {
            match entry.content {
                EntryContent::Message(message) => {
                    let header = &message.letter.header;
                    let from = (0..ACCOUNTS.len()).find(|user| actor(*user) == header.author).unwrap();
                    let (envelope, is_request) = (first(&header.id.key()), message.letter.is_request);
                    let content = String::from_utf8(message.ciphertext).unwrap().parse().unwrap();
                    let entry = Entry::Message { envelope, from, content, is_request };
                    assert!(mailbox.insert(entry), "twice: {envelope}");
                }
                EntryContent::Report(report) => {
                    assert_eq!(report.kind, ReportKind::Delivered);
                    let envelope = first(&report.envelope.key());
                    assert!(mailbox.insert(Entry::Delivered { envelope }), "told twice: {envelope}");
                }
                EntryContent::DeviceOffered(_) => {}
                EntryContent::Unreadable(fault) => panic!("unreadable: {fault}"),
            }
        }
        let keys = u16::try_from(page.keys_left.pre_keys).unwrap();
        Ok(listed(keys, &mailbox))
    }

    /// Returns the node by which a device approves another one of its user, whether that one waits or not.
    async fn approval(
        &self,
        device: &Device<DirectTransport>,
        other: &Device<DirectTransport>,
    ) -> Result<Value, ClientError> {
        let (_, state) = device.chain(device.user()).await?;
        let now_ms = device.environment().now_ms();
        let next = NextNode::new(device.origin(), device.user(), &state.position, now_ms);
        device.sign_node(next.approve(&other.described(), &JoiningMac::from([6; 32])))
    }

    /// Moves to the next account, which is made for it. An account that has moved tries it again.
    async fn depart(&mut self, before: &Model, user: usize, by: usize) -> Result<String, ClientError> {
        let new = user + USERS;
        let root = if before.accounts[user].state == AccountState::Moved {
            "ab".repeat(32)
        } else {
            self.register(new, Joining::After(user), FIRST_KEYS).await?;
            let first = &self.devices[new][0];
            first.chain(first.user()).await?.0[0].hash()
        };
        let device = &self.devices[user][by];
        let position = device.chain(device.user()).await?.1.position;
        let target = MoveTarget { actor: actor(new), root };
        answer(device.append(&device.departure(&position, &target)?).await)
    }

    /// Makes a step that the model, in the state before it, says makes sense. Returns the answer.
    pub(crate) async fn make(&mut self, before: &Model, step: &Step) -> String {
        self.try_to(before, step).await.unwrap_or_else(|error| in_words(&error))
    }

    async fn try_to(&mut self, before: &Model, step: &Step) -> Result<String, ClientError> {
        let user = step.user();
        let by = match *step {
            Step::Register { .. } if before.accounts[user].state == AccountState::Living => {
                return self.register(user, Joining::Further, BARE).await;
            }
            Step::Register { .. } => return self.register(user, Joining::First, FIRST_KEYS).await,
            Step::Reset { .. } => return self.register(user, Joining::Reset, BARE).await,
            Step::Fetch { device, .. } | Step::Rotate { device, .. } | Step::Acknowledge { device, .. } => {
                device
            }
            _ => before.acting(user).unwrap(),
        };
        self.devices[user][by].refresh().await?;
        let device = &self.devices[user][by];
        match *step {
            Step::Register { .. } | Step::Reset { .. } => unreachable!("made above"),
            Step::Fetch { .. } => self.mailbox(device).await,
            Step::Approve { device: other, .. } => {
                let node = self.approval(device, &self.devices[user][other]).await?;
                answer(device.append(&node).await)
            }
            Step::Revoke { device: other, .. } => answer(device.revoke(self.devices[user][other].id()).await),
            Step::Rotate { .. } => {
                let device = &mut self.devices[user][by];
                let environment = device.environment().clone();
                let more = device.keys_mut().more(KEYS, 0, &environment).unwrap();
                answer(device.publish(&more).await)
            }
            Step::Take { of, .. } => {
                let origin = self.world(of).state.origin();
                let taken = device.take_from(origin, &UserName::parse(ACCOUNTS[of].0).unwrap()).await?;
                let mut packages: Vec<String> = Vec::new();
                for (number, other) in self.devices[of].iter().enumerate() {
                    let of_other = taken.packages.iter().find(|it| it.device == other.address());
                    packages.extend(of_other.map(|it| package(number, it.pre_key.is_some())));
                }
                assert_eq!(packages.len(), taken.packages.len(), "packages of others");
                Ok(packages.join(", "))
            }
            Step::Send { .. } | Step::Repeat { .. } => self.send(before, step, by).await,
            Step::Acknowledge { .. } => {
                let entries = device.fetch().await?.entries;
                let addresses: Vec<String> = entries.into_iter().map(|entry| entry.address).collect();
                match addresses.is_empty() {
                    true => Ok("done".to_owned()),
                    false => answer(device.acknowledge(&addresses).await),
                }
            }
            Step::Block { party, is_undone, .. } => {
                let text = match party {
                    Party::Account(account) => actor(account),
                    Party::Domain(domain) => format!("https://{}", DOMAINS[domain]),
                };
                answer(device.change_block(&BlockedParty::parse(&text).unwrap(), is_undone).await)
            }
            Step::Accept { whom, is_undone: false, .. } => answer(device.accept_actor(&actor(whom)).await),
            Step::Accept { whom, is_undone: true, .. } => answer(device.forget_actor(&actor(whom)).await),
            Step::LetWrite { who, .. } => {
                answer(device.change_settings(AccountSettings { who_may_write: who }).await)
            }
            Step::Move { .. } => self.depart(before, user, by).await,
            Step::Delete { .. } => {
                let token = self.world(user).id_token(device).await;
                answer(device.delete_account(&token).await)
            }
        }
    }

    /// Notes an answer, and panics with the transcript if it is not the model's.
    pub(crate) fn compare(&mut self, what: &str, answer: &str, due: &str) {
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
                let answer = servers.make(before, &step).await;
                servers.settle().await;
                answer
            });
            servers.compare(&format!("{} {step}", after.steps), &answer, &after.answer);
        }
        run.before = after.clone();
        run
    }

    fn teardown(run: Run, last: Model) {
        let Run { mut servers, .. } = run;
        let runtime = Rc::clone(&servers.runtime);
        runtime.block_on(servers.compare_all(&last));
        let Servers { runtime, worlds, .. } = servers;
        runtime.block_on(async move { drop(worlds) });
    }
}
