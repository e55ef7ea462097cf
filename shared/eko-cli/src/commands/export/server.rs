//! `eko export --server`: what the server stores about the account, as one JSON document.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use eko_client::device::ExportProgress;
use serde_json::{Value, json};

use crate::context::{Context, HttpMessenger};
use crate::counted::counted;
use crate::failure::{CommandFailure, Exit, FileUse};
use crate::home::{Unfinished, remove_unfinished, unique_file_in};
use crate::interruption::Interruption;
use crate::output::end_on_closed_pipe;
use crate::printable::printable_json;
use crate::progress::ProgressLine;

/// The times that a page is asked for, once there was one: about a minute.
const TRIES: u32 = 6;
/// The longest time that a server may ask to wait before the next try, in seconds.
const LONGEST_PAUSE_S: u64 = 60;

/// A file that is written beside the one that is asked for, and removed unless it takes its place.
struct FileBeside {
    beside: PathBuf,
    to: PathBuf,
}

impl FileBeside {
    /// Creates the file, which only its owner can read. What an export into the same folder has left that was
    /// killed is removed.
    fn create(to: &Path) -> Result<(Self, File), CommandFailure> {
        if to.symlink_metadata().is_ok() {
            let what = format!("{} is there already", to.display());
            return Err(CommandFailure::new(what).next("name another file").exit(Exit::Usage));
        }
        let folder = to.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        remove_unfinished(folder, Unfinished::File);
        let created = unique_file_in(folder).map_err(|error| cannot_write(to, &error));
        let (file, beside) = created?;
        Ok((Self { beside, to: to.to_owned() }, file))
    }

    /// Gives the file its name, unless another one has got it meanwhile.
    fn keep(&self, file: &File) -> Result<(), CommandFailure> {
        let linked = file.sync_all().and_then(|()| std::fs::hard_link(&self.beside, &self.to));
        let kept = linked.or_else(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Err(error),
            // A disk without links.
            _ => std::fs::rename(&self.beside, &self.to),
        });
        kept.map_err(|error| cannot_write(&self.to, &error))
    }
}

impl Drop for FileBeside {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.beside);
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> CommandFailure {
    CommandFailure::of_named_file("cannot write", FileUse::Write, path, error)
}

/// Writes what the server stores to `file`, or to standard output if that is `-`.
pub(super) async fn run(context: &Context, file: &Path) -> Result<(), CommandFailure> {
    let (_, client) = context.active_client().await?;
    if file == Path::new("-") {
        let cannot = |error| CommandFailure::from(error);
        return write_all(context, &client, PipeEnd(io::stdout()), cannot).await.map(drop);
    }
    let (beside, opened) = FileBeside::create(file)?;
    let mut interruption = Interruption::heard()?;
    let cannot = |error: io::Error| cannot_write(file, &error);
    let (written, items) = tokio::select! {
        written = write_all(context, &client, BufWriter::new(opened), cannot) => written?,
        () = interruption.happened() => {
            return Err(CommandFailure::new("the export was interrupted, and nothing is written"));
        }
    };
    let written = written.into_inner().map_err(|error| cannot(error.into_error()))?;
    beside.keep(&written)?;
    let text = format!(
        "{}  {}, which are everything that your server stores about you.",
        file.display(),
        counted(items, "item", "items")
    );
    context.out.result(&text, &json!({ "type": "export", "file": file, "items": items }))
}

/// Writes the document. Returns the writer and the number of items.
async fn write_all<W: Write>(
    context: &Context,
    client: &HttpMessenger,
    writer: W,
    cannot: impl Fn(io::Error) -> CommandFailure,
) -> Result<(W, u64), CommandFailure> {
    let line = ProgressLine::new(context.out);
    let mut document = client.device().begin_export(writer, printable_json).map_err(&cannot)?;
    let (mut progress, mut items) = (ExportProgress::default(), 0_usize);
    while !progress.is_over() {
        let tries = if items > 0 { TRIES } else { 1 };
        let page = next_page(client, &mut progress, tries, &line).await?;
        items = items.saturating_add(page.len());
        line.say(format!("{} from the server", counted(items, "item", "items")));
        document.add(&page).map_err(&cannot)?;
    }
    line.done();
    document.end().map_err(cannot)
}

/// Reads the next page. A failure that may pass is waited for, so that one of thousands of pages does not
/// take the others with it.
async fn next_page(
    client: &HttpMessenger,
    progress: &mut ExportProgress,
    tries: u32,
    line: &ProgressLine,
) -> Result<Vec<Value>, CommandFailure> {
    for tried in 1..tries {
        let error = match client.export_next(progress).await {
            Ok(page) => return Ok(page),
            Err(error) => error,
        };
        let pause_s = error.retry_after_s().map(|seconds| seconds.max(1 << tried));
        let Some(seconds) = pause_s.filter(|seconds| *seconds <= LONGEST_PAUSE_S) else {
            return Err(error.into());
        };
        line.say("the server does not answer; trying again");
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
    Ok(client.export_next(progress).await?)
}

/// Standard output, whose reader may end early.
struct PipeEnd(io::Stdout);

impl Write for PipeEnd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) => end_on_closed_pipe(Err(error)).map(|()| 0),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        end_on_closed_pipe(self.0.flush())
    }
}
