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

use crate::{Messaging, Refusal, Result};

/// A day in milliseconds.
const DAY_MS: i64 = 86_400_000;

/// The outcome of a report of a device's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportOutcome {
    /// The report is stored.
    Stored,
    /// The user has reported the message on this day already, with these or other words. That report stays.
    Repeated,
}

impl Messaging {
    /// Stores a report of a device's user, and passes it on to the author's server: also one that the user
    /// has made on this day already, since the process may have died before that.
    ///
    /// Four AWS calls in two rounds: GetItem of the device set, GetItem of the envelope's record and
    /// UpdateItem of the account's budget, which bounds repetitions; then a transaction of two writes. A
    /// fifth one, SendMessageBatch, if the author is elsewhere and this server has accepted the envelope:
    /// what it knows nothing of, it tells nobody. If the process dies before that one, the device has
    /// no answer and reports again.
    ///
    /// # Errors
    /// [`Refusal::DevicePending`], [`Refusal::DeviceRevoked`]; [`Refusal::OverBudget`] if the account's
    /// minute is used up, or the user has reported as many messages as may be in a day; [`Refusal::Invalid`] if the message is the user's
    /// own, or was not for the user; the store is broken or out of reach.
    pub async fn report_message(
        &self,
        federation: Option<&Federation>,
        caller: DeviceAddress<'_>,
        flag: &Flag,
    ) -> Result<ReportOutcome> {
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
        let (own, record, spending) = tokio::join!(
            self.store().device_set(caller.user),
            self.store().envelope_record(caller.user, &header, now_ms),
            self.spend(Some(self.request_charge(caller.user)), None)
        );
        self.check_caller(caller, own, spending).await?;
        let was_delivered = record?.is_some();
        let standing = match self.origin().owns(&flag.author) {
            true => self.judge(federation, flag, &reporter),
            false if !flag.evidence.is_consistent(&flag.author) => FlagStanding::False,
            false if was_delivered => FlagStanding::Delivered,
            false => FlagStanding::Consistent,
        };
        let new = NewFlag { flag, reporter: &reporter, site: None, standing };
        let kept = self.store().keep_flag(new, now_ms).await?;
        if kept == KeptFlag::Full {
            let budget = "you have reported as many messages as may be in a day";
            let left_ms = DAY_MS.saturating_sub(now_ms.rem_euclid(DAY_MS));
            let retry_after = left_ms.unsigned_abs().div_ceil(1000);
            return Err(Refusal::OverBudget { retry_after, budget }.into());
        }
        let is_permitted =
            |origin: &Origin| federation.is_some_and(|federation| federation.permit(origin).is_ok());
        // To the server's own actor, which outlives the author's account.
        let theirs = Origin::of(&flag.author).filter(|_| standing == FlagStanding::Delivered);
        if let Some(origin) = theirs.filter(is_permitted) {
            let activity = flag.passed_on(self.origin(), &reporter);
            let parcel = Parcel {
                to: origin.server_actor(),
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
        Ok(match kept {
            KeptFlag::Known => ReportOutcome::Repeated,
            KeptFlag::Kept | KeptFlag::Full => ReportOutcome::Stored,
        })
    }

    /// Stores a report that the server at `signer` passes on, about a message of a user of this server.
    ///
    /// UpdateItem of the budget that the reporter and the site of the server have for reports about the
    /// author, and a transaction of three writes. A report of a user of a third server, or of somebody who
    /// is not here, or beyond the bounds of a day, has no effect; the first two cost no call.
    ///
    /// The budget is charged for true reports and made-up ones alike, so that its refusal says nothing of
    /// either. It stays charged for a report that was stored before, whose transaction costs as much.
    ///
    /// # Errors
    /// [`Refusal::OverBudget`]: the report may come again. The store is broken or out of reach.
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
        let charge = self.flag_charge(signer, reporter, author, flag.evidence.content.len());
        self.spend(None, Some(charge)).await.check()?;
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
