//! A server on this machine, and homes in which the executable runs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use eko_local::server::{BoundServer, ServerOptions};
use eko_protocol::address::Origin;
use serde_json::Value;
use tempfile::TempDir;

/// Starts a server on a free port, and returns its origin. The server ends with the test's runtime.
pub(crate) async fn server() -> String {
    serve(None).await.origin.to_string()
}

/// The address of a server that runs.
pub(crate) struct ServerAddress {
    /// The public base URL.
    pub(crate) origin: Origin,
    /// The URL at which it listens.
    pub(crate) url: String,
}

/// Starts a server on a free port, whose public base URL may be another one.
pub(crate) async fn serve(origin: Option<Origin>) -> ServerAddress {
    let mut options = ServerOptions { origin, ..ServerOptions::default() };
    // A test deletes an account that it has just made.
    options.limits.deletable_after_ms = 0;
    let server = BoundServer::bind(&options).await.unwrap();
    let address = ServerAddress { origin: server.origin.clone(), url: server.url.clone() };
    tokio::spawn(server.run(std::future::pending()));
    address
}

/// The output of a command that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CommandOutput {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl CommandOutput {
    /// Returns standard output. Panics if the command has failed.
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{}", self.err);
        self.out
    }

    /// Returns standard output as JSON. Panics if the command has failed.
    pub(crate) fn object(self) -> Value {
        serde_json::from_str(&self.done()).unwrap()
    }
}

/// A folder for accounts, which is removed at the end of the test.
pub(crate) struct TestHome {
    folder: TempDir,
}

impl TestHome {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Returns the folder of the only account.
    pub(crate) fn account(&self) -> PathBuf {
        let accounts = self.path().join("accounts").read_dir().unwrap();
        let [account] = accounts.map(|entry| entry.unwrap().path()).collect::<Vec<_>>().try_into().unwrap();
        account
    }

    /// Returns the command, without those of this machine's environment variables that would change
    /// it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eko"));
        command.args(arguments).env("EKO_HOME", self.path()).env_remove("EKO_AS").env_remove("EKO_SERVER");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) async fn eko(&self, arguments: &[&str]) -> CommandOutput {
        ended_of(self.command(arguments), String::new()).await
    }

    /// Runs the command with this text on standard input.
    pub(crate) async fn eko_reading(&self, arguments: &[&str], input: &str) -> CommandOutput {
        ended_of(self.command(arguments), input.to_owned()).await
    }
}

/// Runs a command on another thread, since the server runs in this process.
pub(crate) async fn ended_of(mut command: Command, input: String) -> CommandOutput {
    let run = move || {
        let mut child = command.spawn().unwrap();
        // The write fails if the command has ended without reading. At a terminal there is no pipe.
        if let Some(mut stdin) = child.stdin.take() {
            let _ = stdin.write_all(input.as_bytes());
        }
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        CommandOutput {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}
