//! The owner of a data folder: the origin of the server whose state it holds.
//!
//! Every id in the table begins with the origin, and other servers know it. So a server with another
//! one would find accounts that are not its own.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, bail};
use eko_protocol::address::Origin;

use crate::secrets::{self, write_private};

/// The file that has the origin.
const ORIGIN: &str = "origin";
/// The ways out without it.
const REMEDY: &str =
    "put it back from a copy, or write the origin into it with which this server was started before";

/// Notes that the locked folder `dir` belongs to the server at `origin`.
///
/// # Errors
/// The folder belongs to another origin, the note cannot be read or written, or it is gone from a folder in
/// which a server has run: keys and table are those of that origin.
pub(crate) fn claim(dir: Option<&Path>, origin: &Origin) -> anyhow::Result<()> {
    let Some(dir) = dir else { return Ok(()) };
    let path = dir.join(ORIGIN);
    let owner = match fs::read_to_string(&path) {
        Ok(text) => text.trim().to_owned(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // The keys are made after it.
            if secrets::has_any(dir) {
                bail!("the file {} is gone: {REMEDY}", path.display());
            }
            let text = format!("{origin}\n");
            return write_private(dir, ORIGIN, text.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()));
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    if owner == origin.as_str() {
        return Ok(());
    }
    if Origin::parse(&owner).is_err() {
        bail!("the file {} holds no origin: {REMEDY}", path.display());
    }
    let folder = dir.display();
    match owner.strip_prefix("http://localhost:") {
        Some(port) => bail!(
            "the folder {folder} holds the data of {owner}, and this server is {origin}: \
             start it with --port {port}, or with another folder"
        ),
        None => bail!(
            "the folder {folder} holds the data of {owner}, and this server is {origin}: \
             start it with --origin {owner}, or with another folder"
        ),
    }
}
