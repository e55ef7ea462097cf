//! The installation of Signal's library, in two versions, by npm into the target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version of Node that works.
const NODE: u32 = 20;
const MANIFEST: &str = "package.json";
const LOCK: &str = "package-lock.json";
/// The copy of the lock file whose packages are installed.
const INSTALLED: &str = "installed.json";

/// Returns the folder of the scripts, whichever package of the workspace this is built in.
pub(crate) fn scripts() -> PathBuf {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|dir| dir.join("tests/official"));
    folders.find(|dir| dir.join(LOCK).is_file()).expect("tests/official is in the workspace")
}

/// Returns the folder that holds `node_modules`. Installs the packages first if they are not those
/// of the lock file.
///
/// # Errors
/// Node or npm is missing or too old, or the installation failed; the text says which.
pub(crate) fn installed() -> Result<PathBuf, String> {
    let version = output_of(Command::new("node").arg("--version")).map_err(|error| needed(&error))?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE) {
        return Err(needed(&format!("node is {}", version.trim())));
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("official");
    fs::create_dir_all(&folder).unwrap();
    // One test installs the packages, the others wait for it.
    let turn = File::create(folder.join("turn")).unwrap();
    turn.lock().unwrap();
    let wanted = fs::read(scripts().join(LOCK)).unwrap();
    if !fs::read(folder.join(INSTALLED)).is_ok_and(|installed| installed == wanted) {
        install(&folder)?;
        fs::write(folder.join(INSTALLED), wanted).unwrap();
    }
    Ok(folder)
}

/// Installs the packages of the lock file into a folder.
fn install(folder: &Path) -> Result<(), String> {
    output_of(Command::new("npm").arg("--version")).map_err(|error| needed(&error))?;
    for file in [MANIFEST, LOCK] {
        fs::copy(scripts().join(file), folder.join(file)).unwrap();
    }
    // The packages contain their compiled parts, so their install scripts need not run.
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    output_of(Command::new("npm").args(arguments).current_dir(folder)).map(drop)
}

/// Returns the message that Node and npm are needed, with what was found instead.
fn needed(found: &str) -> String {
    format!("Node.js {NODE} or newer and npm must be on PATH (Debian: apt-get install nodejs npm): {found}")
}

/// Runs a program and returns its output.
///
/// # Errors
/// The program cannot be run, or ended with a failure; the text has its output.
fn output_of(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{command:?}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
}
