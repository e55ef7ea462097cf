//! Commands that ask their questions at a terminal.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::test_home::{CommandOutput, TestHome, ended_of};

impl TestHome {
    /// Runs the command on a terminal at which somebody types this text.
    pub(crate) async fn eko_asking(&self, arguments: &[&str], typed: &str) -> CommandOutput {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let path = ptsname(&controller, Vec::new()).unwrap();
        let terminal: OwnedFd =
            rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
        let mut person = File::from(controller);
        person.write_all(typed.as_bytes()).unwrap();
        let mut command = self.command(arguments);
        command.stdin(terminal);
        let ended = ended_of(command, String::new()).await;
        drop(person);
        ended
    }
}
