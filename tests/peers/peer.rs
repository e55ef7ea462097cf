//! A server in Python, as a child of this process.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use eko_client::{Body, Exchange, HttpTransport};
use http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// The environment variable that names the Python to use.
pub(crate) const PYTHON: &str = "EKO_PEERS_PYTHON";

/// Returns the value of an environment variable that names a part of the other software.
pub(crate) fn required(variable: &str, what: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: it names {what} (CONTRIBUTING.md)"))
}

/// Returns the folder of the scripts.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// A child process that is a server. It is killed when this value is dropped, on a panic too.
pub(crate) struct Peer {
    child: Child,
    _folder: TempDir,
    /// The base URL of the server.
    pub(crate) origin: String,
    /// The path of its one actor.
    path: &'static str,
}

impl Peer {
    /// Starts a Python script of this folder, whose actor is `/actor`.
    pub(crate) async fn start(script: &str, arguments: &[&str]) -> Self {
        let mut command =
            Command::new(required(PYTHON, "the Python of a venv with tests/peers/requirements.txt"));
        command.arg(folder().join(script)).args(["--port", "0"]).args(arguments);
        Self::spawn(command, TempDir::new().unwrap(), "127.0.0.1", "/actor").await
    }

    /// Starts a program whose first line of output is its port, in a folder of its own. The host is its
    /// name for itself, and the path that of its actor.
    pub(crate) async fn spawn(mut command: Command, folder: TempDir, host: &str, path: &'static str) -> Self {
        let mut child = command
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = child.stdout.take().unwrap();
        // From here on, dropping the value kills the process.
        let mut peer = Self { child, _folder: folder, origin: String::new(), path };
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).map(|_| line)
        });
        let line = line.await.unwrap().unwrap();
        let port: u16 =
            line.trim().parse().unwrap_or_else(|_| panic!("{command:?} does not start: {line:?}"));
        peer.origin = format!("http://{host}:{port}");
        peer
    }

    /// Returns the id of the server's one actor.
    pub(crate) fn actor(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }

    /// Returns the address of a made-up device of that actor.
    pub(crate) fn device(&self) -> String {
        format!("{}/device/1", self.actor())
    }

    /// Returns the requests that the server got, in order, with its verdict on each.
    pub(crate) async fn log(&self) -> Vec<Value> {
        let url = format!("{}/log", self.origin);
        let answer = Exchange::send(&http(), Method::GET, &url, Body::Empty, None).await.unwrap();
        answer.json().unwrap().as_array().unwrap().clone()
    }

    /// Has the server deliver something, and returns the status and the body of the answer that it
    /// got.
    pub(crate) async fn send(&self, order: &Value) -> (u64, Value) {
        let url = format!("{}/send", self.origin);
        let answer = Exchange::send(&http(), Method::POST, &url, Body::Json(order), None).await.unwrap();
        let answer = answer.expect(http::StatusCode::OK).unwrap().json().unwrap();
        let body = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap_or_default();
        (answer["status"].as_u64().unwrap(), body)
    }

    /// Sets how the application around the stack answers what the stack accepts. `Null` leaves the answer
    /// to the stack.
    pub(crate) async fn answer(&self, answer: &Value) {
        let url = format!("{}/answer", self.origin);
        let done = Exchange::send(&http(), Method::POST, &url, Body::Json(answer), None).await.unwrap();
        done.expect(http::StatusCode::OK).unwrap();
    }

    /// Has the server deliver an activity that the library `by` signs.
    pub(crate) async fn deliver(&self, by: &str, inbox: &str, activity: &Value) -> (u64, Value) {
        self.send(&json!({ "inbox": inbox, "activity": activity, "by": by })).await
    }
}

fn http() -> HttpTransport {
    HttpTransport::new().unwrap()
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
