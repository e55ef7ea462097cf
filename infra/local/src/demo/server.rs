//! A server in a process of its own, which the demo kills and starts again. The process is this
//! program.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// The longest time that a server may take to start.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// A server process with its data folder. Dropping the value kills the process.
pub(super) struct ServerProcess {
    data: TempDir,
    port: u16,
    process: Option<Child>,
    /// The public base URL.
    pub(super) origin: String,
}

impl ServerProcess {
    /// Starts a server on a free port with an empty folder.
    ///
    /// # Errors
    /// The server does not start.
    pub(super) async fn new() -> anyhow::Result<Self> {
        let data = TempDir::new().context("no folder for a server's data")?;
        let mut server = Self { data, port: 0, process: None, origin: String::new() };
        server.start().await?;
        Ok(server)
    }

    /// Starts the server with the port and the data that it had, and waits until it listens.
    ///
    /// # Errors
    /// The server does not start.
    pub(super) async fn start(&mut self) -> anyhow::Result<()> {
        let program = std::env::current_exe().context("this program cannot be found")?;
        let mut process = Command::new(program)
            .arg("serve")
            .args(["--port", &self.port.to_string()])
            .arg("--data")
            .arg(self.data.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the server cannot be started")?;
        let output = process.stdout.take().context("the server has no output")?;
        let mut lines = BufReader::new(output).lines();
        let listens = tokio::time::timeout(STARTS_WITHIN, async {
            while let Some(line) = lines.next_line().await? {
                if let Some((_, origin)) = line.split_once("listens on ") {
                    return anyhow::Ok(origin.trim().to_owned());
                }
            }
            bail!("the server ended before it listened")
        });
        self.origin = listens.await.context("the server does not start")??;
        let port = self.origin.rsplit(':').next().and_then(|port| port.parse().ok());
        self.port = port.with_context(|| format!("{} has no port", self.origin))?;
        self.process = Some(process);
        // The rest of its output is read and dropped, so that the server never waits for a reader.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(())
    }

    /// Kills the process, which has no time to clean up.
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        match self.process.take() {
            Some(mut process) => process.kill().await.context("the server cannot be killed"),
            None => Ok(()),
        }
    }
}
