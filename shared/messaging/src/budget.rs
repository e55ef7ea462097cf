//! Budgets of recipients and accounts (`docs/protocol.md`, section 6).
//!
//! An envelope is counted before it is known whether it is accepted, so that the count costs no
//! round. What is refused then is given back. A process that dies in between leaves one envelope
//! too many counted, on the sender's own share.

use eko_protocol::address::{Origin, UserName};
use eko_protocol::envelope::Create;
use eko_protocol::limits::MAX_CONNECTS;
use eko_store::budget::{
    Allowance, BudgetSender, BudgetSite, Charge, ChargeOutcome, Measure, RecipientAllowance, UsedUp,
};
use eko_store::device::DeviceAddress;
use eko_store::inbound::site;

use crate::{Messaging, MessagingError, Refusal, Result};

/// The charges of one envelope that are counted, and the reason not to accept it.
pub(crate) struct Spending {
    /// The charge to the sending account.
    account: Option<Charge>,
    /// The charge to the recipient.
    recipient: Option<Charge>,
    /// The reason why a charge is not counted.
    refusal: Option<MessagingError>,
}

impl Spending {
    /// Returns the reason not to accept the envelope as an error.
    ///
    /// # Errors
    /// [`Refusal::OverBudget`]; the store is broken or out of reach.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.refusal.take().map_or(Ok(()), Err)
    }
}

impl Messaging {
    /// Returns the charge of an envelope to the recipient's budget. `recipient` is a user name of
    /// this server or an actor id of another.
    ///
    /// Returns `None` for a sync: only the account's own budget bounds it, so that nobody who
    /// writes to a user keeps the user's own devices apart.
    pub(crate) fn recipient_charge(&self, create: &Create, recipient: &str) -> Option<Charge> {
        let author = &create.header.author;
        let server = Origin::of(author).filter(|origin| origin != self.origin());
        let charge = || self.charge_between(author, server.as_ref(), recipient, bytes_of(create));
        (!create.is_sync()).then(charge)
    }

    /// Returns the charge of a report of `bytes` from the server at `origin` to `user`.
    ///
    /// A device that was away acknowledges many envelopes of one author at once. So one actor may
    /// use the whole share of its site.
    pub(crate) fn report_charge(&self, origin: &Origin, user: &UserName, bytes: usize) -> Charge {
        let limits = self.limits();
        let share = Allowance { envelopes: limits.server_budget, bytes: limits.server_bytes_budget };
        let total = Allowance {
            envelopes: share_of_others(limits.recipient_budget),
            bytes: share_of_others(limits.recipient_bytes_budget),
        };
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        Charge::to_reported(user, site(origin.authority()), share, total, bytes, self.now_ms())
    }

    /// Returns the charge of an abuse report of `reporter` about `user` that the server at `origin` passes
    /// on, with `bytes` of content.
    pub(crate) fn flag_charge(
        &self,
        origin: &Origin,
        reporter: &str,
        user: &UserName,
        bytes: usize,
    ) -> Charge {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let (reporter, site) = (self.budget_sender(reporter), self.budget_site(origin));
        Charge::to_flagged(user, reporter, site, bytes, self.now_ms())
    }

    /// Returns the charge of a `Take` from another server. `subject` is what is asked for: a handle
    /// or a server's site.
    pub(crate) fn take_charge(&self, taker: &str, subject: &str) -> Charge {
        self.charge_between(taker, None, subject, 0)
    }

    fn charge_between(&self, sender: &str, server: Option<&Origin>, recipient: &str, bytes: u64) -> Charge {
        let limits = self.limits();
        let everyone = Allowance { envelopes: limits.recipient_budget, bytes: limits.recipient_bytes_budget };
        let others = Allowance {
            envelopes: share_of_others(everyone.envelopes),
            bytes: share_of_others(everyone.bytes),
        };
        let (sender, site) = (self.budget_sender(sender), server.map(|origin| self.budget_site(origin)));
        let total = RecipientAllowance { everyone, others };
        Charge::to_recipient(recipient, sender, site, total, bytes, self.now_ms())
    }

