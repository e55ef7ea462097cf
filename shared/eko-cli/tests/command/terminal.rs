//! Commands that ask their questions at a terminal, and those that a person types in.

use std::fs::File;
use std::io::{Read as _, Write};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::test_home::{CommandOutput, TestHome, ended_of};

/// The time after which a terminal that does not show what it should is at fault.
const PATIENCE: Duration = Duration::from_secs(120);

/// Opens a terminal of 80 columns, and returns the person's side and the program's.
fn open_terminal() -> (File, OwnedFd) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let path = ptsname(&controller, Vec::new()).unwrap();
    let terminal = rustix::fs::open(&path, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap();
    let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&controller, size).unwrap();
    (File::from(controller), terminal)
}

/// The rows that a terminal shows. It knows the few sequences that eko writes.
#[derive(Debug, Default)]
struct ShownRows {
    rows: Vec<String>,
    column: usize,
    sequence: Option<String>,
}

impl ShownRows {
    fn take(&mut self, c: char) {
        if self.rows.is_empty() {
            self.rows.push(String::new());
        }
        if let Some(sequence) = &mut self.sequence {
            sequence.push(c);
            if c.is_ascii_alphabetic() {
                let sequence = self.sequence.take().unwrap();
                self.obey(&sequence);
            }
            return;
        }
        let row = self.rows.last_mut().unwrap();
        match c {
            '\x1b' => self.sequence = Some(String::new()),
            '\r' => self.column = 0,
            '\n' => self.rows.push(String::new()),
            c => {
                let mut chars: Vec<char> = row.chars().collect();
                chars.resize(chars.len().max(self.column + 1), ' ');
                chars[self.column] = c;
                *row = chars.into_iter().collect();
                self.column += 1;
            }
        }
    }

    fn obey(&mut self, sequence: &str) {
        let row = self.rows.last_mut().unwrap();
        match sequence {
            "[K" => *row = row.chars().take(self.column).collect(),
            "[2m" | "[22m" | "[?2004h" | "[?2004l" => {}
            back => {
                let columns: usize = back.trim_matches(['[', 'D']).parse().unwrap();
                self.column -= columns;
            }
        }
    }
}

/// A command at a terminal at which a person sits.
pub(crate) struct TestTerminal {
    child: Child,
    person: File,
    terminal: OwnedFd,
    shown: Arc<(Mutex<ShownRows>, Condvar)>,
}

impl TestTerminal {
    /// Starts a command at a terminal of its own.
    pub(crate) fn start(home: &TestHome, arguments: &[&str]) -> Self {
        let (person, terminal) = open_terminal();
        let mut command = home.command(arguments);
        command.env("TERM", "xterm").stdin(terminal.try_clone().unwrap());
        command.stdout(terminal.try_clone().unwrap()).stderr(terminal.try_clone().unwrap());
        let child = command.spawn().unwrap();
        let shown = Arc::<(Mutex<ShownRows>, Condvar)>::default();
        let (mut output, to) = (person.try_clone().unwrap(), Arc::clone(&shown));
        std::thread::spawn(move || {
            let (mut bytes, mut rest) = ([0; 1024], Vec::new());
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                rest.extend_from_slice(&bytes[..count]);
                let good = std::str::from_utf8(&rest).map_or_else(|fault| fault.valid_up_to(), str::len);
                let text: Vec<u8> = rest.drain(..good).collect();
                let mut shown = to.0.lock().unwrap();
                String::from_utf8(text).unwrap().chars().for_each(|c| shown.take(c));
                to.1.notify_all();
            }
        });
        Self { child, person, terminal, shown }
    }

    pub(crate) fn press(&mut self, keys: &str) {
        self.person.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the terminal shows what is asked for, and returns its rows.
    pub(crate) async fn shows(&self, is_shown: impl Fn(&[String]) -> bool + Send + 'static) -> Vec<String> {
        let shown = Arc::clone(&self.shown);
        let wait = move || {
            let (rows, changed) = &*shown;
            let rows = rows.lock().unwrap();
            let (rows, waited) =
                changed.wait_timeout_while(rows, PATIENCE, |shown| !is_shown(&shown.rows)).unwrap();
            assert!(!waited.timed_out(), "{:#?}", rows.rows);
            rows.rows.clone()
        };
        tokio::task::spawn_blocking(wait).await.unwrap()
    }

    /// Waits until the last row is this.
    pub(crate) async fn shows_last(&self, row: &str) -> Vec<String> {
        let row = row.to_owned();
        self.shows(move |rows| rows.last() == Some(&row)).await
    }

    /// Makes the terminal so many columns wide.
    pub(crate) fn resize(&self, columns: u16) {
        let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.person, size).unwrap();
    }

    /// Returns the id of the process.
    pub(crate) fn id(&self) -> rustix::process::Pid {
        rustix::process::Pid::from_child(&self.child)
    }

    /// Waits for the end of the command. Returns its exit code, and whether the terminal shows what is
    /// typed as before.
    pub(crate) async fn end(mut self) -> (Option<i32>, bool) {
        let wait = move || {
            let status = self.child.wait().unwrap();
            let modes = tcgetattr(&self.terminal).unwrap().local_modes;
            (status.code(), modes.contains(LocalModes::ICANON | LocalModes::ECHO))
        };
        tokio::task::spawn_blocking(wait).await.unwrap()
    }
}

impl TestHome {
    /// Runs the command on a terminal at which somebody types this text.
    pub(crate) async fn eko_asking(&self, arguments: &[&str], typed: &str) -> CommandOutput {
        let (mut person, terminal) = open_terminal();
        person.write_all(typed.as_bytes()).unwrap();
        let mut command = self.command(arguments);
        command.stdin(terminal);
        let ended = ended_of(command, String::new()).await;
        drop(person);
        ended
    }
}
