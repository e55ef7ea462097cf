//! A child of this process, with its output in a file.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The pause between two looks whether the process has ended, and the number of looks before giving
/// up.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const LOOKS: usize = 600;

/// A process that is ended when this value is dropped. After a panic its output is shown.
///
/// It is ended by SIGTERM: killed, `cargo lambda watch` would leave its functions running.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    ended: bool,
}

impl Process {
    /// Starts the process, with its output in the file `log`.
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

    /// Returns the output so far.
    pub(crate) fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends the process and waits for it. Asserts that it ended in time.
    pub(crate) fn end(&mut self) {
        assert!(self.terminate(), "it did not end by itself:\n{}", self.output());
    }

    /// Ends the process. Returns true if it ended in time, or had ended before.
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
            eprintln!("{}:\n{}", self.log.display(), self.output());
        }
    }
}
