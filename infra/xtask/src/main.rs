//! `cargo xtask`: the project's own tools. They build and measure the functions' executables, and
//! report on style.

mod bootstraps;
mod measure;
mod style;

use clap::{Parser, Subcommand};

/// The project's own tools
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build every function for this machine's architecture: target/lambda/NAME/bootstrap
    ///
    /// Builds each function by itself, so that it has its own features only. For the other
    /// architecture: `cargo lambda build --release --arm64 -p eko-NAME`, or `sam build`.
    Bootstraps {
        /// Functions to build [default: all]
        functions: Vec<String>,
        /// Cargo profile to build with
        #[arg(long, default_value = "release")]
        profile: String,
    },
    /// Measure the cost of the functions, on their bootstraps; needs valgrind, takes some minutes
    ///
    /// Builds the bootstraps first. Writes docs/figures: what messages cost (calls, units,
    /// dollars), and start-up, memory and instructions of each function.
    Measure {
        /// Functions to measure [default: all, and what messages cost]
        functions: Vec<String>,
    },
    /// Report on names, comments and duplicates; fails for no figure
    Style {
        /// Folders and files to report on, from the root of the repository [default: all]
        paths: Vec<String>,
        /// List the places that were counted
        #[arg(long)]
        list: bool,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Bootstraps { functions, profile } => bootstraps::build(&functions, &profile),
        Command::Measure { functions } => measure::run(&functions),
        Command::Style { paths, list } => style::run(&paths, list),
    }
}
