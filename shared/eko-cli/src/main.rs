//! The command `eko`.

use std::process::ExitCode;

fn main() -> ExitCode {
    eko_cli::run()
}
