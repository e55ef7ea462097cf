//! The record of which servers have named which issuer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use eko_client::capabilities::Capabilities;
use serde_json::json;

use super::private;
use crate::failure::{CommandFailure, FileUse};

/// The longest text that a server may name as its issuer or audience, in bytes.
const MAX_NAME_BYTES: usize = 2048;

/// The servers that have named each pair of issuer and audience. A server that names another one's
/// pair may want the ID tokens of that server's users.
///
/// ```text
/// { "[\"https://issuer.example\",\"audience\"]": ["https://a.example", "https://b.example"] }
/// ```
#[derive(Debug)]
pub struct NamedIssuers {
    path: PathBuf,
    origins: BTreeMap<String, BTreeSet<String>>,
}

impl NamedIssuers {
    /// Reads the record. It is empty if there is no file.
    pub(super) fn read(path: &Path) -> Result<Self, CommandFailure> {
        let origins = match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).map_err(|error| {
                CommandFailure::new(format!("cannot read {}: {error}", path.display()))
                    .next("delete the file: it only serves a warning")
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(CommandFailure::of_file("cannot read", FileUse::Read, path, &error)),
        };
        Ok(Self { path: path.to_owned(), origins })
    }

    /// Returns the other servers that have named the issuer and audience of this one, if this one
    /// names them for the first time.
    ///
    /// # Errors
    /// The server names an issuer or audience that is too long to be one.
    pub fn others(&self, named: &Capabilities) -> Result<Vec<String>, CommandFailure> {
        if named.issuer.len() > MAX_NAME_BYTES || named.audience.len() > MAX_NAME_BYTES {
            let what = format!("{} names an issuer that is longer than any", named.origin);
            return Err(CommandFailure::new(what));
        }
        let Some(known) = self.origins.get(&key(named)) else { return Ok(Vec::new()) };
        Ok(match known.contains(named.origin.as_str()) {
            true => Vec::new(),
            false => known.iter().cloned().collect(),
        })
    }

    /// Records that a server names its issuer and audience.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn record(&mut self, named: &Capabilities) -> Result<(), CommandFailure> {
        if !self.origins.entry(key(named)).or_default().insert(named.origin.to_string()) {
            return Ok(());
        }
        let cannot = |error: std::io::Error| {
            CommandFailure::of_file("cannot write", FileUse::Write, &self.path, &error)
        };
        let folder = self.path.parent().unwrap_or(Path::new("."));
        private::create_folder(folder).map_err(cannot)?;
        // Written beside and renamed, so that no process reads half a file.
        let (mut file, beside) = private::unique_file_in(folder).map_err(cannot)?;
        let text = json!(self.origins).to_string();
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(cannot)?;
        std::fs::rename(&beside, &self.path).map_err(cannot)
    }
}

/// Returns the text that stands for the issuer and audience that a server names.
fn key(named: &Capabilities) -> String {
    json!([named.issuer, named.audience]).to_string()
}
