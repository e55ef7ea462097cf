//! Runs the bench of the functions on new executables.

use std::process::Command;

use anyhow::ensure;

/// Builds and measures the functions that are named, or all.
///
/// # Errors
/// A function cannot be built or measured.
pub(crate) fn run(functions: &[String]) -> anyhow::Result<()> {
    crate::bootstraps::build(functions, "release")?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .args(["run", "--locked", "--quiet", "--package", "eko-bench", "--", "--out", "docs/figures"])
        .args(functions)
        .status()?;
    ensure!(status.success(), "the bench failed");
    Ok(())
}
