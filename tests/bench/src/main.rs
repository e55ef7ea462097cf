//! The command that `cargo xtask measure` runs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser;
use eko_bench::{costs, startup};
use serde_json::json;

/// Measure what the functions cost: calls, units and dollars, and start-up, memory and instructions
/// of their bootstraps
#[derive(Parser)]
struct Cli {
    /// Folder with NAME/bootstrap in it
    #[arg(long, default_value = "target/lambda")]
    bootstraps: PathBuf,
    /// Folder that the tables are written to, as Markdown and JSON
    #[arg(long, default_value = "target/figures")]
    out: PathBuf,
    /// Functions to measure [default: all, and what messages cost]
    functions: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    fs::create_dir_all(&cli.out).with_context(|| cli.out.display().to_string())?;
    if cli.functions.is_empty() {
        let figures = costs::measure().await?;
        write(&cli.out, "costs", &costs::table(&figures), &json!(figures))?;
    }
    let figures = startup::measure(&cli.bootstraps, &cli.functions).await?;
    write(&cli.out, "functions", &startup::table(&figures), &json!(figures))
}

/// Writes a table to files, as Markdown and as JSON, and prints it.
fn write(folder: &Path, name: &str, table: &str, json: &serde_json::Value) -> anyhow::Result<()> {
    fs::write(folder.join(format!("{name}.md")), table)?;
    fs::write(folder.join(format!("{name}.json")), format!("{}\n", serde_json::to_string_pretty(json)?))?;
    println!("{table}");
    Ok(())
}
