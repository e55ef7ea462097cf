//! `eko export`: writes all messages as JSON lines, for other programs; or what the server stores.

mod server;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use eko_client::attachment::{self, AttachmentLocation};
use eko_client::messenger::Person;
use eko_client::store::StoredMessage;
use serde_json::{Value, json};

use super::{groups, verify};
use crate::context::{Context, HttpMessenger};
use crate::counted::counted_all;
use crate::failure::{CommandFailure, Exit, FileUse};
use crate::printable::printable_json;
use crate::show;

const MORE: &str = "\
Each line is a JSON object with a \"type\": first one \"export\", then each \"person\" whose devices are \
known, each \"group\", and each \"message\" in order. The file holds no keys, so no device can be made \
of it. It holds all messages unencrypted.

With --server the file is one JSON document instead: everything that your server stores about you, from \
your devices' keys to the servers of those who wrote to you. Left out is what would let somebody act as \
you, and the text of messages, which the server cannot read. If anything fails, no file is written. It \
needs an active device; docs/protocol.md, section 10, explains each item.

Examples:
  eko export messages.jsonl
  eko export | jq -r 'select(.type == \"message\") | .text'
  eko export --files everything.jsonl
  eko export --server at-the-server.json";

/// The number of messages that are asked for, which is more than there can be.
const ALL_MESSAGES: u32 = u32::MAX;

/// The options of `eko export`.
#[derive(Debug, Args)]
#[command(after_help = MORE)]
pub(crate) struct ExportArgs {
    /// The file to write, which must not exist; - means standard output
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    /// Include the files that came within messages, as base64; files outside messages are only
    /// described
    #[arg(long)]
    files: bool,
    /// Write what your server stores about you, instead of the messages
    #[arg(long, conflicts_with = "files")]
    server: bool,
}

/// The numbers of exported objects.
struct ExportCounts {
    people: usize,
    groups: usize,
    messages: usize,
}

impl ExportArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        if self.server {
            return server::run(context, &self.file).await;
        }
        let (_, client) = context.reading_client()?;
        if self.file == Path::new("-") {
            return self.write_all(context, &client, |object| context.out.line(object)).map(drop);
        }
        let cannot = |error: &std::io::Error| {
            CommandFailure::of_named_file("cannot write", FileUse::Write, &self.file, error)
        };
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.file);
        let file = opened.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                let what = format!("{} is there already", self.file.display());
                CommandFailure::new(what).next("name another file").exit(Exit::Usage)
            }
            _ => cannot(&error),
        })?;
        let mut writer = std::io::BufWriter::new(file);
        let written = self.write_all(context, &client, |object| {
            writeln!(writer, "{}", printable_json(object)).map_err(|error| cannot(&error))
        });
        let kept = written.and_then(|counts| {
            let file = writer.into_inner().map_err(|error| cannot(error.error()))?;
            file.sync_all().map_err(|error| cannot(&error)).map(|()| counts)
        });
        let ExportCounts { people, groups, messages } = kept.inspect_err(|_| {
            // A half-written file could be mistaken for a complete one.
            let _ = std::fs::remove_file(&self.file);
        })?;
        let text = format!(
            "{}  {}. Whoever can read the file can read them all.",
            self.file.display(),
            counted_all(messages, people, groups)
        );
        let object = json!({ "file": self.file, "messages": messages, "groups": groups, "people": people });
        context.out.result(&text, &object)
    }

    /// Passes each object to `write`, and counts them.
    fn write_all(
        &self,
        context: &Context,
        client: &HttpMessenger,
        mut write: impl FnMut(&Value) -> Result<(), CommandFailure>,
    ) -> Result<ExportCounts, CommandFailure> {
        let mut counts = ExportCounts { people: 0, groups: 0, messages: 0 };
        write(&json!({
            "type": "export", "version": 1, "handle": client.me().handle().to_string(), "actor": client.me().actor(),
            "device": client.device().address(), "at": show::instant(context.environment.now_ms()),
        }))?;
        for actor in client.people()? {
            let Some(person) = Person::of(&actor).filter(|person| *person != client.me()) else { continue };
            let Some(kept) = client.verification_kept(&person)? else { continue };
            write(&json!({
                "type": "person", "actor": actor, "handle": person.handle().to_string(),
                "trust": verify::trust_word(kept.trust), "devices": kept.devices, "number": kept.number.digits,
            }))?;
            counts.people += 1;
        }
        for group in client.groups()? {
            write(&groups::object(client, &group))?;
            counts.groups += 1;
        }
        for message in client.history(None, ALL_MESSAGES)? {
            write(&self.message(&message))?;
            counts.messages += 1;
        }
        Ok(counts)
    }

    fn message(&self, message: &StoredMessage) -> Value {
        let mut object = show::message_object(message);
        if !self.files {
            return object;
        }
        for (index, file) in message.content.attachments.iter().enumerate() {
            let AttachmentLocation::Inline(sealed) = &file.url else { continue };
            let described = &mut object["attachments"][index];
            match attachment::open(sealed, file) {
                Ok(bytes) => described["base64"] = json!(STANDARD.encode(bytes)),
                Err(error) => described["error"] = json!(error.to_string()),
            }
        }
        object
    }
}
