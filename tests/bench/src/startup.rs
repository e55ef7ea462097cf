//! Start-up, memory and work of each function: times by the clock, instructions by callgrind as
//! differences of runs.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use zip::write::SimpleFileOptions;

use crate::aws::AwsEndpoint;
use crate::bootstrap::{Bootstrap, Instrument, executable};
use crate::functions::{FUNCTIONS, MeasuredFunction};
use crate::scene::BenchScene;

/// The number of starts whose median is taken.
const STARTS: usize = 7;
/// The number of warm requests whose median is taken.
const WARM: usize = 50;
/// The number of warm requests whose instructions are averaged.
const COUNTED: usize = 10;

/// The figures of one function. Times are in microseconds, sizes in bytes, instructions as
/// callgrind counts them.
#[derive(Clone, Debug, Serialize)]
pub struct FunctionFigures {
    /// The name of the function.
    pub function: &'static str,
    /// The event that it was measured with.
    pub asked: &'static str,
    /// True if it talks to AWS only.
    pub aws_only: bool,
    /// The size of the executable.
    pub binary_bytes: u64,
    /// The size of the zip that is uploaded.
    pub zip_bytes: u64,
    /// The time from the start of the process to its first request for an event, median, with TLS
    /// to AWS.
    pub init_us: u64,
    /// The time of the first request, median.
    pub first_us: u64,
    /// The time of a further request, median.
    pub warm_us: u64,
    /// The most memory resident, after all requests.
    pub peak_rss_kib: u64,
    /// The instructions of init over plain HTTP, without TLS handshakes.
    pub init_instructions: u64,
    /// The instructions of a TLS connection to AWS, average of those that init opens.
    pub tls_instructions: u64,
    /// The instructions of the first request, beyond init.
    pub first_instructions: u64,
    /// The instructions of a further request, average.
    pub warm_instructions: u64,
}

/// Measures every function whose bootstrap is in `folder`, or `only` these, and prints each name.
///
/// # Errors
/// A bootstrap is missing, does not start, or answers otherwise than expected.
pub async fn measure(folder: &Path, only: &[String]) -> anyhow::Result<Vec<FunctionFigures>> {
    let mut all = Vec::new();
    for function in &FUNCTIONS {
        if only.is_empty() || only.iter().any(|name| name == function.name) {
            eprintln!("measuring {} …", function.name);
            all.push(one(folder, function).await.with_context(|| function.name)?);
        }
    }
    Ok(all)
}

/// Measures one function.
async fn one(folder: &Path, function: &MeasuredFunction) -> anyhow::Result<FunctionFigures> {
    let executable = executable(folder, function.name);
    let bytes = std::fs::read(&executable)
        .with_context(|| format!("{}: cargo xtask bootstraps", executable.display()))?;
    let scratch = tempfile::tempdir()?;
    let mut scene = BenchScene::new().await?;
    let plain = AwsEndpoint::http(scene.engines())?;
    let tls = AwsEndpoint::https(scene.engines(), scratch.path())?;

    let environment = scene.environment(function.needs, &tls);
    let (mut init, mut first, mut warm) = (Vec::new(), Vec::new(), Vec::new());
    let mut events = 0;
    let mut peak = 0;
    for start in 0..STARTS {
        let mut running = Bootstrap::start(&executable, &environment, Instrument::None).await?;
        init.push(running.started);
        let requests = if start == 0 { WARM + 1 } else { 1 };
        for request in 0..requests {
            let event = scene.event(function.name, events)?;
            events += 1;
            let (answer, took) = running.invoke(event).await?;
            scene.check(function.name, &answer)?;
            if request == 0 { first.push(took) } else { warm.push(took) }
        }
        peak = peak.max(running.peak_rss_kib()?);
        running.end().await?;
    }

    let mut counted = Vec::new();
    for (endpoint, requests) in [(&tls, 0), (&plain, 0), (&plain, 1), (&plain, 1 + COUNTED)] {
        let out = scratch.path().join("callgrind.out");
        let environment = scene.environment(function.needs, endpoint);
        let mut running = Bootstrap::start(&executable, &environment, Instrument::Callgrind(&out)).await?;
        for _ in 0..requests {
            let event = scene.event(function.name, events)?;
            events += 1;
            let (answer, _) = running.invoke(event).await?;
            scene.check(function.name, &answer)?;
        }
        running.end().await?;
        counted.push(instructions(&out)?);
    }
    let [with_tls, init_instructions, with_first, with_more] = counted[..] else {
        anyhow::bail!("four runs were counted");
    };
    let per = |difference: u64, parts: u64| difference.checked_div(parts).unwrap_or_default();
    Ok(FunctionFigures {
        function: function.name,
        asked: function.asked,
        aws_only: function.aws_only,
        binary_bytes: u64::try_from(bytes.len())?,
        zip_bytes: zipped(&bytes)?,
        init_us: median(&mut init)?,
        first_us: median(&mut first)?,
        warm_us: median(&mut warm)?,
        peak_rss_kib: peak,
        init_instructions,
        tls_instructions: per(with_tls.saturating_sub(init_instructions), function.connections),
        first_instructions: with_first.saturating_sub(init_instructions),
        warm_instructions: per(with_more.saturating_sub(with_first), COUNTED as u64),
    })
}

/// Returns the median in microseconds.
fn median(times: &mut [Duration]) -> anyhow::Result<u64> {
    times.sort_unstable();
    let middle = times.get(times.len() / 2).context("nothing was measured")?;
    Ok(u64::try_from(middle.as_micros())?)
}

/// Returns the instructions of a run, from callgrind's own sum.
fn instructions(out: &Path) -> anyhow::Result<u64> {
    let text = std::fs::read_to_string(out).context("callgrind wrote nothing: is valgrind installed?")?;
    let sum = text
        .lines()
        .find_map(|line| line.strip_prefix("totals: ").or_else(|| line.strip_prefix("summary: ")));
    Ok(sum.context("callgrind's file has no sum")?.trim().parse()?)
}

/// Returns the size of the zip that Lambda gets: one file, `bootstrap`.
fn zipped(bytes: &[u8]) -> anyhow::Result<u64> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_level(Some(9)).unix_permissions(0o755);
    zip.start_file("bootstrap", options)?;
    zip.write_all(bytes)?;
    Ok(u64::try_from(zip.finish()?.into_inner().len())?)
}

/// Returns the figures as a Markdown table.
pub fn table(figures: &[FunctionFigures]) -> String {
    let mut text = String::from(
        "| function | binary / zip, MB | init | first request | warm request | peak RSS, MB | init, M instr. | TLS connection, M | first request, M | warm request, M |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    let mb = |bytes: u64| bytes as f64 / 1e6;
    let ms = |us: u64| us as f64 / 1e3;
    let m = |count: u64| count as f64 / 1e6;
    for f in figures {
        text.push_str(&format!(
            "| `{}`: {} | {:.2} / {:.2} | {:.1} ms | {:.1} ms | {:.2} ms | {:.1} | {:.2} | {:.2} | {:.2} | {:.3} |\n",
            f.function,
            f.asked,
            mb(f.binary_bytes),
            mb(f.zip_bytes),
            ms(f.init_us),
            ms(f.first_us),
            ms(f.warm_us),
            mb(f.peak_rss_kib * 1024),
            m(f.init_instructions),
            m(f.tls_instructions),
            m(f.first_instructions),
            m(f.warm_instructions),
        ));
    }
    text
}
