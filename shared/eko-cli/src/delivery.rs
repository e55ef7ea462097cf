//! The delivery of a message: waiting for it, and summing it up for a person.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use eko_client::messenger::{Distrust, Group, MessengerError, Person, SentActivity};
use eko_client::store::{DeviceEnd, EnvelopeState, OutboxEnvelope};
use tokio::time::sleep;

use crate::clock;
use crate::context::HttpMessenger;
use crate::failure::{CommandFailure, Exit, next_of_moved};
use crate::people::{bare_id, group_argument, named};
use crate::progress::ProgressLine;
use crate::show;

/// The default of `--wait`: how long a command goes on trying, in seconds.
pub(crate) const WAIT_S: u64 = 30;

/// The next step of a person whose message is kept.
const KEPT: &str = "eko listen, which tries again, as eko chat and the next eko send do";

/// The next step of a person whose message another process sends now.
const UNDER_WAY: &str = "eko history, which says what became of it";

/// The next step of a person whose message is kept by a device that is signed out.
const KEPT_SIGNED_OUT: &str = "eko login NAME, and then eko listen, which sends it";

/// The next step of a person whose message is kept by a device that was revoked.
const KEPT_REVOKED: &str = "eko login NAME --anew, which makes a new device and sends it from there";

/// The next step of a person whose message is kept by a device that its server has forgotten.
const KEPT_FORGOTTEN: &str = "eko login NAME --anew, which makes a new device; that sends it";

/// The next step of a person whose message is kept, and whose account was deleted.
const KEPT_DELETED: &str = "eko history, which has it; nothing is sent from a deleted account";

/// The next step of a person whose message has gone to a name that may be nobody's.
const NO_SUCH_NAME: &str = "check the name; eko send @NAME TEXT sends it to the right one";

/// The next step of a person whose message cannot be sent to anybody who could read it.
const GONE: &str = "eko history, for what you have of them; nobody else gets the name";

/// The next step of a member of a group that nobody can change any more.
const NO_ADMIN: &str = "eko groups create NAME @WHOM, for a new group: no admin of this one is left, so that nobody can change it";

/// The number of people in alarm whose commands are written out.
const ALARMS_NAMED: usize = 3;

/// True if the account of a recipient was deleted, as their server says.
pub(crate) fn is_deleted(client: &HttpMessenger, recipient: &str) -> bool {
    // A store that cannot be read fails the sending itself.
    Person::of(recipient).is_some_and(|person| client.is_person_deleted(&person).unwrap_or_default())
}

/// Returns the next step of a person whose message could not be sent to deleted accounts.
fn next_of_deleted(client: &HttpMessenger, message: &str, names: &[&str]) -> String {
    let message = client.message(&client.me().actor(), message).ok().flatten();
    let group = message.map(|it| it.content.conversation).filter(|it| Person::of(it).is_none());
    match group {
        Some(group) => removal(client, &group, names),
        None => GONE.to_owned(),
    }
}

/// Returns the next step of a member of a group in which deleted accounts are: their removal, if an admin of it
/// has an account.
pub(crate) fn removal(client: &HttpMessenger, group: &str, names: &[&str]) -> String {
    // A store that cannot be read fails the sending itself.
    let known = client.groups().unwrap_or_default().into_iter().find(|it| it.state.id().as_str() == group);
    match known {
        Some(known) if !known.member => GONE.to_owned(),
        Some(known) if !has_admin(client, &known) => NO_ADMIN.to_owned(),
        _ => {
            let group = group_argument(client, group);
            format!("eko groups remove {group} {}, as an admin of the group can", names.join(" "))
        }
    }
}

/// True if an admin of a group has an account that can change it, as far as this device knows: it was neither
/// deleted nor left by a move.
pub(crate) fn has_admin(client: &HttpMessenger, group: &Group) -> bool {
    group.state.admins().iter().any(|admin| can_change_groups(client, admin))
}

/// True if an account was neither deleted nor left by a move, as far as this device knows.
pub(crate) fn can_change_groups(client: &HttpMessenger, actor: &str) -> bool {
    let former = client.former_accounts().unwrap_or_default();
    let was_left = |person: &Person| {
        former.contains(person) || client.whereabouts(person).is_ok_and(|now| now != *person)
    };
    !is_deleted(client, actor) && !Person::of(actor).is_some_and(|person| was_left(&person))
}

