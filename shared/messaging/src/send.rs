//! Sending: a local device's envelope goes to devices here or to another server
//! (`docs/protocol.md`, sections 5 and 7).

use eko_federation::post::EnvelopeAnswer;
use eko_federation::{Federation, STEP_TIME, StoredActor, limits};
use eko_protocol::activity::Report;
use eko_protocol::actor::RemoteActor;
use eko_protocol::address::{Handle, Origin, UserName};
use eko_protocol::envelope::Create;
use eko_protocol::franking::FrankingSecret;
use eko_protocol::id;
use eko_store::StoreError;
use eko_store::device::DeviceAddress;
use eko_store::devices::{OfUser, UserDevices};
use eko_store::hosts::HostRecord;
use eko_store::outstanding::Outstanding;
use eko_store::parcels::{OutcomeAddress, Parcel, ParcelBody};
use eko_store::remote::{CachedLookup, SendContext};
use eko_store::sent::SentEnvelopeName;

use crate::accept::Acceptance;
use crate::active_device::{moved, require_active, require_here, require_sending};
use crate::budget::Spending;
use crate::dispatch::{Admission, Dispatch, DispatchOutcome, Wait, WaitScope};
use crate::{Messaging, Refusal, Result};

/// The shortest wait of an envelope whose first attempt failed, in milliseconds.
const FIRST_WAIT_MS: i64 = 5_000;
/// The time after which a sender may try again whose list of waiting parcels is full, in seconds.
const LIST_FULL_SECONDS: u64 = 60;

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
    /// Sends an envelope of the device `caller` to `user`, a user of this server. `franking` is this
    /// server's key of MACs, which a server that does not federate has not.
    ///
    /// Five AWS calls in three rounds: BatchGetItem of both device sets beside the two UpdateItem
    /// of the budgets, of the account and of the recipient; UpdateItem of the envelope's record;
    /// SendMessageBatch. A sync has no recipient's budget, and four calls. A refused envelope costs
    /// an UpdateItem for each budget that is given back.
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
        franking: Option<&FrankingSecret>,
    ) -> Result<SendOutcome> {
        // A message for another user costs no call.
        create.local_ciphertexts(self.origin(), user)?;
        let account = self.account_charge(caller.user, create);
        let recipient = self.recipient_charge(create, user.as_str());
        let (sets, mut spending) =
            tokio::join!(self.store().device_sets([caller.user, user]), self.spend(Some(account), recipient));
        let accept = async {
            let [own, recipient] = sets?;
            let own = require_active(own, caller.device)?;
            let recipient = recipient.stored()?;
            spending.check()?;
            if let Some(refusal) = require_here(&own).err().or_else(|| moved(&recipient)) {
                self.require_accepted(create, user, refusal).await?;
            }
            let sender = create.is_sync().then_some(caller.device);
            self.accept(create, user, &recipient, sender, franking).await
        };
        let accepted = accept.await;
        if !matches!(accepted, Ok(Acceptance::Complete { .. } | Acceptance::Partial(_))) {
            self.give_back(spending).await;
        }
        Ok(accepted?.into())
    }

    /// Looks up the actor id of a handle of another server, for the device `caller`.
    ///
    /// GetItem of the own device set beside the UpdateItem of the account's budget; then the calls
    /// of [`Federation::resolve`]. Nobody is asked for a device that is not active, or for an
    /// account over its budget.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::OverBudget`]; those of
    /// [`Federation::resolve`]; the store is broken or out of reach.
    pub async fn look_up_handle(
        &self,
        federation: &Federation,
        caller: DeviceAddress<'_>,
        handle: &Handle,
    ) -> Result<String> {
        let account = self.request_charge(caller.user);
        let (own, spending) =
            tokio::join!(self.store().device_set(caller.user), self.spend(Some(account), None));
        self.check_caller(caller, own, spending).await?;
        Ok(federation.resolve(handle, self.now_ms(), &limits(STEP_TIME)).await?)
    }

    /// Checks that the calling device is active and its budgets are not used up. `own` is what was
    /// read of the caller's devices. Returns the spending, or gives it back.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::OverBudget`]; the store
    /// is broken or out of reach.
    pub(crate) async fn check_caller(
        &self,
        caller: DeviceAddress<'_>,
        own: std::result::Result<OfUser<UserDevices>, StoreError>,
        spending: Spending,
    ) -> Result<Spending> {
        let check = || -> Result<()> { Ok(require_active(own?, caller.device).map(drop)?) };
        self.spend_if(check(), spending).await
    }

    /// Does as [`check_caller`](Self::check_caller), and checks that the caller's user has not moved.
    ///
    /// # Errors
    /// Those of [`check_caller`](Self::check_caller), and [`Refusal::AccountMoved`].
    pub(crate) async fn check_sender(
        &self,
        caller: DeviceAddress<'_>,
        own: std::result::Result<OfUser<UserDevices>, StoreError>,
        spending: Spending,
    ) -> Result<Spending> {
        let check = || -> Result<()> { Ok(require_sending(own?, caller.device).map(drop)?) };
        self.spend_if(check(), spending).await
    }

    /// Returns the spending if a check has passed and no budget is used up, or gives it back.
    pub(crate) async fn spend_if(&self, checked: Result<()>, mut spending: Spending) -> Result<Spending> {
        if let Err(error) = checked.and_then(|()| spending.check()) {
            self.give_back(spending).await;
            return Err(error);
        }
        Ok(spending)
    }

    /// Sends an envelope of the device `caller` to a user of another server.
    ///
    /// Four AWS calls in two rounds, and the POST: BatchGetItem of the own devices, the copy of the
    /// recipient and the record of its server, beside the two UpdateItem of the budgets; UpdateItem
    /// of the record that the envelope is sent, before it is, so that no report on it comes too
    /// early. An envelope that cannot be delivered now is queued: one UpdateItem that lists it
    /// among the account's parcels, one SendMessageBatch, and an UpdateItem if the other server
    /// begins to fail. What another server was asked stays charged to the account; the recipient's
    /// budget is given back if the envelope is refused. A repetition after the user has moved is one GetItem more:
    /// what was begun before is sent.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`], [`Refusal::AccountMoved`],
    /// [`Refusal::UnknownUser`], [`Refusal::OverBudget`]; [`Refusal::Invalid`] for a message to a device on a
    /// third server;
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
        let account = self.account_charge(caller.user, create);
        let recipient = self.recipient_charge(create, &create.to);
        let (context, spending) = tokio::join!(
            self.store().send_context(caller.user, &create.to, origin.authority()),
            self.spend(Some(account), recipient)
        );
        let (author, read) = match context {
            Ok(SendContext { author, recipient, host }) => (Ok(author), (recipient, host)),
            Err(error) => (Err(error), Default::default()),
        };
        let checked = async {
            let own = require_active(author?, caller.device)?;
            match require_here(&own) {
                Ok(()) => Ok(()),
                Err(refusal) => self.require_begun(caller, create, &origin, refusal).await,
            }
        };
        let spending = self.spend_if(checked.await, spending).await?;
        let (recipient, host) = read;
        let sent = self.send_checked(federation, caller, create, &origin, recipient, host).await;
        let accepted = matches!(
            sent,
            Ok(SendOutcome::Accepted { .. } | SendOutcome::Queued { .. } | SendOutcome::Partial(_))
        );
        if !accepted {
            self.give_back_recipient(spending).await;
        }
        sent
    }

    /// Checks that the calling device has begun to send an envelope to another server before its user has
    /// moved. Its answer may have been lost, and a device that is refused would take it for failed. One GetItem.
    async fn require_begun(
        &self,
        caller: DeviceAddress<'_>,
        create: &Create,
        recipient_origin: &Origin,
        refusal: Refusal,
    ) -> Result<()> {
        let envelope = SentEnvelopeName { author: caller.user, recipient_origin, id: &create.header.id };
        match self.store().sent_record(envelope, self.now_ms()).await? {
            Some(record) if record.device == *caller.device => Ok(()),
            Some(_) | None => Err(refusal.into()),
        }
    }

    /// Sends an envelope of a device that was checked to the server at `origin`. `recipient` is the
    /// stored copy of its recipient, `host` the record of that server.
    async fn send_checked(
        &self,
        federation: &Federation,
        caller: DeviceAddress<'_>,
        create: &Create,
        origin: &Origin,
        recipient: Option<CachedLookup<RemoteActor>>,
        host: HostRecord,
    ) -> Result<SendOutcome> {
        let header = &create.header;
        let now_ms = self.now_ms();
        let envelope = SentEnvelopeName { author: caller.user, recipient_origin: origin, id: &header.id };
        let sent = self.store().record_sent(envelope, caller.device, now_ms, self.keep_until(now_ms)).await?;
        let uuid = id::activity_uuid(sent.sent_ms.unsigned_abs(), &header.author, &header.id.key());
        let activity = self.origin().activity(&uuid);
        let franking = federation.franking().stamp(header, &activity, &create.to);
        let text = create.to_value(&activity, franking).to_string();

        let outcome = match self.admit(origin, host).await? {
            Admission::LeftAlone { until_ms } => {
                let scope = WaitScope::Server { until_ms };
                DispatchOutcome::Later(Wait { until_ms: Some(until_ms), scope, ..Wait::default() })
            }
            Admission::Admitted(host) => {
                let dispatch = Dispatch {
                    to: &create.to,
                    origin,
                    host: &host,
                    recipient: StoredActor::Read(recipient),
                    author: &header.author,
                    text: &text,
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
                EnvelopeAnswer::DeletedRecipient => return Err(Refusal::UserDeleted.into()),
                EnvelopeAnswer::MovedRecipient(to) => return Err(Refusal::UserMoved(to).into()),
                EnvelopeAnswer::Refused(why) => rejected(&format!("{}: {why}", origin.authority())),
            },
            DispatchOutcome::Never(why) => rejected(&why),
            DispatchOutcome::Later(wait) => {
                let parcel = Parcel {
                    to: create.to.clone(),
                    author: caller.user.clone(),
                    first_ms: now_ms,
                    // The breaker may open before its time.
                    not_before_ms: wait.until_ms.filter(|_| !wait.is_of_breaker()),
                    expires_ms: header.expires_ms,
                    outcome_to: Some(OutcomeAddress {
                        device: caller.device.clone(),
                        envelope: header.id.clone(),
                    }),
                    listed_as: None,
                    is_deletion: false,
                    by_server: false,
                    body: ParcelBody::Text(text),
                };
                self.queue_envelope(caller.user, parcel).await?;
                SendOutcome::Queued { activity }
            }
        })
    }

    /// Queues an envelope of `author` that waits for another server, and lists it among the
    /// parcels of the account: one UpdateItem, one SendMessageBatch.
    ///
    /// The parcel is listed before it is queued. If the process dies in between, it counts until
    /// its time is over. A parcel that the queue does not confirm is removed from the list, so that
    /// a failing queue does not fill it.
    ///
    /// # Errors
    /// [`Refusal::OverBudget`] if too many parcels of the account wait; the store is broken or out
    /// of reach.
    async fn queue_envelope(&self, author: &UserName, parcel: Parcel) -> Result<()> {
        const WAITING: &str = "too many of your envelopes wait for other servers";
        let (now_ms, ends_ms) = (self.now_ms(), parcel.ends_ms());
        let earliest_ms = now_ms.saturating_add(FIRST_WAIT_MS);
        let not_before_ms = parcel.not_before_ms.map_or(earliest_ms, |until| until.max(earliest_ms));
        let list = Outstanding::EnvelopesOf(author);
        let id = hex::encode(self.random::<8>());
        let most = self.limits().account_parcels;
        if !self.store().add_outstanding(list, &id, ends_ms, most, now_ms).await? {
            return Err(Refusal::OverBudget { retry_after: LIST_FULL_SECONDS, budget: WAITING }.into());
        }
        let parcel = Parcel {
            // The last attempt, after which the sender is told, is at the end of the parcel's time.
            not_before_ms: Some(not_before_ms.min(ends_ms)),
            listed_as: Some(id.clone()),
            ..parcel
        };
        let queued = self.store().queue_parcels(vec![parcel], now_ms, || self.random_uuid()).await;
        if queued.is_err()
            && let Err(error) = self.store().remove_outstanding(list, &id).await
        {
            tracing::warn!(%error, "an envelope that is not queued stays in the list");
        }
        Ok(queued?)
    }
}
