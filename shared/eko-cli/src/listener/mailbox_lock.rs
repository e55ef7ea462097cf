//! The lock of the one process that reads an account's mailbox, and the signs of life of that process.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use eko_client::Environment;
use tokio::time::sleep;

use crate::failure::{CommandFailure, Exit, FileUse};
use crate::home::AccountFolder;

/// The pause between two signs of life.
const LIFE_PAUSE: Duration = Duration::from_secs(1);
/// The age of the last sign of life from which on a follower takes a process to be suspended.
const SUSPENDED_MS: i64 = 30_000;
/// The time in which a process must show life to a command that does not follow it for long.
const LIFE_TIME: Duration = Duration::from_secs(5);
/// The pause between two looks for a sign of life.
const LOOK_PAUSE: Duration = Duration::from_millis(100);
/// The time for which a follower must have waited for another sign of life. A machine that has slept is
/// not a process that is suspended.
const WATCHED: Duration = Duration::from_secs(15);

/// The lock, which lasts as long as this value and ends with the process. Its file has the last sign of
/// life: the id of the process, and the time in epoch milliseconds.
pub(crate) struct MailboxLock {
    file: Arc<File>,
}

/// A thread that gives signs of life until this value is dropped. The work of the process may wait for the
/// store, whose transactions block the thread that they run on.
struct LifeSigns {
    /// Nothing is sent. It is dropped to end the thread.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// The last sign of life of the process that has the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LifeSign {
    process: u32,
    at_ms: i64,
}

impl MailboxLock {
    /// Returns the path of an account's lock.
    pub(super) fn path(account: &AccountFolder) -> PathBuf {
        account.path().join("listening")
    }

    /// Takes the lock, or returns `None` if another process has it.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub(super) fn take(path: &Path, now_ms: i64) -> Result<Option<Self>, CommandFailure> {
        let cannot =
            |error: std::io::Error| CommandFailure::of_file("cannot open", FileUse::Write, path, &error);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(cannot)?;
        match file.try_lock() {
            Ok(()) => {
                show_life(&file, now_ms);
                Ok(Some(Self { file: Arc::new(file) }))
            }
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(cannot(error)),
        }
    }

    /// Does something that takes long, and shows meanwhile that this process lives.
    pub(super) async fn alive<R>(&self, environment: &Environment, work: impl Future<Output = R>) -> R {
        let _signs = LifeSigns::begin(Arc::clone(&self.file), environment.clone());
        work.await
    }
}

fn show_life(file: &File, now_ms: i64) {
    // Each sign has the length of the one before it.
    let sign = format!("{:>10} {now_ms:>20}\n", std::process::id());
    // Without a sign, others say that this process seems suspended, and do nothing else.
    let _ = file.write_all_at(sign.as_bytes(), 0);
}

impl LifeSigns {
    fn begin(file: Arc<File>, environment: Environment) -> Self {
        let (end, ended) = mpsc::channel::<()>();
        let give = move || {
            while {
                show_life(&file, environment.now_ms());
                ended.recv_timeout(LIFE_PAUSE) == Err(RecvTimeoutError::Timeout)
            } {}
        };
        // Without a thread it is as without a sign.
        let thread = thread::Builder::new().name("eko-life".to_owned()).spawn(give).ok();
        Self { end: Some(end), thread }
    }
}

impl Drop for LifeSigns {
    fn drop(&mut self) {
        drop(self.end.take());
        // The thread has the file, whose lock lasts as long as anybody has it.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl LifeSign {
    /// Reads the sign of whoever has the lock. `None` if there is none that can be read.
    fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let (process, at_ms) = text.trim().split_once(' ')?;
        Some(Self { process: process.parse().ok()?, at_ms: at_ms.trim().parse().ok()? })
    }

    fn is_old(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.at_ms) >= SUSPENDED_MS
    }

    /// Returns the failure of whoever needs the mailbox to be read.
    fn failure(&self, now_ms: i64) -> CommandFailure {
        let Self { process, at_ms } = self;
        let seconds = now_ms.saturating_sub(*at_ms).div_euclid(1_000);
        let age = match seconds {
            ..120 => format!("{seconds} seconds"),
            120.. => format!("{} minutes", seconds.div_euclid(60)),
        };
        CommandFailure::new(format!(
            "nobody reads your mailbox: another eko, the process {process}, has it and shows no life for \
             {age}; it seems to be suspended"
        ))
        .next(format!("kill -CONT {process}, which wakes it, or kill -9 {process}, which ends it"))
        .exit(Exit::TryLater)
    }
}

