//! A child of this process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// How often is looked whether it has ended, and how long that may take.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: usize = 600;

/// A process that ends with this value, on a panic too; then what it said is shown.
///
/// By SIGTERM: killed, `cargo lambda watch` would leave its functions behind.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    ended: bool,
}

impl Process {
    /// Starts it; what it says goes to the file.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let file = File::create(log).unwrap();
        let program = command.get_program().to_owned();
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        Self { child, log: log.to_owned(), ended: false }
    }

    /// What it has said.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it, and waits until it has ended.
    pub(crate) fn end(&mut self) {
        assert!(self.terminate(), "it did not end by itself:\n{}", self.said());
    }

    /// Whether it ended in time, or before.
    fn terminate(&mut self) -> bool {
        if std::mem::replace(&mut self.ended, true) {
            return true;
        }
        if !matches!(self.child.try_wait(), Ok(None)) {
            return true;
        }
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        for _ in 0..LOOKS {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return true;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.terminate();
        if std::thread::panicking() {
            eprintln!("{}:\n{}", self.log.display(), self.said());
        }
    }
}
