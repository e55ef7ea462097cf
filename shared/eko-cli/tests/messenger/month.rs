//! Thirty days of two people on two servers, with three devices each. Servers go down, clocks are
//! wrong, disks are full, lines lose answers, processes are killed, devices are lost and replaced.

mod pocket;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use eko_client::environment::Random;
use eko_client::messenger::{JoinState, Person};
use eko_client::store::EnvelopeState;
use eko_testkit::{Internet, World, seeded};
use pocket::PocketDevice;

use crate::people::{code_of, text};

/// The variable that names another month than the one that is always played.
const SEED: &str = "EKO_MONTH";
/// The number of days.
const DAYS: usize = 30;
/// The number of steps in a day.
const STEPS: usize = 4;
/// The time between two steps.
const STEP_MS: i64 = 24 * 3_600_000 / 4;
/// The number of active devices that each person tries to have.
const DEVICES: usize = 3;
/// The number of hours in which everything comes to an end.
const SETTLING: usize = 30;
/// The time by which a wrong clock is wrong: two days.
const SKEW_MS: i64 = 2 * 24 * 3_600_000;

/// A source of chances, which are the same in every run.
struct Chances(Random);

impl Chances {
    /// Returns a number below `end`.
    fn below(&self, end: usize) -> usize {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % u64::try_from(end).unwrap()).unwrap()
    }

    /// True once in `times`.
    fn one_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }
}

/// A person, whose server may be down.
struct MonthPerson {
    name: &'static str,
    world: World,
    address: SocketAddr,
    /// The number of steps for which the server is still down.
    down: usize,
    /// The devices that are active, as far as anybody knows.
    devices: Vec<PocketDevice>,
    /// The device that waits for its approval.
    waiting: Option<PocketDevice>,
    /// The devices that were revoked.
    former: Vec<PocketDevice>,
    /// The number of devices so far.
    made: usize,
}

/// A message that a person has written.
struct WrittenMessage {
    words: String,
    /// The address of the device that wrote it.
    by: String,
    /// The addresses of both people's devices that were active then.
    active: BTreeSet<String>,
}

impl MonthPerson {
    async fn begin(internet: &Internet, name: &'static str, host: &str) -> Self {
        let (mut world, address) = World::online(internet, host).await;
        world.leave_queues();
        let (devices, former) = (Vec::new(), Vec::new());
        Self { name, world, address, down: 0, devices, waiting: None, former, made: 0 }
    }

    fn me(&self) -> Person {
        self.devices[0].client.me()
    }

    /// Returns the addresses of the active devices, as the server knows them.
    async fn active(&self) -> BTreeSet<String> {
        let user = self.me().user;
        let origin = self.world.state.origin().clone();
        let request = http::Request::get(origin.devices(&user)).body(Default::default()).unwrap();
        let (status, chain) = self.world.transport().json(request).await;
        assert_eq!(status, 200, "{chain}");
        let nodes: Vec<_> = chain["orderedItems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| eko_protocol::chain::ChainNode::parse(node).unwrap())
            .collect();
        let state = eko_protocol::chain::ChainState::replay(&origin, &user, &nodes).unwrap();
        state.active.keys().map(|device| origin.device(&user, device)).collect()
    }
}

/// A month that is played.
struct Month {
    chances: Chances,
    internet: Internet,
    people: [MonthPerson; 2],
    written: Vec<WrittenMessage>,
    /// The devices that cannot look at the end.
    faults: Vec<String>,
}

impl Month {
    async fn begin(seed: &str) -> Self {
        let internet = Internet::new();
        let people = [
            MonthPerson::begin(&internet, "alice", "a.example").await,
            MonthPerson::begin(&internet, "bob", "b.example").await,
        ];
        let (chances, written, faults) = (Chances(seeded(seed)), Vec::new(), Vec::new());
        let mut month = Self { chances, internet, people, written, faults };
        for who in 0..2 {
            month.sign_in(who).await;
            while month.people[who].devices.len() < DEVICES {
                month.sign_in(who).await;
                month.approve(who).await;
            }
        }
        let [alice, bob] = month.people.each_ref().map(MonthPerson::me);
        for (who, other) in [(0, bob), (1, alice)] {
            for device in &month.people[who].devices {
                device.client.verification(&other).await.unwrap();
                device.client.accept_contact(&other).unwrap();
            }
        }
        month
    }

