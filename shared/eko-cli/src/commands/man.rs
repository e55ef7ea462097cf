//! `eko man`: writes a manual page for each command, from the same texts as `--help`.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::context::Context;
use crate::failure::{CommandFailure, Exit, FileUse};

const MORE: &str = "\
Examples:
  eko man ~/.local/share/man/man1
  MANPATH=~/.local/share/man: man eko-send";

/// The options of `eko man`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct ManArgs {
    /// The folder to write the pages to, which is created if it does not exist
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

impl ManArgs {
    /// Writes the pages of `eko`, the whole command line.
    pub(crate) fn run(&self, context: &Context, eko: clap::Command) -> Result<(), CommandFailure> {
        let cannot = |error: std::io::Error| {
            CommandFailure::of_named_file("cannot write to", FileUse::Write, &self.folder, &error)
        };
        std::fs::create_dir_all(&self.folder).map_err(cannot)?;
        clap_mangen::generate_to(eko, &self.folder).map_err(cannot)?;
        let folder = self.folder.canonicalize().unwrap_or_else(|_| self.folder.clone());
        // man reads the pages of section 1 from folders called man1.
        let text = match folder.parent().filter(|_| folder.ends_with("man1")) {
            Some(above) => format!(
                "The manual pages are in {}. To read them: MANPATH={}: man eko",
                folder.display(),
                above.display()
            ),
            None => format!("The manual pages are in {0}. To read one: man {0}/eko.1", folder.display()),
        };
        context.out.result(&text, &json!({ "folder": self.folder }))
    }
}

/// Returns the exit codes as a JSON object.
pub(crate) fn exit_codes() -> Value {
    let all = [Exit::Failed, Exit::Usage, Exit::NotTrusted, Exit::TryLater, Exit::Partly, Exit::NotKept];
    let codes: serde_json::Map<String, Value> =
        all.into_iter().map(|exit| (exit.word().to_owned(), json!(exit.code()))).collect();
    json!({ "type": "exitCodes", "codes": codes })
}