/// Returns the commands that settle an alarm of each of these people.
pub(crate) fn verify_each<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let named: Vec<_> = names.iter().take(ALARMS_NAMED).map(|name| format!("eko verify {name}")).collect();
    match names.len().saturating_sub(ALARMS_NAMED) {
        0 => named.join(", and "),
        more => format!("{}, and {more} more", named.join(", ")),
    }
}

/// Returns the warning that nothing is sent to somebody now, for the beginning of a chat.
pub(crate) fn held_back(client: &HttpMessenger, person: &Person, why: &Distrust) -> String {
    let who = named(client, &person.actor());
    format!(
        "BEWARE: {who}: {why}. What you write is held back, and sent by itself once you have settled that with eko \
         verify {who}."
    )
}

/// True if this device has never seen a device of a recipient.
fn is_unknown(client: &HttpMessenger, recipient: &str) -> bool {
    // A store that cannot be read fails the sending itself.
    client.people().is_ok_and(|people| !people.iter().any(|actor| actor == recipient))
}

/// Tries again what can be tried again, for at most `wait_s` seconds or until Ctrl-C, and returns
/// the result.
pub(crate) async fn wait_for(
    client: &HttpMessenger,
    progress: &ProgressLine,
    mut sent: SentActivity,
    wait_s: u64,
) -> Result<SentActivity, CommandFailure> {
    let now_ms = || client.device().environment().now_ms();
    let until_ms = now_ms().saturating_add_unsigned(wait_s.saturating_mul(1000));
    loop {
        let waiting: Vec<_> =
            sent.envelopes.iter().filter(|envelope| envelope.state == EnvelopeState::ToSend).collect();
        let Some(due_ms) = waiting.iter().map(|envelope| envelope.due_ms).min() else { return Ok(sent) };
        if due_ms > until_ms || client.device().tokens().is_none() || client.is_revoked()? {
            return Ok(sent);
        }
        let reason = waiting.iter().find_map(|envelope| envelope.reason.clone()).unwrap_or_default();
        let wait_ms = u64::try_from(due_ms.saturating_sub(now_ms())).unwrap_or(0);
        progress.say(format!("trying again in {} s: {reason}", wait_ms.div_ceil(1000)));
        tokio::select! {
            () = sleep(Duration::from_millis(wait_ms)) => {}
            _ = tokio::signal::ctrl_c() => return Ok(sent),
        }
        match client.flush().await {
            // It is kept, and its reason says it.
            Err(error) if error.is_end() => return Ok(client.sent(&sent.id)?),
            flushed => flushed?,
        };
        sent = client.sent(&sent.id)?;
    }
}

/// Returns the next step of a person whose message is kept.
pub(crate) fn kept(client: &HttpMessenger) -> &'static str {
    // A store that cannot be read fails the sending itself.
    let end = client.device_end().unwrap_or_default();
    match client.device().tokens() {
        _ if end == Some(DeviceEnd::Deleted) => KEPT_DELETED,
        _ if end.is_some() => KEPT_REVOKED,
        None if client.is_forgotten().unwrap_or_default() => KEPT_FORGOTTEN,
        None => KEPT_SIGNED_OUT,
        Some(_) if clock::misleads(client) => clock::KEPT,
        Some(_) => KEPT,
    }
}

/// The result of sending something: the recipients by name, grouped by what became of it.
pub(crate) struct DeliverySummary {
    /// The state of the envelope that has got least far.
    pub(crate) state: EnvelopeState,
    /// The recipients whose server has it.
    pub(crate) reached: Vec<String>,
    /// The recipients whose server is out of reach, so that the own server keeps it for them.
    pub(crate) queued: Vec<String>,
    /// The time of the next attempt for those that wait, in epoch milliseconds.
    pub(crate) due_ms: i64,
    missed: Vec<MissedRecipient>,
    /// The reason for which no copy went to the own devices, if their list is not to be trusted.
    no_copy: Option<String>,
    /// The warnings of recipients whose devices have confirmed nothing for long.
    unconfirmed: Vec<String>,
    /// The warning that the clock of this machine differs from the server's.
    clock: Option<String>,
    /// The next step of a person whose message is kept.
    kept: &'static str,
    /// The next step of a person whose message could not be sent to deleted accounts.
    deleted: String,
    /// The next step of a person who has moved to another account: it can send the message.
    moved: Option<String>,
}

