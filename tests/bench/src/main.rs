//! The bench behind `cargo xtask measure`.

use std::path::PathBuf;

use clap::Parser;
use eko_bench::{costs, startup};

/// Measure the functions' bootstraps
#[derive(Parser)]
struct Cli {
    /// Folder with NAME/bootstrap in it
    #[arg(long, default_value = "target/lambda")]
    bootstraps: PathBuf,
    /// Functions to measure [default: all]
    functions: Vec<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if cli.functions.is_empty() {
        let ways = costs::measure().await?;
        println!("{}", costs::table(&ways));
    }
    let figures = startup::measure(&cli.bootstraps, &cli.functions).await?;
    println!("{}", startup::table(&figures));
    println!("{}", serde_json::to_string_pretty(&figures)?);
    Ok(())
}
