//! `eko attachments`: saves the files of messages, and encrypts files that are too large for a
//! message.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use eko_client::ClientError;
use eko_client::attachment::{self, Attachment, AttachmentLocation, MAX_BYTES, OVERHEAD};
use eko_client::messenger::Person;
use http::StatusCode;
use serde_json::json;

use crate::context::{Context, HttpMessenger};
use crate::counted::counted;
use crate::failure::{CommandFailure, Exit, FileUse};
use crate::partial_handle::PartialHandle;
use crate::people::{is_called, named, urn};

/// The number of names that are tried for a saved file before the command gives up.
const MAX_NAMES: usize = 1000;

/// The options of `eko attachments`.
#[derive(Debug, Args)]
pub(crate) struct AttachmentsArgs {
    #[command(subcommand)]
    command: AttachmentsCommand,
}

#[derive(Debug, Subcommand)]
enum AttachmentsCommand {
    /// Decrypt the files of a message, and save them under harmless names
    Save {
        /// The message's id, as `eko listen` and `eko history` show it
        #[arg(value_name = "MESSAGE")]
        message: String,
        /// The folder to save them in
        #[arg(long, value_name = "FOLDER", default_value = ".")]
        to: PathBuf,
        /// The encrypted bytes of a file outside the message, if you have downloaded them yourself
        #[arg(long, value_name = "FILE")]
        sealed: Option<PathBuf>,
        /// The author, if several people have sent a message with this id
        #[arg(long, value_name = "WHO")]
        from: Option<PartialHandle>,
    },
    /// Encrypt a file that is too large for a message: upload FILE.sealed, and send FILE.json
    ///
    /// The command writes two files beside FILE. Upload FILE.sealed to the URL. FILE.json holds the
    /// key and the URL; send it with `eko send @WHOM --attached FILE.json`.
    Seal {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The address at which the encrypted file will be available
        #[arg(value_name = "HTTPS-URL")]
        url: String,
    },
}

impl AttachmentsArgs {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CommandFailure> {
        match &self.command {
            AttachmentsCommand::Save { message, to, sealed, from } => {
                save(context, message, to, sealed.as_deref(), from.as_ref()).await
            }
            AttachmentsCommand::Seal { file, url } => seal(context, file, url),
        }
    }
}

async fn save(
    context: &Context,
    id: &str,
    to: &Path,
    sealed: Option<&Path>,
    from: Option<&PartialHandle>,
) -> Result<(), CommandFailure> {
    let (_, client) = context.client()?;
    let mut messages = client.messages_with_id(&urn(id))?;
    if messages.len() > 1 {
        // Each author draws the ids of their messages, so one may repeat that of another.
        let authors: Vec<_> = messages.iter().map(|message| named(&client, &message.content.actor)).collect();
        let Some(from) = from else {
            let what = format!("several messages have this id, of {}", authors.join(" and "));
            return Err(CommandFailure::new(what).next("--from, to name the author").exit(Exit::Usage));
        };
        messages.retain(|message| {
            Person::of(&message.content.actor).is_some_and(|actor| is_called(&client, &actor, from))
        });
    }
    let files = messages.pop().map(|message| message.content.attachments).unwrap_or_default();
    if files.is_empty() {
        let what = format!("no message {id} with a file is here");
        return Err(CommandFailure::new(what).next("eko history").exit(Exit::Usage));
    }
    for file in &files {
        let bytes = match (&file.url, sealed) {
            (AttachmentLocation::Inline(bytes), _) => bytes.clone(),
            (AttachmentLocation::Https(_), Some(path)) => read(path)?,
            (AttachmentLocation::Https(url), None) => fetch(context, &client, url, file.size).await?,
        };
        let opened = attachment::open(&bytes, file).map_err(|error| {
            CommandFailure::new(format!("{:?} is not saved: {error}", file.name))
                .next("ask its author to send it again")
                .exit(Exit::NotTrusted)
        })?;
        let path = write_new(to, &file.file_name(), &opened)?;
        let text = format!("{}  {}", path.display(), counted(opened.len(), "byte", "bytes"));
        context
            .out
            .result(&text, &json!({ "saved": path, "size": opened.len(), "mediaType": file.media_type }))?;
    }
    Ok(())
}