/// A recipient who does not have it.
struct MissedRecipient {
    name: String,
    reason: String,
    is_distrusted: bool,
    /// True if this device has never seen a device of them, so that there may be nobody of that name.
    is_unknown: bool,
    /// True if their account was deleted, so that nothing can be sent to them.
    is_deleted: bool,
}

impl MissedRecipient {
    fn to_text(&self) -> String {
        let Self { name, reason, is_distrusted, .. } = self;
        match is_distrusted {
            true => format!("{name}: {reason} (it is held back, and sent by itself once that is settled)"),
            false => format!("{name}: {reason}"),
        }
    }
}

impl DeliverySummary {
    /// Sums up the envelopes to other people. Of the envelope to the user's own devices it says
    /// only that it was refused.
    pub(crate) fn of(client: &HttpMessenger, sent: &SentActivity) -> Self {
        Self::of_untried(client, sent, "it was not tried yet")
    }

    /// Does as [`Self::of`]. `untried` is the reason of envelopes that have none of their own.
    pub(crate) fn of_untried(client: &HttpMessenger, sent: &SentActivity, untried: &str) -> Self {
        let (me, own) = (client.me(), client.me().actor());
        let untried = match kept(client) {
            KEPT_REVOKED => MessengerError::Revoked.to_string(),
            KEPT_DELETED => MessengerError::AccountDeleted.to_string(),
            KEPT_FORGOTTEN => MessengerError::Forgotten.to_string(),
            KEPT_SIGNED_OUT => MessengerError::SignedOut.to_string(),
            _ => untried.to_owned(),
        };
        let (mut reached, mut queued, mut missed) = (Vec::new(), Vec::new(), Vec::new());
        for envelope in sent.envelopes.iter().filter(|envelope| envelope.recipient != own) {
            let name = named(client, &envelope.recipient);
            match envelope.state {
                EnvelopeState::Accepted | EnvelopeState::Delivered => reached.push(name),
                EnvelopeState::Queued => queued.push(name),
                EnvelopeState::ToSend | EnvelopeState::Failed | EnvelopeState::Refused => {
                    missed.push(MissedRecipient {
                        name,
                        reason: under_way(client, envelope)
                            .map(str::to_owned)
                            .or_else(|| envelope.reason.clone())
                            .unwrap_or_else(|| untried.clone()),
                        is_distrusted: envelope.state == EnvelopeState::Refused,
                        is_unknown: is_unknown(client, &envelope.recipient),
                        is_deleted: envelope.state == EnvelopeState::Failed
                            && is_deleted(client, &envelope.recipient),
                    });
                }
            }
        }
        // Who has ended this device has no copy of it either, which is no news.
        let is_refused = |it: &&OutboxEnvelope| it.recipient == own && it.state == EnvelopeState::Refused;
        let copy = sent
            .envelopes
            .iter()
            .find(is_refused)
            .filter(|_| client.device_end().is_ok_and(|end| end.is_none()));
        let no_copy = copy.and_then(|copy| copy.reason.clone());
        let others = sent.envelopes.iter().filter_map(|envelope| Person::of(&envelope.recipient));
        let unconfirmed = others.filter_map(|person| unconfirmed(client, &person));
        let (state, unconfirmed) = (sent.state(&me), unconfirmed.collect());
        let waiting = sent.envelopes.iter().filter(|envelope| envelope.state == EnvelopeState::ToSend);
        let due_ms = waiting.clone().map(|envelope| envelope.due_ms).max().unwrap_or_default();
        let is_under_way = due_ms > 0 && waiting.clone().all(|it| under_way(client, it).is_some());
        let (clock, kept) = (clock::warning(client), if is_under_way { UNDER_WAY } else { kept(client) });
        let gone: Vec<_> = missed.iter().filter(|it| it.is_deleted).map(|it| &*it.name).collect();
        let deleted = next_of_deleted(client, &sent.id, &gone);
        // A store that cannot be read fails the sending itself.
        let moved = client.moved_account().ok().flatten().map(|to| next_of_moved(&to.handle().to_string()));
        Self { state, due_ms, reached, queued, missed, no_copy, unconfirmed, clock, kept, deleted, moved }
    }

