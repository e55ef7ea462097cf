//! A function's bootstrap, the executable that is deployed, in a process of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;
use tokio::process::{Child, Command};

use crate::runtime_api::{InvocationOutcome, RuntimeApi};

/// A time longer than anything here takes, under valgrind too.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running function. Dropping it kills the process, unless [`Bootstrap::end`] was called.
#[derive(Debug)]
pub struct Bootstrap {
    api: RuntimeApi,
    child: Child,
    /// The time from the start of the process to its first request for an event.
    pub started: Duration,
}

/// The program that an executable runs under.
#[derive(Clone, Copy, Debug)]
pub enum Instrument<'a> {
    /// None: the executable runs by itself.
    None,
    /// valgrind's callgrind, which writes its counts to this file.
    Callgrind(&'a Path),
}

impl Bootstrap {
    /// Starts an executable with this environment and no other, and waits until it asks for an
    /// event.
    ///
    /// # Errors
    /// The process does not start, ends, or reports an error in init.
    pub async fn start(
        executable: &Path,
        environment: &BTreeMap<String, String>,
        under: Instrument<'_>,
    ) -> anyhow::Result<Self> {
        let api = RuntimeApi::start().await?;
        let mut command = match under {
            Instrument::None => Command::new(executable),
            Instrument::Callgrind(out) => {
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

    /// Hands the function an event, and returns its answer and the time that it took.
    ///
    /// # Errors
    /// The function reports an error, ends, or does not answer in time.
    pub async fn invoke(&mut self, event: Value) -> anyhow::Result<(Value, Duration)> {
        let from = Instant::now();
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(PATIENCE, self.api.invoke(event)) => outcome.context("no answer")?,
            ended = self.child.wait() => bail!("the function ended: {}", ended?),
        };
        match outcome.context("the invocation was lost")? {
            InvocationOutcome::Answer(answer) => Ok((answer, from.elapsed())),
            InvocationOutcome::Error(error) => bail!("the function failed: {error}"),
        }
    }

    /// Returns the most memory that the process had resident, in KiB, as the kernel counts
    /// (`VmHWM`).
    ///
    /// # Errors
    /// The process has ended, or the kernel does not show the figure.
    pub fn peak_rss_kib(&self) -> anyhow::Result<u64> {
        let pid = self.child.id().context("it has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim().trim_end_matches("kB").trim().parse()?)
    }

    /// Ends the process by SIGTERM, as Lambda does, so that callgrind writes its counts.
    ///
    /// # Errors
    /// The process has ended before, or does not end in time.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let pid = self.child.id().context("it has ended")?;
        std::process::Command::new("kill").arg(pid.to_string()).status()?;
        tokio::time::timeout(PATIENCE, self.child.wait()).await.context("it does not end")??;
        Ok(())
    }
}

/// Returns the path of a function's executable: `NAME/bootstrap`, as `cargo xtask bootstraps` lays
/// it, or `NAME`, as cargo does.
pub fn executable(folder: &Path, function: &str) -> PathBuf {
    let laid = folder.join(function).join("bootstrap");
    if laid.exists() { laid } else { folder.join(function) }
}