/// Downloads `size` bytes of content in encrypted form from the URL that the sender named. That
/// server learns this machine's address, so this happens only on the person's command.
async fn fetch(
    context: &Context,
    client: &HttpMessenger,
    url: &str,
    size: u64,
) -> Result<Vec<u8>, CommandFailure> {
    context.out.remark(&format!("Fetching {url}"));
    let cannot = |why: String| CommandFailure::new(format!("cannot fetch {url}: {why}")).exit(Exit::TryLater);
    let answer = client.device().fetch_public(url).await.map_err(|error| match error {
        ClientError::Unfetchable(_) => CommandFailure::from(error),
        other => cannot(other.to_string()).next("fetch it yourself, and name it with --sealed"),
    })?;
    if answer.status != StatusCode::OK {
        return Err(
            cannot(format!("the answer is {}", answer.status)).next("ask its author to send it again")
        );
    }
    if answer.body.len() as u64 != size.saturating_add(OVERHEAD as u64) {
        let failure = cannot("it is not as long as the message says".to_owned());
        return Err(failure.next("ask its author to send it again").exit(Exit::NotTrusted));
    }
    Ok(answer.body.to_vec())
}

fn seal(context: &Context, file: &Path, url: &str) -> Result<(), CommandFailure> {
    let bytes = read(file)?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let failed = |error: attachment::AttachmentError| {
        CommandFailure::new(error)
            .next("eko attachments seal FILE HTTPS-URL, with another file")
            .exit(Exit::Usage)
    };
    let sealed = attachment::seal(&bytes, &name, media_type(file), &context.environment).map_err(failed)?;
    let content = sealed.bytes().to_vec();
    let attached = sealed.at(url).map_err(|error| {
        failed(error).next("eko attachments seal FILE HTTPS-URL, where anybody can fetch the result")
    })?;
    let folder = file.parent().unwrap_or(Path::new("."));
    let sealed = write_new(folder, &format!("{name}.sealed"), &content)?;
    let described = write_new(folder, &format!("{name}.json"), attached.to_value().to_string().as_bytes())?;
    let text = format!(
        "{}  put it at {url}\n{}  holds its key: eko send @WHOM --attached {}",
        sealed.display(),
        described.display(),
        described.display()
    );
    context.out.result(&text, &json!({ "sealed": sealed, "attached": described, "url": url }))
}

/// Reads a description that [`seal`] has written.
pub(super) fn read_sealed(path: &Path) -> Result<Attachment, CommandFailure> {
    let value = serde_json::from_slice(&read(path)?).map_err(|error| error.to_string());
    let read = value.and_then(|value| Attachment::parse(&value).map_err(|fault| fault.in_words()));
    read.map_err(|why| {
        let what = format!("{} is not what `eko attachments seal` writes: {why}", path.display());
        CommandFailure::new(what).next("eko attachments seal FILE HTTPS-URL").exit(Exit::Usage)
    })
}

/// Returns a file's media type, guessed from the name.
pub(super) fn media_type(path: &Path) -> &'static str {
    mime_guess::from_path(path).first_raw().unwrap_or("application/octet-stream")
}

fn read(path: &Path) -> Result<Vec<u8>, CommandFailure> {
    let cannot = |error| CommandFailure::of_named_file("cannot read", FileUse::Read, path, &error);
    let length = std::fs::metadata(path).map_err(cannot)?.len();
    if length > MAX_BYTES.saturating_add(OVERHEAD as u64) {
        let why = format!("it has more than {MAX_BYTES} bytes");
        return Err(CommandFailure::of_content(
            "cannot read",
            path,
            why,
            "send a smaller file, or a part of it",
        ));
    }
    std::fs::read(path).map_err(cannot)
}

/// Writes a new file that only its owner can read, and returns its path. If the name is taken, a
/// number is added to it.
fn write_new(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, CommandFailure> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() => (stem, format!(".{extension}")),
        _ => (name, String::new()),
    };
    let names =
        std::iter::once(name.to_owned()).chain((2..=MAX_NAMES).map(|n| format!("{stem}-{n}{extension}")));
    for name in names {
        let path = folder.join(&name);
        let cannot = |error| CommandFailure::of_named_file("cannot write", FileUse::Write, &path, &error);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(mut file) => {
                file.write_all(bytes).and_then(|()| file.sync_all()).map_err(cannot)?;
                return Ok(path);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot(error)),
        }
    }
    let what = format!("there are {MAX_NAMES} files named {name} in {}", folder.display());
    Err(CommandFailure::new(what).next("name another folder: --to FOLDER"))
}