/// Takes the lock, or waits for the next sign of life of the process that has it, and returns `None` then.
///
/// # Errors
/// The file cannot be opened; there is no sign of life for [`LIFE_TIME`], so that nobody seems to read the
/// mailbox.
pub(super) async fn lock_or_reader(
    path: &Path,
    environment: &Environment,
) -> Result<Option<MailboxLock>, CommandFailure> {
    let (first, mut waited) = (LifeSign::read(path), Duration::ZERO);
    loop {
        if let Some(lock) = MailboxLock::take(path, environment.now_ms())? {
            return Ok(Some(lock));
        }
        let sign = LifeSign::read(path);
        if sign.is_some() && sign != first {
            return Ok(None);
        }
        if waited >= LIFE_TIME {
            return Err(match sign {
                Some(sign) => sign.failure(environment.now_ms()),
                None => {
                    CommandFailure::new("another eko has your mailbox, and does not say that it reads it")
                        .next("end that one, or try again")
                        .exit(Exit::TryLater)
                }
            });
        }
        sleep(LOOK_PAUSE).await;
        waited = waited.saturating_add(LOOK_PAUSE);
    }
}

/// The watch that a follower keeps over the process that reads the mailbox.
#[derive(Default)]
pub(super) struct ReaderWatch {
    seen: Option<LifeSign>,
    /// The time that has passed since that sign was seen first.
    passed: Duration,
    is_told: bool,
}

impl ReaderWatch {
    /// Looks for a sign of life, a pause after the last look. Returns a failure once if there is none for
    /// long.
    pub(super) fn look(&mut self, path: &Path, now_ms: i64, pause: Duration) -> Option<CommandFailure> {
        let sign = LifeSign::read(path);
        if sign != self.seen {
            *self = Self { seen: sign, ..Self::default() };
        }
        self.passed = self.passed.saturating_add(pause);
        let sign = sign.filter(|sign| sign.is_old(now_ms) && self.passed >= WATCHED && !self.is_told)?;
        self.is_told = true;
        Some(sign.failure(now_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_shows_no_life_is_named_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("listening");
        let lock = MailboxLock::take(&path, 1_000).unwrap().unwrap();
        assert!(MailboxLock::take(&path, 2_000).unwrap().is_none());
        let later_ms = 1_000 + SUSPENDED_MS;
        let named = |now_ms| LifeSign::read(&path).unwrap().failure(now_ms).to_string();
        assert!(named(8_500).contains("no life for 7 seconds") && named(200_000).contains("for 3 minutes"));
        let mut watch = ReaderWatch::default();
        let mut look = |now_ms| watch.look(&path, now_ms, WATCHED / 3).is_some();
        // The machine has slept.
        assert_eq!([look(0), look(later_ms)], [false, false]);
        show_life(&lock.file, later_ms);
        let later_ms = later_ms + SUSPENDED_MS;
        assert_eq!([later_ms; 5].map(&mut look), [false, false, true, false, false]);
        show_life(&lock.file, later_ms);
        assert_eq!([later_ms + SUSPENDED_MS; 4].map(look), [false, false, true, false]);
    }

    /// A transaction of the store waits for that of another process for 20 seconds, and blocks its thread
    /// meanwhile.
    #[tokio::test]
    async fn a_reader_that_waits_for_the_store_shows_life() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("listening");
        let lock = MailboxLock::take(&path, 1_000).unwrap().unwrap();
        let first = LifeSign::read(&path).unwrap();
        let waits_for_the_store = async {
            (0..6_000).any(|_| {
                thread::sleep(Duration::from_millis(10));
                LifeSign::read(&path).is_some_and(|sign| sign != first)
            })
        };
        assert!(lock.alive(&Environment::system(), waits_for_the_store).await);
        drop(lock);
        assert!(MailboxLock::take(&path, 2_000).unwrap().is_some(), "the thread has ended");
    }
}
