//! A function's real bootstrap, in a process of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::runtime_api::{Outcome, RuntimeApi};

/// Longer than anything takes, under valgrind too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running function. Ends with the value, by SIGKILL unless [`Bootstrap::end`] was called.
#[derive(Debug)]
pub struct Bootstrap {
    api: RuntimeApi,
    child: Child,
    /// From the start of the process to its first request for an event.
    pub started: Duration,
}

/// What to start it under.
#[derive(Clone, Copy, Debug)]
pub enum Under<'a> {
    /// Nothing.
    Nothing,
    /// valgrind's callgrind, which writes its counts here.
    Callgrind(&'a Path),
}

impl Bootstrap {
    /// Starts an executable with this environment and no other, and waits until it asks for an event.
    ///
    /// # Errors
    /// It does not start; with what it reported.
    pub async fn start(
        executable: &Path,
        environment: &BTreeMap<String, String>,
        under: Under<'_>,
    ) -> anyhow::Result<Self> {
        let api = RuntimeApi::start().await?;
        let mut command = match under {
            Under::Nothing => Command::new(executable),
            Under::Callgrind(out) => {
                let mut command = Command::new("valgrind");
                command.arg("--tool=callgrind").arg(format!("--callgrind-out-file={}", out.display()));
                command.arg(executable);
                command
            }
        };
        command
            .env_clear()
            .envs(environment)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .env(
                "AWS_LAMBDA_FUNCTION_NAME",
                executable.parent().and_then(Path::file_name).unwrap_or_default(),
            )
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "-")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "-")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let from = Instant::now();
        let mut child = command.spawn().with_context(|| format!("cannot start {}", executable.display()))?;
        let at = tokio::select! {
            started = tokio::time::timeout(PATIENCE, api.started()) => match started.context("it asks for no event")? {
                Ok(at) => at,
                Err(error) => bail!("{} failed in init: {error}", executable.display()),
            },
            ended = child.wait() => bail!("{} ended in init: {}", executable.display(), ended?),
        };
        Ok(Self { api, child, started: at.saturating_duration_since(from) })
    }

    /// Hands it an event; its answer, and how long that took.
    ///
    /// # Errors
    /// The function's error document, or that it ended.
    pub async fn invoke(&mut self, event: Value) -> anyhow::Result<(Value, Duration)> {
        let from = Instant::now();
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(PATIENCE, self.api.invoke(event)) => outcome.context("no answer")?,
            ended = self.child.wait() => bail!("the function ended: {}", ended?),
        };
        match outcome.context("the invocation was lost")? {
            Outcome::Answer(answer) => Ok((answer, from.elapsed())),
            Outcome::Error(error) => bail!("the function failed: {error}"),
        }
    }

    /// The most memory it had resident, in KiB, as the kernel counts (`VmHWM`).
    ///
    /// # Errors
    /// The kernel does not say.
    pub fn peak_rss_kib(&self) -> anyhow::Result<u64> {
        let pid = self.child.id().context("it has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }

    /// Ends it as Lambda does at the last, by SIGTERM, so that callgrind writes its counts.
    ///
    /// # Errors
    /// It does not end.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("it has ended")?;
        std::process::Command::new("kill").arg(pid.to_string()).status()?;
        tokio::time::timeout(PATIENCE, self.child.wait()).await.context("it does not end")??;
        Ok(())
    }
}

/// Where the bootstrap of a function is: as `cargo xtask bootstraps` lays it, or as cargo itself does.
pub fn executable(folder: &Path, function: &str) -> PathBuf {
    let laid = folder.join(function).join("bootstrap");
    if laid.exists() { laid } else { folder.join(function) }
}
