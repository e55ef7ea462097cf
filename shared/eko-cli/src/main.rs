//! The executable `eko`. Everything is in the library `eko_cli`, so that tests reach its parts.

use std::process::ExitCode;

fn main() -> ExitCode {
    eko_cli::run()
}
