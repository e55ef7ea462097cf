//! The bottom row of a terminal: a person types there, and sees who is writing. Lines of output are
//! written above it.
//!
//! A process has one terminal, so its bottom row is one value that everybody who writes shares, as
//! standard output is.

mod input_line;

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossterm::event::{DisableBracketedPaste, EnableBracketedPaste};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::UnboundedSender;
use unicode_width::UnicodeWidthStr as _;

use crate::printable::printable;
use crate::wrapped::wrapped;
use input_line::{InputLine, KeyEffect};

/// The sign before the line that a person types.
const PROMPT: &str = "> ";
/// The least time between two reports that the person is writing.
const WRITING_PAUSE: Duration = Duration::from_secs(1);
/// The width of a terminal that does not tell it.
const COLUMNS: u16 = 80;
/// Goes to the beginning of the row, and erases it.
const ERASE: &str = "\r\x1b[K";

static BOTTOM_ROW: Mutex<Option<BottomRow>> = Mutex::new(None);

/// The act of a person at a terminal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum TypedInput {
    /// A line was ended.
    Line(String),
    /// A line is being written.
    Writing,
    /// The line that was being written was deleted.
    Emptied,
}

/// The bottom row while it is in use. When this value is dropped, the terminal is as it was before.
pub(crate) struct Screen {
    former: Option<Termios>,
}

#[derive(Default)]
struct BottomRow {
    input: Option<InputLine>,
    status: String,
}

impl Screen {
    /// Begins a bottom row that shows who is writing, or returns `None` if standard output is no
    /// terminal that can show it.
    pub(crate) fn begin() -> Option<Self> {
        let is_able = std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
        if !is_able || !io::stdout().is_terminal() {
            return None;
        }
        *bottom_row() = Some(BottomRow::default());
        Some(Self { former: None })
    }

    /// Begins a bottom row in which a person types. What they do goes to `told`, which is closed when
    /// they end the input. The `former` lines come back with Up, and Tab completes `names`. Returns `None`
    /// if there is no terminal for that.
    pub(crate) fn begin_with_input(
        told: UnboundedSender<TypedInput>,
        former: Vec<String>,
        names: Vec<String>,
    ) -> Option<Self> {
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return None;
        }
        let modes = tcgetattr(&stdin).ok()?;
        let mut screen = Self::begin()?;
        screen.former = Some(modes);
        take_keys().ok()?;
        let input = Some(InputLine::after(former, names));
        *bottom_row() = Some(BottomRow { input, ..BottomRow::default() });
        above(|| ());
        // A thread and not a task: a read of the terminal cannot be cancelled, and the process does
        // not wait for a thread when it ends.
        std::thread::spawn(move || read_keys(&told));
        tokio::spawn(take_keys_again());
        Some(screen)
    }

    /// Shows a status in the bottom row, or none if it is empty.
    pub(crate) fn show_status(&self, status: &str) {
        let mut row = bottom_row();
        if let Some(row) = row.as_mut().filter(|row| row.status != status) {
            status.clone_into(&mut row.status);
            row.draw();
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if bottom_row().take().is_some() {
            write(ERASE);
        }
        if let Some(former) = &self.former {
            let _ = crossterm::execute!(io::stdout(), DisableBracketedPaste);
            let _ = tcsetattr(io::stdin(), OptionalActions::Drain, former);
        }
    }
}

/// Writes lines above the bottom row, if there is one.
pub(crate) fn above<R>(write_lines: impl FnOnce() -> R) -> R {
    let mut row = bottom_row();
    if row.is_some() {
        write(ERASE);
    }
    let written = write_lines();
    if let Some(row) = &mut *row {
        row.draw();
    }
    written
}

impl BottomRow {
    fn draw(&self) {
        write(&self.drawn(columns()));
    }