    /// Signs in a new device of a person. All but the first wait for their approval.
    async fn sign_in(&mut self, who: usize) {
        let label = format!("{}-{}", self.people[who].name, self.people[who].made);
        let worlds = [&self.people[0].world, &self.people[1].world];
        // Half of the new devices are in the place of one that was revoked last.
        let former = self.people[who].former.last().filter(|_| self.chances.one_in(2));
        let user = self.people[who].name;
        let device = PocketDevice::sign_in(worlds[who], &worlds, user, &label, former).await;
        let person = &mut self.people[who];
        person.made += 1;
        if person.devices.is_empty() {
            person.devices.push(device);
        } else {
            person.waiting = Some(device);
        }
    }

    /// Has one of a person's devices approve the one that waits. What fails is tried again with the
    /// next step.
    async fn approve(&mut self, who: usize) {
        self.pump().await;
        let by = self.chances.below(self.people[who].devices.len());
        let person = &mut self.people[who];
        let Some(waiting) = &mut person.waiting else { return };
        if waiting.client.joining_code().unwrap().is_some() {
            let code = code_of(&waiting.client);
            let approver = &mut person.devices[by];
            approver.look().await;
            let _ = approver.run(async |client| client.approve(&code).await).await;
        }
        // Another process may have approved it before it was killed.
        let joined = waiting.run(async |client| client.join().await).await;
        if matches!(joined, Some(Ok(JoinState::Joined))) {
            person.devices.extend(person.waiting.take());
        }
    }

    /// Has one of a person's devices revoke another one.
    async fn revoke(&mut self, who: usize) {
        let person = &mut self.people[who];
        let lost = self.chances.below(person.devices.len());
        let mut lost = person.devices.swap_remove(lost);
        let by = self.chances.below(person.devices.len());
        let id = lost.client.device().id().clone();
        let _ = person.devices[by].run(async |client| client.revoke(&id).await).await;
        let is_active = person.active().await.contains(&lost.address);
        lost.dies_after = None;
        if is_active { person.devices.push(lost) } else { person.former.push(lost) }
    }

    /// Passes on what waits at the servers.
    async fn pump(&self) {
        for _ in 0..2 {
            for person in &self.people {
                person.world.try_pump().await;
            }
        }
    }

    /// Has a device write to the other person.
    async fn write(&mut self, who: usize, device: usize) {
        let mut active = self.people[0].active().await;
        active.extend(self.people[1].active().await);
        let other = self.people[1 - who].me();
        let writer = &mut self.people[who].devices[device];
        let words = format!("{} {}", writer.label, self.written.len());
        // A message that was not kept was not sent, and its writer knows it.
        let draft = text(&words);
        let _ = writer.run(async |client| client.send(&other, draft).await).await;
        self.written.push(WrittenMessage { words, by: writer.address.clone(), active });
    }

    /// Draws the troubles that begin with a step.
    fn draw_troubles(&mut self) {
        for person in &mut self.people {
            person.down = match person.down {
                0 if self.chances.one_in(12) => 1 + self.chances.below(5),
                steps => steps.saturating_sub(1),
            };
            match person.down {
                0 => self.internet.plug(person.address),
                _ => self.internet.unplug(person.address),
            }
            for device in &mut person.devices {
                let troubles = &mut device.troubles;
                let steps = [&mut troubles.wrong_clock, &mut troubles.full_disk, &mut troubles.bad_line];
                for steps in steps {
                    *steps = match *steps {
                        0 if self.chances.one_in(30) => 1 + self.chances.below(5),
                        left => left.saturating_sub(1),
                    };
                }
                if device.troubles.wrong_clock > 0 && self.chances.one_in(2) {
                    device.set_skew(if self.chances.one_in(2) { SKEW_MS } else { -SKEW_MS });
                }
                device.dies_after = self.chances.one_in(8).then(|| self.chances.below(8));
                device.suffer(person.down > 0);
            }
            if let Some(waiting) = &mut person.waiting {
                waiting.suffer(person.down > 0);
            }
        }
    }

    async fn step(&mut self) {
        self.internet.advance(STEP_MS);
        self.draw_troubles();
        for who in 0..2 {
            for device in 0..self.people[who].devices.len() {
                if self.chances.one_in(2) {
                    self.people[who].devices[device].look().await;
                }
                if self.chances.one_in(5) {
                    self.write(who, device).await;
                }
            }
            let is_up = self.people[who].down == 0;
            if is_up && self.chances.one_in(20) && self.people[who].devices.len() == DEVICES {
                self.revoke(who).await;
            }
            if is_up && self.people[who].waiting.is_some() {
                self.approve(who).await;
            } else if is_up && self.people[who].devices.len() < DEVICES && self.chances.one_in(3) {
                self.sign_in(who).await;
            }
            self.pump().await;
        }
    }

