//! The bench of the functions, run on fresh bootstraps.

use std::process::Command;

use anyhow::ensure;

/// Builds the functions and measures them, all where none is named.
pub(crate) fn run(functions: &[String]) -> anyhow::Result<()> {
    crate::bootstraps::build(functions, "release")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let measured = Command::new(cargo)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .args(["run", "--locked", "--quiet", "--package", "eko-bench", "--", "--out", "docs/figures"])
        .args(functions)
        .status()?;
    ensure!(measured.success(), "the bench failed");
    Ok(())
}
