//! Sending: a local device's envelope goes to devices here or to another server
//! (`docs/protocol.md`, sections 5 and 7).

use bytes::Bytes;
use eko_federation::post::EnvelopeAnswer;
use eko_federation::{Federation, StoredActor};
use eko_protocol::activity::Report;
use eko_protocol::address::UserName;
use eko_protocol::envelope::Create;
use eko_protocol::id;
use eko_store::device::DeviceAddress;
use eko_store::parcels::{OutcomeAddress, Parcel, ParcelBody};
use eko_store::sent::SentEnvelopeName;

use crate::accept::Acceptance;
use crate::active_device::require_active;
use crate::dispatch::{Admission, Dispatch, DispatchOutcome, Wait};
use crate::{Messaging, Refusal, Result};

/// The shortest wait of an envelope whose first attempt failed, in milliseconds.
const FIRST_WAIT_MS: i64 = 5_000;

/// The outcome of a local device's envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// Every device of the recipient has its ciphertext queued.
    Accepted {
        /// The id of the `Create` activity.
        activity: String,
    },
    /// The envelope waits for the recipient's server. The sending device gets a report.
    Queued {
        /// The id of the `Create` activity.
        activity: String,
    },
    /// The ciphertexts are queued, and some devices lack one.
    Partial(Report),
    /// Nothing is delivered.
    Rejected(Report),
}

impl From<Acceptance> for SendOutcome {
    fn from(acceptance: Acceptance) -> Self {
        match acceptance {
            Acceptance::Complete { activity } => Self::Accepted { activity },
            Acceptance::Partial(report) => Self::Partial(report),
            Acceptance::Rejected(report) => Self::Rejected(report),
        }
    }
}

impl Messaging {
    /// Sends an envelope of the device `caller` to `user`, a user of this server.
    ///
    /// Four AWS calls in three rounds: BatchGetItem of both device sets beside the UpdateItem of
    /// the budgets; UpdateItem of the envelope's record; SendMessageBatch.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::UnknownUser`],
    /// [`Refusal::OverBudget`]; [`Refusal::Invalid`] if a message is for an address that is not a
    /// device of that user; the store is broken or out of reach.
    pub async fn send_local(
        &self,
        caller: DeviceAddress<'_>,
        create: &Create,
        user: &UserName,
    ) -> Result<SendOutcome> {
        // A message for another user costs no call.
        create.local_ciphertexts(self.origin(), user)?;
        let (sets, charged) = tokio::join!(
            self.store().device_sets([caller.user, user]),
            self.charge_envelope(create, user.as_str())
        );
        let [own, recipient] = sets?;
        require_active(own, caller.device)?;
        let recipient = recipient.ok_or(Refusal::UnknownUser)?;
        charged?;
        let sender = create.is_sync().then_some(caller.device);
        Ok(self.accept(create, user, &recipient, sender).await?.into())
    }

    /// Sends an envelope of the device `caller` to a user of another server.
    ///
    /// Three AWS calls in two rounds, and the POST: BatchGetItem of the own devices, the copy of
    /// the recipient and the record of its server, beside the UpdateItem of the budget; UpdateItem
    /// of the record that the envelope is sent, before it is, so that no report on it comes too
    /// early. An envelope that cannot be delivered now is queued: one SendMessageBatch, and an
    /// UpdateItem if the other server begins to fail.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::UnknownUser`],
    /// [`Refusal::OverBudget`]; [`Refusal::Invalid`] for a message to a device on a third server;
    /// an [`eko_federation::RemoteError`] if the recipient is not federated with, does not exist or
    /// cannot be used; the store is broken or out of reach.
    pub async fn send_remote(
        &self,
        federation: &Federation,
        caller: DeviceAddress<'_>,
        create: &Create,
    ) -> Result<SendOutcome> {
        let origin = federation.permitted(&create.to)?;
        create.check_devices_on(&origin)?;
        let (context, charged) = tokio::join!(
            self.store().send_context(caller.user, &create.to, origin.authority()),
            self.charge_envelope(create, &create.to)
        );
        let context = context?;
        require_active(context.author, caller.device)?;
        charged?;
        let header = &create.header;
        let now_ms = self.now_ms();
        let envelope = SentEnvelopeName { author: caller.user, recipient_origin: &origin, id: &header.id };
        let sent = self.store().record_sent(envelope, caller.device, now_ms, self.keep_until(now_ms)).await?;
        let uuid = id::activity_uuid(sent.sent_ms.unsigned_abs(), &header.author, header.id.as_str());
        let activity = self.origin().activity(&uuid);
        let body = Bytes::from(create.to_value(self.origin(), &activity).to_string());

        let outcome = match self.admit(&origin, &context.host).await? {
            Admission::LeftAlone { until_ms } => DispatchOutcome::Later(Wait {
                why: context.host.why,
                until_ms: Some(until_ms),
                whole_server: true,
            }),
            Admission::Admitted => {
                let dispatch = Dispatch {
                    to: &create.to,
                    origin: &origin,
                    host: &context.host,
                    recipient: StoredActor::Read(context.recipient),
                    author: caller.user,
                    body: &body,
                    time: self.limits().remote_send_time,
                };
                self.dispatch(federation, dispatch).await?
            }
        };
        let rejected = |why: &str| {
            SendOutcome::Rejected(Report::undeliverable(self.origin(), &header.author, &header.id, why))
        };
        // The report is the other server's. Its addressee is the author, whatever the report says.
        let to_author = |report| Report { to: header.author.clone(), ..report };
        Ok(match outcome {
            DispatchOutcome::Answered(answer) => match EnvelopeAnswer::of(&answer, &create.to, &header.id) {
                EnvelopeAnswer::Accepted => SendOutcome::Accepted { activity },
                EnvelopeAnswer::Partial(report) => SendOutcome::Partial(to_author(report)),
                EnvelopeAnswer::Rejected(report) => SendOutcome::Rejected(to_author(report)),
                EnvelopeAnswer::UnknownRecipient => return Err(Refusal::UnknownUser.into()),
                EnvelopeAnswer::Refused(why) => rejected(&format!("{}: {why}", origin.authority())),
            },
            DispatchOutcome::Never(why) => rejected(&why),
            DispatchOutcome::Later(wait) => {
                let earliest_ms = now_ms.saturating_add(FIRST_WAIT_MS);
                let parcel = Parcel {
                    to: create.to.clone(),
                    author: caller.user.clone(),
                    first_ms: now_ms,
                    not_before_ms: Some(wait.until_ms.map_or(earliest_ms, |until| until.max(earliest_ms))),
                    expires_ms: header.expires_ms,
                    outcome_to: Some(OutcomeAddress {
                        device: caller.device.clone(),
                        envelope: header.id.clone(),
                    }),
                    body: ParcelBody::Text(String::from_utf8_lossy(&body).into_owned()),
                };
                self.store().queue_parcels(vec![parcel], now_ms, || self.random_uuid()).await?;
                SendOutcome::Queued { activity }
            }
        })
    }
}
