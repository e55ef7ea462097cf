//! A user whose store is a file, so that the process can end and begin again.

use std::sync::Mutex;
use std::time::Duration;

use eko_cli::LibSignal;
use eko_client::environment::Clock;
use eko_client::{DeviceStore, Environment, Messenger};
use eko_testkit::World;
use tempfile::TempDir;

use crate::people::{TestMessenger, request, sign_in};
use crate::test_network::TestNetwork;

/// A user whose store is a file.
pub(crate) struct RestartingUser {
    /// The user's network, which can fail.
    pub(crate) line: TestNetwork,
    folder: TempDir,
    clock: Clock,
}

impl RestartingUser {
    /// Signs in the first device of a user.
    pub(crate) async fn sign_in(world: &World, name: &str) -> (Self, TestMessenger) {
        let user =
            Self { line: TestNetwork::to(&[world]), folder: TempDir::new().unwrap(), clock: world.clock() };
        let (line, request) = (user.line.clone(), request(world, name, false));
        let signed_in = sign_in(world, &line, user.store(), user.environment(), request).await;
        (user, signed_in.unwrap().0)
    }

    /// Opens the user's store, as a new process does.
    pub(crate) fn open(&self) -> TestMessenger {
        Messenger::open(self.line.clone(), LibSignal, self.store(), self.environment()).unwrap().unwrap()
    }

    /// Opens the user's file.
    pub(crate) fn store(&self) -> DeviceStore {
        DeviceStore::open(&self.folder.path().join("eko.db")).unwrap()
    }

    /// Returns the number of sessions in the user's file.
    pub(crate) fn sessions(&self) -> u64 {
        let file = rusqlite::Connection::open(self.folder.path().join("eko.db")).unwrap();
        file.query_row("SELECT count(*) FROM sessions", [], |row| row.get(0)).unwrap()
    }

    /// Changes the user's file.
    pub(crate) fn change_store(&self, sql: &str) {
        let file = rusqlite::Connection::open(self.folder.path().join("eko.db")).unwrap();
        file.execute_batch(sql).unwrap();
    }

    /// Returns a function that changes the user's file, unless a process writes to it just then.
    pub(crate) fn changes_at_once(&self) -> impl Fn(&str) + Send + Sync + use<> {
        let file = rusqlite::Connection::open(self.folder.path().join("eko.db")).unwrap();
        file.busy_timeout(Duration::ZERO).unwrap();
        let file = Mutex::new(file);
        move |sql| {
            if let Err(error) = file.lock().unwrap().execute_batch(sql) {
                assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
            }
        }
    }

    /// Returns the environment of a process. The random bytes are not seeded: otherwise each process
    /// that opens the store would draw the same ids.
    fn environment(&self) -> Environment {
        Environment { clock: self.clock.clone(), ..Environment::system() }
    }
}