    /// Ends all troubles, and has every device look until nothing comes any more.
    async fn settle(&mut self) {
        for hour in 0..SETTLING {
            self.internet.advance(3_600_000);
            for person in &mut self.people {
                person.down = 0;
                self.internet.plug(person.address);
                for device in &mut person.devices {
                    (device.troubles, device.dies_after) = Default::default();
                    device.suffer(false);
                }
            }
            for who in 0..2 {
                for device in 0..self.people[who].devices.len() {
                    let looked = self.people[who].devices[device].look().await.unwrap();
                    let label = &self.people[who].devices[device].label;
                    if hour == SETTLING - 1
                        && let Err(error) = looked
                    {
                        self.faults.push(format!("{label} cannot look: {error:?}"));
                    }
                }
                self.pump().await;
            }
        }
    }

    /// Returns what is wrong at the end.
    fn faults(&self) -> Vec<String> {
        let mut faults = self.faults.clone();
        let mut reported = 0;
        for person in &self.people {
            for device in &person.devices {
                faults.extend(self.disorder(device));
            }
        }
        for message in &self.written {
            let author = self
                .people
                .iter()
                .flat_map(|person| person.devices.iter().chain(&person.former))
                .find(|device| device.address == message.by)
                .unwrap();
            let own = author.client.history(None, u32::MAX).unwrap();
            let kept = own.iter().find(|stored| stored.content.text == message.words);
            let sent = kept.map(|stored| author.client.sent(&stored.content.id).unwrap());
            for person in &self.people {
                for device in &person.devices {
                    let history = device.client.history(None, u32::MAX).unwrap();
                    let count = history.iter().filter(|it| it.content.text == message.words).count();
                    let is_due = message.active.contains(&device.address);
                    let Some(sent) = &sent else {
                        if count > 0 {
                            faults.push(format!("{}: {} was never kept", device.label, message.words));
                        }
                        continue;
                    };
                    let actor = device.client.me().actor();
                    let envelope = sent.envelopes.iter().find(|envelope| envelope.recipient == actor);
                    let is_reported = envelope.is_some_and(|envelope| {
                        matches!(
                            envelope.state,
                            EnvelopeState::Failed | EnvelopeState::Refused | EnvelopeState::ToSend
                        )
                    });
                    if count > 1 {
                        faults.push(format!("{}: {} {count} times", device.label, message.words));
                    } else if count == 0 && is_due && is_reported {
                        reported += 1;
                    } else if count == 0 && is_due {
                        let state = envelope.map(|it| (it.state, it.reason.clone()));
                        faults.push(format!("{}: {} is missing: {state:?}", device.label, message.words));
                    }
                }
            }
        }
        let all = || self.people.iter().flat_map(|person| person.devices.iter().chain(&person.former));
        let (devices, processes) = (all().count(), all().map(|device| device.processes).sum::<u64>());
        let refused: u64 = all().map(|device| device.refused).sum();
        println!(
            "{} messages, {devices} devices, {processes} processes, {refused} looks refused by a full disk, \
             {reported} copies reported as not sent",
            self.written.len()
        );
        assert!(
            devices > 2 * DEVICES && processes > u64::try_from(devices).unwrap() && refused > 0,
            "nothing happened"
        );
        faults
    }

    /// Returns the pairs of messages of one device that another one shows in the wrong order.
    fn disorder(&self, device: &PocketDevice) -> Vec<String> {
        let numbers: BTreeMap<&str, usize> =
            self.written.iter().enumerate().map(|(at, message)| (message.words.as_str(), at)).collect();
        let mut last: BTreeMap<String, usize> = BTreeMap::new();
        let mut faults = Vec::new();
        for stored in device.client.history(None, u32::MAX).unwrap() {
            let Some(number) = numbers.get(stored.content.text.as_str()) else { continue };
            if let Some(before) = last.insert(stored.content.device.clone(), *number)
                && before > *number
            {
                let (first, second) = (&self.written[before].words, &self.written[*number].words);
                faults.push(format!("{}: {first} stands before {second}", device.label));
            }
        }
        faults
    }
}

#[tokio::test]
async fn every_message_of_a_month_is_there_once_and_in_order_or_reported() {
    let seed = std::env::var(SEED).unwrap_or_else(|_| "a month".to_owned());
    let mut month = Month::begin(&seed).await;
    for _ in 0..DAYS * STEPS {
        month.step().await;
    }
    month.settle().await;
    let faults = month.faults();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
