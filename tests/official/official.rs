//! A device whose cryptography is Signal's own library: a process of Node's, told what to do in lines of JSON
//! (`driven.mjs`).
//!
//! For the tests of any package: `#[path = "…/tests/official/official.rs"] mod official;`.

#[path = "npm.rs"]
mod npm;

use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::{self, UnboundedReceiver};

/// As long is waited for an answer; the process itself gives up sooner.
const PATIENCE: Duration = Duration::from_secs(180);

/// A version of `@signalapp/libsignal-client`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    /// The current one: PQXDH, and a ratchet that is post-quantum too.
    Current,
    /// An older one, which still begins sessions without a Kyber key.
    X3dh,
}

impl Library {
    /// Its name in `package.json`.
    fn name(self) -> &'static str {
        match self {
            Self::Current => "libsignal-current",
            Self::X3dh => "libsignal-x3dh",
        }
    }
}

/// A process that is one device of one user. It ends with this value, on a panic too; what was said to it and by it
/// is shown then.
pub(crate) struct OfficialProcess {
    child: Child,
    stdin: ChildStdin,
    readers: Vec<JoinHandle<()>>,
    answers: UnboundedReceiver<String>,
    log: SharedLog,
}

type SharedLog = Arc<Mutex<String>>;

impl OfficialProcess {
    /// Starts it. It is nobody before it is told to `register`.
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

    /// Has it do something, which must succeed: the result.
    pub(crate) async fn command(&mut self, command: &Value) -> Value {
        match self.ask(command).await {
            CommandAnswer::Done(result) => result,
            CommandAnswer::Refused(status, body) => panic!("{command}: refused, {status} {body:#}"),
        }
    }

    /// Has it do something that the server must refuse: status and body.
    pub(crate) async fn refused(&mut self, command: &Value) -> (u64, Value) {
        match self.ask(command).await {
            CommandAnswer::Done(result) => panic!("{command}: not refused, {result:#}"),
            CommandAnswer::Refused(status, body) => (status, body),
        }
    }

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

enum CommandAnswer {
    Done(Value),
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

/// Node with a script of this folder, which is told where the libraries are; they are installed if they are not.
pub(crate) async fn node(script: &str) -> Command {
    let folder = tokio::task::spawn_blocking(npm::installed).await.unwrap();
    let folder = folder.unwrap_or_else(|reason| panic!("{reason}"));
    let mut command = Command::new("node");
    command.arg(npm::scripts().join(script)).arg(folder);
    command
}

/// Reads lines until their end, on a thread of its own.
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

fn note(log: &SharedLog, line: &str) {
    let mut log = log.lock().unwrap();
    log.push_str(line);
    log.push('\n');
}
