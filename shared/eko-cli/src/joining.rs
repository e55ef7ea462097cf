//! The joining code of a device that waits for approval, as text and as a QR code, and the wait for
//! the approval.

use std::time::Duration;

use eko_client::JoiningCode;
use eko_client::messenger::JoinState;
use tokio::time::{sleep, timeout};

use crate::context::{Context, HttpMessenger};
use crate::failure::CommandFailure;
use crate::interruption::{END_TIME, Interruption};
use crate::progress::ProgressLine;
use crate::qr;

/// The longest pause between two looks whether the device was approved while there is no socket.
const LONGEST_PAUSE_MS: i64 = 3_000;

/// The way in which a wait for approval has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitOutcome {
    /// The device is one of the person's devices.
    Joined,
    /// The person has ended the wait.
    Interrupted,
}

/// Returns the code with what the person does with it.
pub(crate) fn text(client: &HttpMessenger, code: &JoiningCode) -> String {
    format!(
        "This device waits until another of your devices approves it. Run\n    eko devices approve\n\
         on that one, and enter this code there, and nowhere else:\n    {}\n\
         If you have lost all the others: eko login {} --anew --reset",
        code.digits(),
        client.me().handle()
    )
}

/// Draws the QR code, if standard output is a terminal.
///
/// # Errors
/// Standard output cannot be written.
pub(crate) fn picture(context: &Context, code: &JoiningCode) -> Result<(), CommandFailure> {
    match qr::drawn(code.scannable().as_bytes()) {
        Some(picture) => context.out.picture(&picture),
        None => Ok(()),
    }
}

/// Waits until the device is approved. The server says so on a socket; without one, and if it does not
/// answer, it is asked again.
///
/// # Errors
/// The server shows a chain that was not approved, or the device was turned away.
pub(crate) async fn wait(context: &Context, client: &HttpMessenger) -> Result<WaitOutcome, CommandFailure> {
    let mut interruption = Interruption::heard()?;
    let progress = ProgressLine::new(context.out);
    let mut feed = client.live_feed(LONGEST_PAUSE_MS);
    let mut mode = None;
    let outcome = loop {
        progress.say("waiting for the approval; Ctrl-C ends the wait, and eko login goes on with it");
        let joined = tokio::select! {
            joined = feed.join() => joined,
            () = interruption.happened() => break Ok(WaitOutcome::Interrupted),
        };
        match joined {
            Ok(JoinState::Joined) => break Ok(WaitOutcome::Joined),
            Ok(JoinState::Waiting) => {}
            Err(error) if error.retry_after_s().is_some() => {
                progress.say(CommandFailure::from(error).to_string());
            }
            Err(error) => break Err(error.into()),
        }
        if mode.as_ref() != Some(feed.mode()) {
            progress.hidden(|| context.out.detail(&feed.mode().to_string()));
            mode = Some(feed.mode().clone());
        }
        let left_ms = feed.due_ms().saturating_sub(context.environment.now_ms());
        let pause = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0));
        tokio::select! {
            () = feed.arrival() => {}
            () = sleep(pause) => {}
            () = interruption.happened() => break Ok(WaitOutcome::Interrupted),
        }
    };
    progress.done();
    // What cannot be said at once is not said.
    let _ = timeout(END_TIME, feed.end()).await;
    outcome
}
