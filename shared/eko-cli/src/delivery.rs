//! What becomes of what is sent: waited for, and said.

use std::time::Duration;

use eko_client::messenger::SentActivity;
use eko_client::store::EnvelopeState;
use tokio::time::sleep;

use crate::context::Client;
use crate::failure::{Exit, Failure};
use crate::people::named;
use crate::progress::Progress;

/// How long a command tries, in seconds, unless the person says otherwise.
pub(crate) const WAIT_S: u64 = 30;

/// Tries again what can be tried again, as long as the person waits.
pub(crate) async fn wait_for(
    client: &Client,
    progress: &Progress,
    mut sent: SentActivity,
    wait_s: u64,
) -> Result<SentActivity, Failure> {
    let now_ms = || client.device().environment().now_ms();
    let until_ms = now_ms().saturating_add_unsigned(wait_s.saturating_mul(1000));
    loop {
        let waiting: Vec<_> =
            sent.envelopes.iter().filter(|envelope| envelope.state == EnvelopeState::ToSend).collect();
        let Some(due_ms) = waiting.iter().map(|envelope| envelope.due_ms).min() else { return Ok(sent) };
        if due_ms > until_ms {
            return Ok(sent);
        }
        let reason = waiting.iter().find_map(|envelope| envelope.reason.clone()).unwrap_or_default();
        let wait_ms = u64::try_from(due_ms.saturating_sub(now_ms())).unwrap_or(0);
        progress.say(format!("trying again in {} s: {reason}", wait_ms.div_ceil(1000)));
        tokio::select! {
            () = sleep(Duration::from_millis(wait_ms)) => {}
            _ = tokio::signal::ctrl_c() => return Ok(sent),
        }
        client.flush().await?;
        sent = client.sent(&sent.id)?;
    }
}

/// What became of something for the people it is for, by name.
pub(crate) struct Outcome {
    /// The least of it.
    pub(crate) state: EnvelopeState,
    /// Whose server has it.
    pub(crate) told: Vec<String>,
    /// Whose server is out of reach, so that the own one has it.
    pub(crate) queued: Vec<String>,
    /// Who has it not, and why.
    missed: Vec<String>,
    /// The first whose devices are not trusted.
    distrusted: Option<String>,
}

impl Outcome {
    pub(crate) fn of(client: &Client, sent: &SentActivity) -> Self {
        let (me, own) = (client.me(), client.me().actor());
        let mut outcome = Self {
            state: sent.state(&me),
            told: Vec::new(),
            queued: Vec::new(),
            missed: Vec::new(),
            distrusted: None,
        };
        for envelope in sent.envelopes.iter().filter(|envelope| envelope.recipient != own) {
            let who = named(client, &envelope.recipient);
            match envelope.state {
                EnvelopeState::Accepted | EnvelopeState::Delivered => outcome.told.push(who),
                EnvelopeState::Queued => outcome.queued.push(who),
                EnvelopeState::ToSend | EnvelopeState::Failed | EnvelopeState::Refused => {
                    let reason = envelope.reason.as_deref().unwrap_or("it was not tried yet");
                    outcome.missed.push(format!("{who}: {reason}"));
                    if envelope.state == EnvelopeState::Refused {
                        outcome.distrusted.get_or_insert(who);
                    }
                }
            }
        }
        outcome
    }

    /// Whether everybody has it, or will without this device.
    pub(crate) fn is_complete(&self) -> bool {
        self.missed.is_empty()
    }

    /// What failed of it, where something did. `what` is what was sent, as a beginning of the sentence.
    pub(crate) fn failure(&self, what: &str) -> Option<Failure> {
        let failure = |how: &str| Failure::new(format!("{what}{how} {}", self.missed.join("; ")));
        match self.state {
            EnvelopeState::ToSend => Some(
                failure("not sent yet to")
                    .next("eko listen, which tries again, as the next eko send does")
                    .exit(Exit::TryLater),
            ),
            EnvelopeState::Refused => {
                let who = self.distrusted.as_deref().unwrap_or_default();
                Some(failure("not sent to").next(format!("eko verify {who}")).exit(Exit::NotTrusted))
            }
            EnvelopeState::Failed => Some(failure("not sent to")),
            EnvelopeState::Queued | EnvelopeState::Accepted | EnvelopeState::Delivered => None,
        }
    }
}
