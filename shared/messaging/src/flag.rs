//! Reports of messages by their recipients (`docs/protocol.md`, sections 6 and 7).
//!
//! A report reveals one message to the reporter's server and to the author's. It is stored for the
//! operators. Whoever sends it does not learn whether it was verified: the answers and the calls are
//! the same.

use eko_federation::Federation;
use eko_protocol::Invalid;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::envelope::EnvelopeHeader;
use eko_protocol::flag::Flag;
use eko_store::device::DeviceAddress;
use eko_store::flags::{FlagStanding, KeptFlag, NewFlag};
use eko_store::inbound::site;
use eko_store::parcels::{Parcel, ParcelBody};

use crate::active_device::require_active;
use crate::{Messaging, Refusal, Result};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

impl Messaging {
    /// Stores a report of a device's user, and passes it on to the author's server.
    ///
    /// Three AWS calls in two rounds if the author is here: GetItem of the device set beside that of the
    /// envelope's record; a transaction of two writes. A fourth one if the author is elsewhere:
    /// SendMessageBatch. If the process dies before that one, the device has no answer and reports again.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`]; [`Refusal::OverBudget`] if the user has
    /// reported as many messages as may be in a day; [`Refusal::Invalid`] if the message is the user's
    /// own, or was not for the user; the store is broken or out of reach.
    pub async fn report_message(
        &self,
        federation: Option<&Federation>,
        caller: DeviceAddress<'_>,
        flag: &Flag,
    ) -> Result<()> {
        let reporter = self.origin().actor(caller.user);
        if flag.author == reporter {
            return Err(Invalid::at("/object", "is yourself").into());
        }
        if flag.evidence.to.as_ref().is_some_and(|to| *to != reporter) {
            return Err(Invalid::at("/eko:evidence/to", "must be the user who is signed in").into());
        }
        let now_ms = self.now_ms();
        let header = EnvelopeHeader {
            author: flag.author.clone(),
            id: flag.evidence.envelope.clone(),
            from: flag.evidence.device.clone(),
            published_ms: None,
            expires_ms: None,
            notify: false,
            device_set: None,
            franking: None,
        };
        let (own, record) = tokio::join!(
            self.store().device_set(caller.user),
            self.store().envelope_record(caller.user, &header, now_ms)
        );
        require_active(own?, caller.device)?;
        let was_delivered = record?.is_some();
        let standing = match self.origin().owns(&flag.author) {
            true => self.judge(federation, flag, &reporter),
            false if !flag.evidence.is_consistent(&flag.author, &reporter) => FlagStanding::False,
            false if was_delivered => FlagStanding::Delivered,
            false => FlagStanding::Consistent,
        };
        let new = NewFlag { flag, reporter: &reporter, site: None, standing };
        if self.store().keep_flag(new, now_ms).await? == KeptFlag::Full {
            let budget = "you have reported as many messages as may be in a day";
            let left_ms = DAY_MS.saturating_sub(now_ms.rem_euclid(DAY_MS));
            let retry_after = left_ms.unsigned_abs().div_ceil(1000);
            return Err(Refusal::OverBudget { retry_after, budget }.into());
        }
        let is_elsewhere = !self.origin().owns(&flag.author);
        if is_elsewhere && federation.is_some_and(|federation| federation.permitted(&flag.author).is_ok()) {
            let activity = flag.passed_on(self.origin(), &reporter);
            let parcel = Parcel {
                to: flag.author.clone(),
                author: caller.user.clone(),
                first_ms: now_ms,
                not_before_ms: None,
                expires_ms: None,
                outcome_to: None,
                listed_as: None,
                is_deletion: false,
                by_server: true,
                body: ParcelBody::Text(activity.to_string()),
            };
            self.store().queue_parcels(vec![parcel], now_ms, || self.random_uuid()).await?;
        }
        Ok(())
    }

    /// Stores a report that the server at `signer` passes on, about a message of a user of this server.
    ///
    /// One transaction of three writes. A report of a user of a third server, or of somebody who is not
    /// here, or beyond the bounds, has no effect; the first two cost no call.
    ///
    /// # Errors
    /// The store is broken or out of reach.
    pub async fn keep_report_of(
        &self,
        federation: &Federation,
        signer: &Origin,
        author: &UserName,
        flag: &Flag,
    ) -> Result<()> {
        let Some(reporter) = flag.evidence.to.as_deref().filter(|to| signer.owns(to)) else { return Ok(()) };
        if self.origin().actor(author) != flag.author {
            return Ok(());
        }
        let standing = self.judge(Some(federation), flag, reporter);
        let site = Some(site(signer.authority()));
        let new = NewFlag { flag, reporter, site, standing };
        if self.store().keep_flag(new, self.now_ms()).await? == KeptFlag::Full {
            tracing::warn!(signer = signer.as_str(), "a report is dropped: too many on one day");
        }
        Ok(())
    }

    /// Judges a report about a message of a user of this server.
    fn judge(&self, federation: Option<&Federation>, flag: &Flag, reporter: &str) -> FlagStanding {
        let Flag { author, evidence, .. } = flag;
        let is_proof = |federation: &Federation| evidence.is_proof(author, reporter, federation.franking());
        match federation.is_some_and(is_proof) {
            true => FlagStanding::Verified,
            false => FlagStanding::False,
        }
    }
}
