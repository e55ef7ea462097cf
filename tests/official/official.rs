//! A device whose cryptography is Signal's own library: a Node process that reads commands as lines
//! of JSON (`driven.mjs`).
//!
//! The tests of any package may use it: `#[path = "…/tests/official/official.rs"] mod official;`.

#[path = "npm.rs"]
mod npm;

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// The time to wait for an answer. The process itself gives up sooner.
const PATIENCE: Duration = Duration::from_secs(180);

/// A version of `@signalapp/libsignal-client`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    /// The current version: PQXDH, and a ratchet that is post-quantum too.
    Current,
    /// An older version, which still begins sessions without a Kyber key.
    X3dh,
}

impl Library {
    /// Returns its name in `package.json`.
    fn name(self) -> &'static str {
        match self {
            Self::Current => "libsignal-current",
            Self::X3dh => "libsignal-x3dh",
        }
    }
}

/// A process that is one device of one user. It is killed when this value is dropped; after a
/// panic, the commands and the output are shown.
pub(crate) struct OfficialProcess {
    child: Child,
    stdin: ChildStdin,
    readers: Vec<JoinHandle<()>>,
    answers: UnboundedReceiver<String>,
    log: SharedLog,
}

/// The commands and the output of a process, as lines.
type SharedLog = Arc<Mutex<String>>;

impl OfficialProcess {
    /// Starts the process. It is no device before the command `register`.
    pub(crate) async fn start(library: Library) -> Self {
        let mut node = node("driven.mjs").await;
        node.arg(library.name()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = node.spawn().unwrap();
        let log = SharedLog::default();
        let (answer, answers) = mpsc::unbounded_channel();
        let out = read(child.stdout.take().unwrap(), log.clone(), move |line| {
            let _ = answer.send(line.to_owned());
        });
        let err = read(child.stderr.take().unwrap(), log.clone(), |_| ());
        Self { stdin: child.stdin.take().unwrap(), child, readers: vec![out, err], answers, log }
    }

    /// Gives a command that must succeed, and returns the result.
    pub(crate) async fn command(&mut self, command: &Value) -> Value {
        match self.ask(command).await {
            CommandAnswer::Done(result) => result,
            CommandAnswer::Refused(status, body) => panic!("{command}: refused, {status} {body:#}"),
        }
    }

    /// Gives a command that the server must refuse, and returns the status and the body.
    pub(crate) async fn refused(&mut self, command: &Value) -> (u64, Value) {
        match self.ask(command).await {
            CommandAnswer::Done(result) => panic!("{command}: not refused, {result:#}"),
            CommandAnswer::Refused(status, body) => (status, body),
        }
    }

    /// Gives a command and waits for the answer. Panics if the command failed for another reason
    /// than a refusal.
    async fn ask(&mut self, command: &Value) -> CommandAnswer {
        note(&self.log, &command.to_string());
        writeln!(self.stdin, "{command}").unwrap();
        let line = tokio::time::timeout(PATIENCE, self.answers.recv()).await;
        let line = line.unwrap_or_else(|_| panic!("{command}: no answer"));
        let line = line.unwrap_or_else(|| panic!("{command}: the process has ended"));
        let answer: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        match (answer.get("done"), answer.get("refused")) {
            (Some(result), _) => CommandAnswer::Done(result.clone()),
            (None, Some(refused)) => {
                CommandAnswer::Refused(refused["status"].as_u64().unwrap(), refused["body"].clone())
            }
            (None, None) => panic!("{command}: {}", answer["failed"].as_str().unwrap_or(&line)),
        }
    }
}

/// The answer to a command.
enum CommandAnswer {
    /// The result of a command that succeeded.
    Done(Value),
    /// The status and the body of the server's refusal.
    Refused(u64, Value),
}

impl Drop for OfficialProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Returns a command that runs a script of this folder in Node, with the folder of the libraries as
/// its argument. Installs the libraries if they are missing.
pub(crate) async fn node(script: &str) -> Command {
    let folder = tokio::task::spawn_blocking(npm::installed).await.unwrap();
    let folder = folder.unwrap_or_else(|reason| panic!("{reason}"));
    let mut command = Command::new("node");
    command.arg(npm::scripts().join(script)).arg(folder);
    command
}

/// Reads lines until the end of the stream, on a thread of its own.
fn read(
    from: impl Read + Send + 'static,
    log: SharedLog,
    mut each: impl FnMut(&str) + Send + 'static,
) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            note(&log, &line);
            each(&line);
        }
    })
}

/// Appends a line to the log.
fn note(log: &SharedLog, line: &str) {
    let mut log = log.lock().unwrap();
    log.push_str(line);
    log.push('\n');
}
