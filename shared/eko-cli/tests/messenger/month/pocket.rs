//! A device in somebody's pocket: its files outlive its processes, and its clock, its disk and its
//! line may fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use eko_cli::LibSignal;
use eko_client::messenger::{MessengerError, ReceivedBatch};
use eko_client::store::FormerDevice;
use eko_client::{DeviceStore, Environment, Messenger};
use eko_testkit::{World, seeded};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::people::{TestMessenger, request, sign_in, welcome};
use crate::test_network::{NetworkFault, TestNetwork};

/// The number of requests of which the answer of one is lost on a bad line.
const BAD_LINE: usize = 4;

/// The device of a person.
pub(super) struct PocketDevice {
    /// The device's name, which no other device of the test has.
    pub(super) label: String,
    /// The device's address.
    pub(super) address: String,
    /// The process that runs.
    pub(super) client: TestMessenger,
    /// The number of steps for which each trouble lasts.
    pub(super) troubles: Troubles,
    /// The number of requests that the next operation may make before the process is killed.
    pub(super) dies_after: Option<usize>,
    /// The number of processes so far.
    pub(super) processes: u64,
    /// The number of looks that failed since the disk was full.
    pub(super) refused: u64,
    /// The time by which the clock is wrong.
    skew_ms: Arc<AtomicI64>,
    world_clock: eko_client::environment::Clock,
    line: TestNetwork,
    folder: TempDir,
}

/// The number of steps for which a device's troubles last.
#[derive(Default)]
pub(super) struct Troubles {
    pub(super) wrong_clock: usize,
    pub(super) full_disk: usize,
    pub(super) bad_line: usize,
}

impl PocketDevice {
    /// Signs in a new device of a user. The first one is active, any other waits for its approval. It takes
    /// over what the `former` device has left, if it is in the place of one.
    pub(super) async fn sign_in(
        world: &World,
        worlds: &[&World],
        user: &str,
        label: &str,
        former: Option<&Self>,
    ) -> Self {
        let (line, folder) = (TestNetwork::to(worlds), TempDir::new().unwrap());
        let (skew_ms, world_clock) = (Arc::new(AtomicI64::new(0)), world.clock());
        let environment = environment(&world_clock, &skew_ms, label, 0);
        let store = DeviceStore::open(&folder.path().join("eko.db")).unwrap();
        if let Some(former) = former {
            let (file, actor) = (former.folder.path().join("eko.db"), former.client.me().actor());
            store.carry_over(FormerDevice { store: &file, actor: &actor, is_reset: false }).unwrap();
        }
        let request = request(world, user, false);
        let (client, _) = sign_in(world, &line, store, environment, request).await.unwrap();
        Self {
            label: label.to_owned(),
            address: client.device().address(),
            client,
            troubles: Troubles::default(),
            dies_after: None,
            processes: 1,
            refused: 0,
            skew_ms,
            world_clock,
            line,
            folder,
        }
    }

    /// Runs an operation. Returns `None` if the process was killed in the middle of it; then another
    /// one has begun.
    pub(super) async fn run<R>(&mut self, operation: impl AsyncFnOnce(&TestMessenger) -> R) -> Option<R> {
        let Some(limit) = self.dies_after.take() else { return Some(operation(&self.client).await) };
        let passed = AtomicUsize::new(0);
        let is_reached = move |_: &str| passed.fetch_add(1, Ordering::SeqCst) >= limit;
        let done = tokio::select! {
            biased;
            done = operation(&self.client) => Some(done),
            _ = self.line.hold_together(is_reached, 1) => None,
        };
        // Whatever is held from now on passes.
        self.line.hold_together(|_| false, 0).await;
        if done.is_none() {
            self.restart();
        }
        done
    }

    /// Begins a new process on the device's files.
    fn restart(&mut self) {
        let store = DeviceStore::open(&self.folder.path().join("eko.db")).unwrap();
        let environment = environment(&self.world_clock, &self.skew_ms, &self.label, self.processes);
        self.processes += 1;
        self.client = Messenger::open(self.line.clone(), LibSignal, store, environment).unwrap().unwrap();
    }

    /// Looks into the mailbox, shows what came, and accepts whoever wrote. A look that fails is made
    /// again with the next step.
    pub(super) async fn look(&mut self) -> Option<Result<ReceivedBatch, MessengerError>> {
        let looked = self.run(async |client| client.receive().await).await?;
        if let Ok(received) = &looked
            && let Some(last) = received.messages.last()
        {
            // A full disk keeps no note of it, so that the messages are shown once more.
            let _ = self.client.note_shown(last.position);
        }
        if self.troubles.full_disk == 0 {
            welcome(&self.client);
        }
        self.refused += u64::from(matches!(looked, Err(MessengerError::Store(_))));
        Some(looked)
    }

    /// Begins or ends what the device's troubles do. The server is out of its reach if `is_cut_off`.
    pub(super) fn suffer(&mut self, is_cut_off: bool) {
        if self.troubles.wrong_clock == 0 {
            self.skew_ms.store(0, Ordering::SeqCst);
        }
        fill_disk(&self.folder, self.troubles.full_disk > 0);
        self.line.honest();
        let (is_bad, count) = (self.troubles.bad_line > 0, AtomicUsize::new(0));
        if is_cut_off {
            self.line.fail(|| Some(NetworkFault::LostRequest));
        } else if is_bad {
            self.line.fail(move || {
                let is_lost = count.fetch_add(1, Ordering::SeqCst) % BAD_LINE == BAD_LINE - 1;
                is_lost.then_some(NetworkFault::LostAnswer)
            });
        }
    }

    /// Sets the clock wrong.
    pub(super) fn set_skew(&self, ms: i64) {
        self.skew_ms.store(ms, Ordering::SeqCst);
    }
}

/// Fills a device's disk, or clears it: every change of its file is refused, as by a full disk.
fn fill_disk(folder: &TempDir, is_full: bool) {
    let file = Connection::open(folder.path().join("eko.db")).unwrap();
    let names = |kind: &str| -> Vec<String> {
        let sql = format!("SELECT name FROM sqlite_master WHERE type = '{kind}' AND name NOT LIKE 'sqlite%'");
        let mut read = file.prepare(&sql).unwrap();
        read.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    for trigger in names("trigger") {
        file.execute_batch(&format!("DROP TRIGGER {trigger}")).unwrap();
    }
    for (table, act) in
        names("table").iter().flat_map(|table| ["INSERT", "UPDATE", "DELETE"].map(|act| (table.clone(), act)))
    {
        if is_full {
            let refusal = "BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END";
            let sql = format!("CREATE TRIGGER full_{table}_{act} BEFORE {act} ON {table} {refusal}");
            file.execute_batch(&sql).unwrap();
        }
    }
}

fn environment(
    world_clock: &eko_client::environment::Clock,
    skew_ms: &Arc<AtomicI64>,
    label: &str,
    process: u64,
) -> Environment {
    let (clock, skew_ms) = (Arc::clone(world_clock), Arc::clone(skew_ms));
    Environment {
        clock: Arc::new(move || clock().saturating_add(skew_ms.load(Ordering::SeqCst))),
        // Otherwise each process would draw the same ids.
        random: seeded(format!("{label}/{process}")),
    }
}