    /// Returns the warnings that no copy went to the user's own devices, and that a recipient's
    /// devices have confirmed nothing for long.
    pub(crate) fn warnings(&self) -> Vec<String> {
        // A failure says by itself that the clock is wrong.
        let clock = self.clock.clone().filter(|_| self.state != EnvelopeState::ToSend);
        self.copy_warning().into_iter().chain(self.unconfirmed.iter().cloned()).chain(clock).collect()
    }

    /// Returns the warning that no copy went to the user's own devices.
    pub(crate) fn copy_warning(&self) -> Option<String> {
        let why = self.no_copy.as_ref()?;
        Some(format!("BEWARE: {why}. See eko verify with your own name."))
    }

    /// True if every recipient has it, or will get it without this device.
    pub(crate) fn is_complete(&self) -> bool {
        self.missed.is_empty()
    }

    /// True if all who do not have it may be nobody.
    pub(crate) fn is_to_nobody(&self) -> bool {
        self.missed.iter().all(|missed| missed.is_unknown)
    }

    /// True if the accounts of all who do not have it were deleted, so that it cannot be sent again.
    pub(crate) fn is_to_deleted(&self) -> bool {
        self.missed.iter().all(|missed| missed.is_deleted)
    }

    /// Returns the names of those whose accounts were deleted, so that it cannot be sent to them.
    pub(crate) fn deleted(&self) -> Vec<&str> {
        self.missed.iter().filter(|missed| missed.is_deleted).map(|missed| missed.name.as_str()).collect()
    }

    /// Returns the names of those from whom it is held back.
    pub(crate) fn held_back_from(&self) -> impl Iterator<Item = &str> {
        self.missed.iter().filter(|missed| missed.is_distrusted).map(|missed| missed.name.as_str())
    }

    /// Returns the failure of this delivery, or `None` if nothing failed. Its sentence begins with
    /// `lead`.
    pub(crate) fn failure(&self, lead: &str) -> Option<CommandFailure> {
        let missed: Vec<_> = self.missed.iter().map(MissedRecipient::to_text).collect();
        let sent: Vec<_> = self.reached.iter().chain(&self.queued).map(String::as_str).collect();
        let partly =
            if sent.is_empty() { String::new() } else { format!("sent to {}, and ", sent.join(", ")) };
        let failure = |how: &str| CommandFailure::new(format!("{lead}{partly}{how} {}", missed.join("; ")));
        let exit = |alone| if self.reaches_anybody() { Exit::Partly } else { alone };
        match self.state {
            // Nothing sends what a deleted account has kept.
            EnvelopeState::ToSend if self.kept == KEPT_DELETED => {
                Some(failure("not sent to").next(self.kept).exit(exit(Exit::Failed)))
            }
            EnvelopeState::ToSend => Some(failure("not sent yet to").next(self.kept).exit(Exit::TryLater)),
            EnvelopeState::Refused => {
                let failure = failure("not sent to").exit(exit(Exit::NotTrusted));
                Some(match self.held_back_from().next() {
                    Some(_) => failure.next(verify_each(self.held_back_from())),
                    None => failure,
                })
            }
            EnvelopeState::Failed => {
                let next = match self.is_to_nobody() {
                    _ if self.moved.is_some() => self.moved.as_deref().unwrap_or_default(),
                    true => NO_SUCH_NAME,
                    false if self.is_to_deleted() => &self.deleted,
                    false => "eko history, which says how to send it again",
                };
                Some(failure("not sent to").next(next).exit(exit(Exit::Failed)))
            }
            EnvelopeState::Queued | EnvelopeState::Accepted | EnvelopeState::Delivered => None,
        }
    }

