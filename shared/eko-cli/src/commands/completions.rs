//! `eko completions`: prints the script that lets a shell complete eko's commands and options.

use std::io::{self, Write};

use clap::Args;
use clap_complete::{Shell, generate};

use crate::failure::CommandFailure;

const EXAMPLES: &str = "\
Examples:
  eko completions bash > ~/.local/share/bash-completion/completions/eko
  eko completions zsh > ~/.zfunc/_eko          with `fpath+=~/.zfunc` before `compinit`
  eko completions fish > ~/.config/fish/completions/eko.fish";

/// The options of `eko completions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl CompletionsArgs {
    /// Prints the script for `eko`, the whole command line.
    pub(crate) fn run(&self, mut eko: clap::Command) -> Result<(), CommandFailure> {
        // The script is written to memory first, because the generator panics if the pipe is
        // closed.
        let mut script = Vec::new();
        generate(self.shell, &mut eko, "eko", &mut script);
        match io::stdout().lock().write_all(&script) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            done => Ok(done?),
        }
    }
}