    /// Returns an actor with the share that one actor has of a minute.
    fn budget_sender<'a>(&self, name: &'a str) -> BudgetSender<'a> {
        let limits = self.limits();
        let allowance = Allowance { envelopes: limits.sender_budget, bytes: limits.sender_bytes_budget };
        BudgetSender { name, allowance }
    }

    /// Returns the site of another server with the share that one site has of a minute.
    fn budget_site<'a>(&self, origin: &'a Origin) -> BudgetSite<'a> {
        let limits = self.limits();
        BudgetSite {
            name: site(origin.authority()),
            allowance: Allowance { envelopes: limits.server_budget, bytes: limits.server_bytes_budget },
            actors: limits.server_senders,
        }
    }

    /// Returns the charge of an envelope to the account of its author.
    pub(crate) fn account_charge(&self, user: &UserName, create: &Create) -> Charge {
        self.charge_of_account(user, bytes_of(create))
    }

    /// Returns the charge of a request to another server to the account that causes it.
    pub(crate) fn request_charge(&self, user: &UserName) -> Charge {
        self.charge_of_account(user, 0)
    }

    /// Returns the charge of a socket to the active device that opens it, and to its account.
    pub(crate) fn socket_charge(&self, device: DeviceAddress<'_>) -> Charge {
        Charge::to_active_device(device, self.account_allowance(), MAX_CONNECTS, self.now_ms())
    }

    /// Returns the charge of a socket to the device that opens it while it waits for approval.
    pub(crate) fn waiting_charge(&self, device: DeviceAddress<'_>) -> Charge {
        Charge::to_waiting_device(device, MAX_CONNECTS, self.now_ms())
    }

    /// Returns the charge of something with `bytes` of content to an account.
    pub(crate) fn charge_of_account(&self, user: &UserName, bytes: u64) -> Charge {
        Charge::to_account(user, self.account_allowance(), bytes, self.now_ms())
    }

    fn account_allowance(&self) -> Allowance {
        let limits = self.limits();
        Allowance { envelopes: limits.account_budget, bytes: limits.account_bytes_budget }
    }

    /// Charges an envelope to its account and to its recipient, as far as there is a charge: one
    /// UpdateItem each, at once. Meant to run beside the read of the device sets.
    pub(crate) async fn spend(&self, account: Option<Charge>, recipient: Option<Charge>) -> Spending {
        let (account, recipient) = tokio::join!(self.charge(account), self.charge(recipient));
        let (account, refused_account) = counted(account);
        let (recipient, refused_recipient) = counted(recipient);
        Spending { account, recipient, refusal: refused_account.or(refused_recipient) }
    }

    /// Counts a charge and returns it. [`Refusal::OverBudget`] if it is not counted.
    async fn charge(&self, charge: Option<Charge>) -> Result<Option<Charge>> {
        let Some(charge) = charge else { return Ok(None) };
        match self.store().charge(&charge, self.now_ms()).await? {
            ChargeOutcome::Counted => Ok(Some(charge)),
            ChargeOutcome::Refused { used_up, resets_in_ms } => Err(Refusal::OverBudget {
                retry_after: resets_in_ms.unsigned_abs().div_ceil(1000),
                budget: text(used_up),
            }
            .into()),
        }
    }

    /// Gives back what was counted for an envelope that is refused: one UpdateItem for each charge,
    /// at once. What cannot be given back stays counted until the minute is over.
    pub(crate) async fn give_back(&self, spending: Spending) {
        let Spending { account, recipient, .. } = spending;
        tokio::join!(self.give_back_one(account), self.give_back_one(recipient));
    }

    /// Gives back what was counted on the recipient's budget for an envelope that another server
    /// refused. The account stays charged for the request.
    pub(crate) async fn give_back_recipient(&self, spending: Spending) {
        self.give_back_one(spending.recipient).await;
    }

    async fn give_back_one(&self, charge: Option<Charge>) {
        let Some(charge) = charge else { return };
        if let Err(error) = self.store().give_back(&charge).await {
            tracing::warn!(%error, "a refused envelope stays counted");
        }
    }
}

/// Separates a charge that is counted from the reason why it is not.
fn counted(charged: Result<Option<Charge>>) -> (Option<Charge>, Option<MessagingError>) {
    match charged {
        Ok(charge) => (charge, None),
        Err(error) => (None, Some(error)),
    }
}

/// Returns the share of all other servers together in a limit: three quarters. The rest is a
/// reserve for senders here.
pub(crate) fn share_of_others(limit: u64) -> u64 {
    limit.saturating_sub(limit.div_euclid(4))
}

/// Returns the bytes of content in an envelope.
fn bytes_of(create: &Create) -> u64 {
    let bytes = create.messages.iter().map(|message| message.content.len()).sum::<usize>();
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Returns the name of a budget that is used up, for a person.
fn text(used_up: UsedUp) -> &'static str {
    match used_up {
        UsedUp::Sender(Measure::Envelopes) => "too many envelopes from you to this recipient in this minute",
        UsedUp::Sender(Measure::Bytes) => "too many bytes from you to this recipient in this minute",
        UsedUp::Site(Measure::Envelopes) => {
            "too many envelopes from your server's domain to this recipient in this minute"
        }
        UsedUp::Site(Measure::Bytes) => {
            "too many bytes from your server's domain to this recipient in this minute"
        }
        UsedUp::Actors => "too many senders of your server's domain to this recipient in this minute",
        UsedUp::Others(Measure::Envelopes) => {
            "too many envelopes from other servers to this recipient in this minute"
        }
        UsedUp::Others(Measure::Bytes) => {
            "too many bytes from other servers to this recipient in this minute"
        }
        UsedUp::Recipient(Measure::Envelopes) => "too many envelopes to this recipient in this minute",
        UsedUp::Recipient(Measure::Bytes) => "too many bytes to this recipient in this minute",
        UsedUp::Account(Measure::Envelopes) => "too many envelopes from your account in this minute",
        UsedUp::Sockets => "too many sockets of this device in this minute",
        UsedUp::SiteReports => "too many reports from your server's domain to this user in this minute",
        UsedUp::Reports => "too many reports from other servers to this user in this minute",
        UsedUp::Reporter => "too many abuse reports by this reporter about this user in this minute",
        UsedUp::SiteFlags => {
            "too many abuse reports from your server's domain about this user in this minute"
        }
        UsedUp::Reporters => "too many reporters of your server's domain about this user in this minute",
        UsedUp::Unknown => "too many envelopes or bytes in this minute",
        UsedUp::Account(Measure::Bytes) => "too many bytes from your account in this minute",
    }
}