    /// Does as [`Self::failure`] for a command that ends now, and says that it is kept, and until when
    /// it waits, if that is known.
    pub(crate) fn last_failure(&self, client: &HttpMessenger, lead: &str) -> Option<CommandFailure> {
        let failure = self.failure(lead)?;
        // The time by a wrong clock is none.
        let is_due_later = self.kept == KEPT && self.due_ms > client.device().environment().now_ms();
        // Nothing but a sign-in or another device helps where that is the next step.
        let goes_on = [KEPT, clock::KEPT].contains(&self.kept);
        let is_kept = self.state == EnvelopeState::ToSend && goes_on;
        Some(match is_due_later {
            _ if !is_kept => failure,
            true => failure.followed_by(&format!(
                "; it is kept, and waits until {}",
                show::clock_with_seconds(self.due_ms)
            )),
            false => failure.followed_by("; it is kept"),
        })
    }

    /// True if a recipient has it, or will get it without this device.
    pub(crate) fn reaches_anybody(&self) -> bool {
        !self.reached.is_empty() || !self.queued.is_empty()
    }
}

/// Returns that another process sends an envelope, or something before it to the same recipient, if one
/// does.
fn under_way(client: &HttpMessenger, envelope: &OutboxEnvelope) -> Option<&'static str> {
    let waits =
        envelope.state == EnvelopeState::ToSend && envelope.due_ms > client.device().environment().now_ms();
    match (waits, envelope.is_claimed, &envelope.reason) {
        (true, true, _) => Some("another process is sending it"),
        (true, false, None) => Some("another process is sending what was written before it"),
        _ => None,
    }
}

/// Returns the states of a message's envelopes to other people in words, each with the people of a group
/// that it is true of: `delivered: @bob, @carol; sent: @dave`. What can be done follows on another line.
/// Returns `None` if another device has sent the message, so that this device does not know.
pub(crate) fn states(client: &HttpMessenger, sent: &SentActivity) -> Option<String> {
    let own = client.me().actor();
    let others: Vec<_> = sent.envelopes.iter().filter(|envelope| envelope.recipient != own).collect();
    let said = match &others[..] {
        [] => return None,
        [envelope] => state(client, envelope),
        _ => {
            let mut people: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for envelope in &others {
                people.entry(state(client, envelope)).or_default().push(named(client, &envelope.recipient));
            }
            let parts = people.iter().map(|(words, who)| format!("{words}: {}", who.join(", ")));
            parts.collect::<Vec<_>>().join("; ")
        }
    };
    Some(match remedy(client, &others) {
        Some(next) => format!("{said}\n    {next}"),
        None => said,
    })
}

/// True if the account of this device was deleted, and what waited at its server with it.
pub(crate) fn has_deleted(client: &HttpMessenger) -> bool {
    client.device_end().is_ok_and(|end| end == Some(DeviceEnd::Deleted))
}

/// Returns the state of an envelope in words.
fn state(client: &HttpMessenger, envelope: &OutboxEnvelope) -> String {
    let because = |lead: &str| match envelope.reason.as_deref() {
        Some(why) => format!("{lead}{why}"),
        None => String::new(),
    };
    match envelope.state {
        // The report of the servers, or the receipt, may be lost.
        EnvelopeState::Queued | EnvelopeState::Accepted | EnvelopeState::Delivered if envelope.seen => {
            "read".to_owned()
        }
        EnvelopeState::Delivered => delivered(envelope),
        EnvelopeState::Accepted if envelope.reason.is_some() => format!("sent{}", because(", but ")),
        EnvelopeState::Accepted => "sent, and not known to be delivered".to_owned(),
        EnvelopeState::Queued if has_deleted(client) => {
            "not known to be delivered when your account was deleted".to_owned()
        }
        EnvelopeState::Queued => "waiting at your server; theirs is out of reach".to_owned(),
        EnvelopeState::ToSend => {
            format!("waiting{}; {}", because(": "), next_attempt(client, envelope.due_ms))
        }
        EnvelopeState::Failed => format!("failed{}", because(": ")),
        EnvelopeState::Refused => format!("held back{}", because(": ")),
    }
}

/// Returns when an envelope that waits is tried next. A time that is past is no time of an attempt: no
/// process was there then.
fn next_attempt(client: &HttpMessenger, due_ms: i64) -> String {
    if has_deleted(client) {
        return "your account was deleted, so that nothing is sent any more".to_owned();
    }
    if client.is_revoked().unwrap_or_default() {
        return "this device does not send it any more".to_owned();
    }
    if client.device().tokens().is_none() {
        return match client.is_forgotten().unwrap_or_default() {
            true => "the server does not know this device any more".to_owned(),
            false => "next attempt after the next eko login".to_owned(),
        };
    }
    match due_ms > client.device().environment().now_ms() {
        true => format!("next attempt at {}", show::clock_with_seconds(due_ms)),
        false => "next attempt with the next eko listen or eko send".to_owned(),
    }
}

