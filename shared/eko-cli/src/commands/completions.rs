//! `eko completions`: what a shell needs to complete eko's commands.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::cli::Cli;
use crate::failure::Failure;

/// Examples stand in the help, since every shell has its own place.
const EXAMPLES: &str = "\
Examples:
  eko completions bash > ~/.local/share/bash-completion/completions/eko
  eko completions zsh > ~/.zfunc/_eko          with `fpath+=~/.zfunc` before `compinit`
  eko completions fish > ~/.config/fish/completions/eko.fish";

/// What clap reads.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        // Into memory first: the generator takes a closed pipe badly.
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "eko", &mut script);
        match io::stdout().lock().write_all(&script) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => Ok(done?),
        }
    }
}
