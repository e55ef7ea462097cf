//! Builds the executables that Lambda's runtime `provided.al2023` starts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

/// The minor version of glibc in `provided.al2023`: 2.34. An executable that was linked against a
/// newer one does not start there.
const GLIBC_MINOR: u32 = 34;

/// Builds the functions that are named, or all.
///
/// # Errors
/// A function does not exist, or cannot be built.
pub(crate) fn build(wanted: &[String], profile: &str) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
    let all = functions(&root)?;
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        bail!("there is no function {unknown}: {}", all.join(", "));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    for name in if wanted.is_empty() { &all } else { wanted } {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let status = Command::new(cargo)
            .current_dir(&root)
            .args([
                "build",
                "--locked",
                "--profile",
                profile,
                "--package",
                &format!("eko-{name}"),
                "--bin",
                name,
            ])
            .status()?;
        ensure!(status.success(), "{name} could not be built");
        // The folder of the profile `dev` is named `debug`.
        let executable = target.join(if profile == "dev" { "debug" } else { profile }).join(name);
        let bytes = fs::read(&executable).with_context(|| format!("cannot read {}", executable.display()))?;
        let glibc = newest_glibc(&bytes);
        if glibc > GLIBC_MINOR {
            eprintln!(
                "warning: {name} needs glibc 2.{glibc}, and Lambda has 2.{GLIBC_MINOR}: deploy what `cargo lambda build` or `sam build` makes"
            );
        }
        let folder = root.join("target/lambda").join(name);
        fs::create_dir_all(&folder)?;
        let bootstrap = folder.join("bootstrap");
        fs::copy(&executable, &bootstrap).with_context(|| format!("cannot write {}", bootstrap.display()))?;
        println!("target/lambda/{name}/bootstrap  {:.2} MB", bytes.len() as f64 / 1e6);
    }
    Ok(())
}

/// Returns the names of all functions, which are the names of their folders.
fn functions(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root.join("functions"))? {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Returns the minor version of the newest symbol of glibc 2 that an executable needs, or 0 if it
/// needs none. The version section names the symbols as `GLIBC_2.34`.
fn newest_glibc(executable: &[u8]) -> u32 {
    const NAME: &[u8] = b"GLIBC_2.";
    let after = executable.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME);
    let minors = after.filter_map(|(at, _)| {
        let digits = executable.get(at + NAME.len()..)?.iter().take_while(|byte| byte.is_ascii_digit());
        String::from_utf8(digits.copied().collect()).ok()?.parse().ok()
    });
    minors.max().unwrap_or(0)
}