    /// Returns the characters that draw the row on a terminal of this width. They never reach the last
    /// column, where terminals wrap.
    fn drawn(&self, columns: usize) -> String {
        let room = columns.saturating_sub(1);
        let status = printable(&self.status).replace('\n', " ");
        let status =
            if status.is_empty() || status.width() > room / 2 { String::new() } else { status + " " };
        let mut drawn = format!("{ERASE}\x1b[2m{status}\x1b[22m");
        let Some(input) = &self.input else { return drawn };
        let (before, after) = input.visible(room.saturating_sub(status.width() + PROMPT.len()));
        drawn.push_str(&format!("{PROMPT}{before}{after}"));
        if !after.is_empty() {
            drawn.push_str(&format!("\x1b[{}D", after.width()));
        }
        drawn
    }
}

/// Returns the width of the terminal.
fn columns() -> usize {
    let columns = tcgetwinsize(io::stdout()).map_or(0, |size| size.ws_col);
    usize::from(if columns == 0 { COLUMNS } else { columns })
}

fn bottom_row() -> MutexGuard<'static, Option<BottomRow>> {
    BOTTOM_ROW.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes to the terminal. Whoever has closed it sees nothing.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Makes the terminal tell each key, and show none by itself. Ctrl-C and Ctrl-Z are signals as before.
fn take_keys() -> io::Result<()> {
    let stdin = io::stdin();
    let mut modes = tcgetattr(&stdin)?;
    modes.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN);
    tcsetattr(&stdin, OptionalActions::Drain, &modes)?;
    crossterm::execute!(io::stdout(), EnableBracketedPaste)
}

/// Goes on after the process was suspended: the shell has set the terminal to its own ways.
async fn take_keys_again() {
    let kind = SignalKind::from_raw(rustix::process::Signal::CONT.as_raw());
    let Ok(mut continued) = signal(kind) else { return };
    while continued.recv().await.is_some() {
        if bottom_row().is_none() || take_keys().is_err() {
            return;
        }
        above(|| ());
    }
}

/// Tells what a person types, until they end the input or the row is gone.
fn read_keys(told: &UnboundedSender<TypedInput>) {
    let mut last_told: Option<Instant> = None;
    while let Ok(event) = crossterm::event::read() {
        let mut row = bottom_row();
        let Some(row) = &mut *row else { return };
        let Some(input) = &mut row.input else { return };
        let act = match input.take(event) {
            KeyEffect::Unchanged => None,
            KeyEffect::Emptied => {
                last_told = None;
                Some(TypedInput::Emptied)
            }
            KeyEffect::Choices(names) => {
                write(&format!("{ERASE}{}\n", printable(&names.join("  "))));
                None
            }
            KeyEffect::Changed => {
                let is_due = last_told.is_none_or(|at| at.elapsed() >= WRITING_PAUSE);
                is_due.then_some(TypedInput::Writing)
            }
            KeyEffect::Entered(line) => {
                if !line.trim().is_empty() {
                    let shown = wrapped(&format!("{PROMPT}{}", printable(&line)), columns());
                    write(&format!("{ERASE}{shown}\n"));
                }
                Some(TypedInput::Line(line))
            }
            KeyEffect::Ended => return,
        };
        row.draw();
        if act == Some(TypedInput::Writing) {
            last_told = Some(Instant::now());
        }
        if act.is_some_and(|act| told.send(act).is_err()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::Event;

    use super::*;

    #[test]
    fn the_row_never_reaches_the_last_column() {
        let input = || {
            let mut input = InputLine::default();
            input.take(Event::Paste("x".repeat(200)));
            Some(input)
        };
        let status = "@bob is writing".to_owned();
        let row = BottomRow { input: input(), status };
        for columns in 0..100 {
            let drawn = row.drawn(columns);
            let text = drawn.replace(ERASE, "").replace("\x1b[2m", "").replace("\x1b[22m", "");
            assert!(text.width() <= columns.saturating_sub(1).max(PROMPT.len()), "{columns}: {text}");
            assert_eq!(text.contains("@bob is writing "), columns > 30, "{columns}");
        }
        assert_eq!(BottomRow::default().drawn(80), format!("{ERASE}\x1b[2m\x1b[22m"));
    }
}
