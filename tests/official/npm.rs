//! Signal's library in two versions, installed by npm into the target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version of Node that will do.
const NODE: u32 = 20;
const MANIFEST: &str = "package.json";
const LOCK: &str = "package-lock.json";
/// A copy of the lock file whose packages are installed.
const INSTALLED: &str = "installed.json";

/// The folder of the client's scripts, from whichever package of the workspace this is built in.
pub(crate) fn scripts() -> PathBuf {
    let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|dir| dir.join("tests/official"));
    folders.find(|dir| dir.join(LOCK).is_file()).expect("tests/official is in the workspace")
}

/// The folder with `node_modules`, which are installed first where they are not those of the lock file; or what is
/// missing.
pub(crate) fn installed() -> Result<PathBuf, String> {
    let version = said(Command::new("node").arg("--version")).map_err(|error| needed(&error))?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    if major.is_none_or(|major| major < NODE) {
        return Err(needed(&format!("node is {}", version.trim())));
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("official");
    fs::create_dir_all(&folder).unwrap();
    // One test installs, the others wait.
    let turn = File::create(folder.join("turn")).unwrap();
    turn.lock().unwrap();
    let wanted = fs::read(scripts().join(LOCK)).unwrap();
    if !fs::read(folder.join(INSTALLED)).is_ok_and(|installed| installed == wanted) {
        install(&folder)?;
        fs::write(folder.join(INSTALLED), wanted).unwrap();
    }
    Ok(folder)
}

fn install(folder: &Path) -> Result<(), String> {
    said(Command::new("npm").arg("--version")).map_err(|error| needed(&error))?;
    for file in [MANIFEST, LOCK] {
        fs::copy(scripts().join(file), folder.join(file)).unwrap();
    }
    // The packages bring what is compiled along: their scripts have nothing to do.
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    said(Command::new("npm").args(arguments).current_dir(folder)).map(drop)
}

fn needed(found: &str) -> String {
    format!("Node.js {NODE} or newer and npm must be on PATH (Debian: apt-get install nodejs npm): {found}")
}

/// What a program says, if it ends well.
fn said(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{command:?}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
}