/// Returns that an envelope was delivered, and to how many devices if there are several.
fn delivered(envelope: &OutboxEnvelope) -> String {
    let all = envelope.devices.saturating_add(envelope.full_devices.len());
    match all {
        0 | 1 => "delivered".to_owned(),
        all => format!("delivered to {} of {all} devices", envelope.received_by),
    }
}

/// Returns what can be done about the envelopes of one message that wait or have failed, if anything can.
fn remedy(client: &HttpMessenger, envelopes: &[&OutboxEnvelope]) -> Option<String> {
    let first = |is: fn(&OutboxEnvelope) -> bool| envelopes.iter().find(|envelope| is(envelope));
    let id = short_id(&envelopes.first()?.message);
    let refused = envelopes.iter().filter(|it| it.state == EnvelopeState::Refused);
    let (gone, doubted): (Vec<_>, Vec<_>) =
        refused.map(|it| &*it.recipient).partition(|recipient| is_deleted(client, recipient));
    if let Ok(Some(to)) = client.moved_account()
        && envelopes.iter().any(|it| matches!(it.state, EnvelopeState::Failed | EnvelopeState::ToSend))
    {
        return Some(next_of_moved(&to.handle().to_string()));
    }
    let names = |actors: &[&str]| actors.iter().map(|actor| named(client, actor)).collect::<Vec<_>>();
    if !doubted.is_empty() {
        let verify = verify_each(names(&doubted).iter().map(String::as_str));
        return Some(format!("{verify}: once you have decided, it is sent; eko discard {id} gives it up"));
    }
    if !gone.is_empty() {
        let who = names(&gone).join(", ");
        return Some(format!("the account of {who} was deleted; eko discard {id} gives it up"));
    }
    let is_lost = |it: &OutboxEnvelope| match it.state {
        EnvelopeState::Failed => true,
        EnvelopeState::Accepted => it.reason.is_some() && !it.seen,
        _ => false,
    };
    match (first(is_lost), first(|it| it.state == EnvelopeState::ToSend)) {
        (Some(_), _) if envelopes.iter().all(|it| !is_lost(it) || is_deleted(client, &it.recipient)) => {
            let lost = envelopes.iter().filter(|it| is_lost(it));
            let names: Vec<_> = lost.map(|it| named(client, &it.recipient)).collect();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            match next_of_deleted(client, &envelopes.first()?.message, &names) {
                next if next == GONE => Some("nothing can be sent to a deleted account".to_owned()),
                next => Some(next),
            }
        }
        (Some(lost), _) if is_unknown(client, &lost.recipient) => {
            Some(format!("{NO_SUCH_NAME}; eko resend {id} tries the same name again"))
        }
        (Some(_), _) => Some(format!("eko resend {id}")),
        (None, Some(_))
            if client.is_revoked().unwrap_or_default() || client.is_forgotten().unwrap_or_default() =>
        {
            Some(kept(client).replace("NAME", &client.me().handle().to_string()))
        }
        (None, Some(_)) => Some(format!("eko resend {id} tries now; eko discard {id} gives it up")),
        (None, None) => None,
    }
}

/// Returns the letters of a message's id that are shown where a person is to type them.
fn short_id(id: &str) -> &str {
    let bare = bare_id(id);
    bare.split('-').next().unwrap_or(bare)
}

/// Returns the warning that no device of a person has confirmed their device list for long, or `None`
/// if one has.
pub(crate) fn unconfirmed(client: &HttpMessenger, person: &Person) -> Option<String> {
    // A store that cannot be read fails the sending itself.
    let days = client.unconfirmed_days(person).ok().flatten()?;
    let who = named(client, &person.actor());
    let by = if clock::misleads(client) {
        " by the clock of this machine, which differs from the server's"
    } else {
        ""
    };
    Some(format!(
        "BEWARE: no device of {who} has confirmed their device list for {days} days{by}. Their server may hide that one \
         was revoked. See eko verify {who}."
    ))
}
