//! Messages and notices as text for a person; in `object.rs` as JSON objects for a script.

mod held;
mod object;
mod request;
#[cfg(test)]
mod tests;
mod undone;

pub(crate) use held::{held_reason, held_word};
pub(crate) use object::{
    awaited_object, content_object, due_object, instant, message_object, notice_object, sent_object, word,
};
pub(crate) use request::{asked_for, messages_not_kept, request, request_object};

use eko_client::group::GroupDifference;
use eko_client::messenger::{
    Distrust, GroupEvent, Notice, Person, Severity, TOLD_FOR_DAYS, UnreadableReason,
};
use eko_client::store::{
    AwaitedMessage, AwaitedReason, EnvelopeState, HeldReason, MessageContent, OutboxEnvelope, StoredMessage,
};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::context::HttpMessenger;
use crate::people::{
    bare_id, conversation, group_argument, is_group, named, named_or_you, somebody_is, titled,
};

/// The number of characters of a message that stand for the whole in a notice.
const EXCERPT_CHARS: usize = 32;

/// The time on its way from which on it is named when a message came.
const FAR_MS: i64 = 3_600_000;

/// Returns a message as text. Before it there is a line for what its device wrote before and what has
/// not come.
pub(crate) fn message(client: &HttpMessenger, message: &StoredMessage) -> String {
    let (text, who) = (words(client, &message.content), named(client, &message.content.actor));
    match message.missing_before {
        0 => text,
        1 => format!(
            "(a message of {who} is missing here; if it does not come, ask {who} to send it again)\n{text}"
        ),
        count => {
            format!(
                "({count} messages of {who} are missing here; if they do not come, ask {who} to send them again)\n{text}"
            )
        }
    }
}

/// Returns the line for messages of one author that are awaited, in their place. There are several only if
/// they were not kept.
pub(crate) fn awaited(client: &HttpMessenger, messages: &[&AwaitedMessage], is_missing: bool) -> String {
    let Some(first) = messages.first() else { return String::new() };
    let (time, who) = (clock(first.received_ms), named(client, &first.actor));
    let (count, them, were) = match messages.len() {
        1 => ("a message".to_owned(), "it", "was"),
        count => (format!("{count} messages"), "them", "were"),
    };
    let text = match (first.why, is_missing) {
        (AwaitedReason::Undecryptable, true) => {
            format!("{count} of {who} could not be decrypted, and was not sent again")
        }
        (AwaitedReason::Undecryptable, false) => {
            format!("waiting for this message of {who}, which could not be decrypted")
        }
        (AwaitedReason::NotKept, true) => format!(
            "{count} that {who} sent before you accepted {who} {were} not kept on this device, and not sent again; ask {who} \
             to send {them} again"
        ),
        (AwaitedReason::NotKept, false) => format!(
            "waiting for {count} that {who} sent before you accepted {who}, and that {were} not kept on this device; their \
             program is asked to send {them} again"
        ),
    };
    format!("{time}  ({text})")
}

/// Returns the content of a message as text: the time, the author, the recipient or group, the
/// words, the files and the warning. The time is the server's if the author's cannot be true, and both are
/// named if they are far apart.
pub(crate) fn words(client: &HttpMessenger, m: &MessageContent) -> String {
    let who = if m.outgoing { "you".to_owned() } else { titled(client, &m.actor) };
    let place = match (is_group(&m.conversation), m.outgoing) {
        (true, _) => format!(" in {}", conversation(client, &m.conversation)),
        (false, true) => format!(" to {}", conversation(client, &m.conversation)),
        (false, false) => String::new(),
    };
    let indented = m.text.replace('\n', "\n    ");
    let (shown, far) = (clock(m.time_ms()), far_apart(m));
    let mut text = format!("{shown}{far}  {who}{place}: {indented}");
    for file in &m.attachments {
        let id = bare_id(&m.id);
        text.push_str(&format!("\n    file {:?}, {} bytes: eko attachments save {id}", file.name, file.size));
    }
    if let Some(warning) = &m.warning {
        // What a device of the user wrote before the user revoked it is nothing to beware of.
        let mark = if m.outgoing { "Note" } else { "BEWARE" };
        text.push_str(&format!("\n    {mark}: {warning}"));
    }
    text
}

/// Returns the other time of a message if the time that its author states and that of its receipt are far
/// apart, or nothing.
fn far_apart(m: &MessageContent) -> String {
    if m.time_ms() != m.published_ms {
        let whose = if m.outgoing { "your" } else { "their" };
        return format!(" ({whose} clock said {})", clock(m.published_ms));
    }
    match m.received_ms.saturating_sub(m.published_ms) > FAR_MS {
        true if m.outgoing => format!(" (sent {})", clock(m.received_ms)),
        true => format!(" (came {})", clock(m.received_ms)),
        false => String::new(),
    }
}

/// Returns a notice as text, or `None` if it is of no interest to a person. A warning of something
/// dangerous begins with `BEWARE`.
pub(crate) fn notice(client: &HttpMessenger, notice: &Notice) -> Option<String> {
    let text = news(client, notice)?;
    Some(match notice.severity() {
        Severity::Warning => format!("BEWARE: {text}"),
        Severity::News | Severity::Attention => text,
    })
}

/// The warning that this device's keys at the server were replaced.
const KEYS_REPLACED: &str = "the server had keys of this device that it did not make, and has new ones now. If you have not restored \
     this device's folder from a copy, somebody else may have one: revoke this device";

/// The notice that the server could not be told of everybody whom the user knows.
const KNOWN_UNTOLD: &str = "your server could not be told of everybody whom you know: what some of them write may come as a request, or \
     not at all. Places become free in some days, of former members of groups and of what a device that you have revoked \
     has told. Until then leave groups in which you do not know the people, or let everyone write: eko settings \
     --who-may-write everyone";
/// The notice that the server has no room for more groups.
const RECORDS_FULL: &str = "your server has no room for more groups: a device that you add does not have your newest groups by itself. \
     Leave those that you need no longer: eko groups leave GROUP";

fn news(client: &HttpMessenger, notice: &Notice) -> Option<String> {
    let name = |actor: &str| named(client, actor);
    Some(match notice {
        Notice::Settled(envelope) => return settled(client, envelope),
        Notice::DeviceWaits(waiting) => format!(
            "A device{} asks to be yours. If you have signed in with it: eko devices approve, and enter the code \
             that it shows\n  if it is not yours: eko devices turn-away {}",
            waiting.name.as_ref().map(|name| format!(" that calls itself {name:?}")).unwrap_or_default(),
            waiting.device.id
        ),
        Notice::Read { actor, id, before } => {
            let before = match before {
                0 => String::new(),
                count => format!(", and {count} before"),
            };
            format!("{} has read {}{before}", name(actor), excerpt(client, id)?)
        }
        Notice::Typing { actor, conversation } if actor == conversation => {
            format!("{} is writing to you", name(actor))
        }
        Notice::Typing { actor, conversation: group } => {
            format!("{} is writing to {}", name(actor), conversation(client, group))
        }
        // What was said before is shown no more.
        Notice::TypingEnded { .. } => return None,
        Notice::Request { actor } => {
            format!("{} wrote to you, and you have never written to them: eko requests", name(actor))
        }
        Notice::Missed { actor, ids } => {
            let what: Vec<String> = ids.iter().filter_map(|id| excerpt(client, id)).collect();
            format!("{} has not received {}; send it again", name(actor), what.join(", "))
        }
        Notice::NotRead { actor, id } => {
            format!("{} could not read {}; send it again", name(actor), excerpt(client, id)?)
        }
        Notice::Moved { actor, to } if *actor == client.me().actor() => format!(
            "you have moved to {to}: another device of yours has signed it. This account sends nothing any more. To go \
             on: eko login {to}. If it was not you, somebody has a device of yours",
            to = Person::of(to).map_or_else(|| to.clone(), |to| to.handle().to_string())
        ),
        Notice::Moved { actor, to } => format!(
            "{} has moved to {}: their devices have signed it. What you write to them goes there from now on",
            name(actor),
            name(to)
        ),
        Notice::Forged { actor, count } => format!(
            "{} got {count} envelopes in your name that this device has not sent: a server has made them up, or \
             this device's folder was restored from an old copy. They could not read them",
            name(actor)
        ),
        Notice::Unreadable { actor, why: why @ UnreadableReason::RevokedDevice } => {
            format!("Something of {} that is no message does not count: {why}", name(actor))
        }
        Notice::Awaited { actor } => format!(
            "A message of {} cannot be decrypted. Their device is asked to send it again, and its place is kept",
            name(actor)
        ),
        Notice::Unreadable { actor, why: why @ UnreadableReason::UndecryptableReceipt(_) } => format!(
            "Something of {} that is no message, as a receipt, cannot be read: {why}. No message is lost with it",
            name(actor)
        ),
        Notice::Unreadable { actor, why: why @ UnreadableReason::Undecryptable(_) }
            if client.knows_as_stranger(actor).unwrap_or_default() =>
        {
            format!(
                "A message of {who} cannot be read: {why}. Once you have accepted, their program is asked to send it \
                 again: eko requests accept {who}",
                who = name(actor)
            )
        }
        Notice::Unreadable { actor, why: why @ UnreadableReason::Undecryptable(_) } => {
            format!("A message of {} cannot be read: {why}. Ask them to send it again", name(actor))
        }
        Notice::Unreadable { actor, why: UnreadableReason::Malformed(fault) } => format!(
            "A message of {} cannot be read: their program has made it wrongly ({})",
            name(actor),
            fault.in_words()
        ),
        Notice::Unreadable { actor, why } => format!("A message of {} cannot be read: {why}", name(actor)),
        Notice::Refused { actor, why } if *actor == client.me().actor() => format!(
            "a message that seems to come from another device of yours is not taken: {}. eko devices",
            why.about_own()
        ),
        Notice::Refused { actor, why } => {
            format!(
                "a message that seems to come from {who} is not taken: {why}. eko verify {who}",
                who = name(actor)
            )
        }
        Notice::Contradiction { seen_by, of } if *of == client.me().actor() => format!(
            "{} was shown other devices of yours than this device was: one of the two lists is false. eko devices",
            name(seen_by)
        ),
        Notice::Contradiction { seen_by, of } => format!(
            "{} was shown other devices of {of} than this device was: one of the two lists is false. Compare \
             numbers: eko verify {of}",
            name(seen_by),
            of = name(of)
        ),
        // The command says by itself that the device has ended.
        Notice::Distrusted { why: Distrust::OwnReset, .. } if client.is_revoked().unwrap_or_default() => {
            return None;
        }
        Notice::Distrusted { actor, why } if *actor == client.me().actor() => {
            format!("nothing is sent to your other devices: {}. eko devices", why.about_own())
        }
        Notice::Distrusted { actor, why: why @ Distrust::Lost { .. } } => {
            format!("{}: {why}. Compare numbers: eko verify {0}", name(actor))
        }
        Notice::Distrusted { actor, why } => {
            let who = name(actor);
            format!("nothing is sent to {who} while this is so: {why}. eko verify {who}")
        }
        Notice::KeyCopied { added, removed, .. } => format!(
            "your devices: {} with the key of this device, which has not done it. Somebody has a copy of the key, \
             or this device's folder was restored from an old copy. Unless it was restored, revoke this device: \
             eko devices",
            added_and_removed(added, removed)
        ),
        Notice::DevicesChanged { actor, added, reset: true, .. } => format!(
            "all devices of {who} were replaced at once by {}: they have lost them all, or somebody takes their \
             place. Nothing is sent to them until you have compared numbers, or accepted this: eko verify {who}",
            short_ids(added),
            who = name(actor),
        ),
        Notice::DevicesChanged { removed, .. } if removed.contains(&client.device().address()) => format!(
            "this device was revoked by another device of yours: it neither reads nor sends any more. What it has kept \
             stays: eko history. To go on here: eko login {} --anew",
            client.me().handle()
        ),
        Notice::DevicesChanged { actor, added, removed, .. } => {
            devices_changed(&name(actor), *actor == client.me().actor(), added, removed)
        }
        Notice::KeysReplaced => KEYS_REPLACED.to_owned(),
        Notice::KnownUntold => KNOWN_UNTOLD.to_owned(),
        Notice::RecordsFull { unreadable: 0 } => RECORDS_FULL.to_owned(),
        Notice::RecordsFull { unreadable } => format!(
            "your server has no room for more groups, because {unreadable} entries lie there that none of your devices \
             can read, as a device that you have revoked may leave them. This device deletes them within two days. Until \
             then a device that you add does not have your newest groups by itself"
        ),
        Notice::Waits { actor, why } => format!("Something from {} waits at your server: {why}", name(actor)),
        Notice::Group { id, by, event, difference } => {
            let what = differences(client, difference);
            let what = if what.is_empty() { String::new() } else { format!(": {}", what.join(", ")) };
            let is_own = *by == client.me().actor();
            let (group, typed) = (conversation(client, id.as_str()), group_argument(client, id.as_str()));
            match event {
                GroupEvent::Replaced { change, of, lost } => {
                    let what = if what.is_empty() { format!(": {change}") } else { what };
                    let (of, lost) = (undone::of_maker(client, of), undone::not_done(client, lost));
                    format!(
                        "{} changed the group {group}, in place of a change{of}{what}{lost}",
                        named_or_you(client, by)
                    )
                }
                GroupEvent::Undone { change, remedy, holds } => {
                    let lost = undone::not_done(client, difference);
                    let next = undone::next(client, *remedy, difference, &typed);
                    let holds = holds.as_ref().map(|holds| differences(client, holds));
                    undone::told(&name(by), &group, *change, holds, &format!("{lost}. {next}"))
                }
                GroupEvent::Prevailed(change) => {
                    let by = name(by);
                    let lost = undone::not_done(client, difference);
                    format!(
                        "{by} and you changed the group {group} at the same time. Your change holds, and that of \
                         {by} ({change}) does not{lost}"
                    )
                }
                GroupEvent::Conflict => undone::conflict(client, id, by, &group, &typed, &what),
                GroupEvent::Held(HeldReason::NotJoined) => {
                    let outside = held::outside(client, id.as_str());
                    format!("Something of {} is held for the group {group}: {outside}", name(by))
                }
                event => group_news(&name(by), &group, &typed, is_own, event, &what),
            }
        }
    })
}

/// Returns the beginnings of the ids of devices.
fn short_ids(devices: &[String]) -> String {
    let short = |device: &String| {
        let id = device.rsplit('/').next().unwrap_or_default();
        id.split('-').next().unwrap_or_default().to_owned()
    };
    devices.iter().map(short).collect::<Vec<_>>().join(", ")
}

/// Returns the devices that were added and removed in words, with the beginnings of their ids.
pub(crate) fn added_and_removed(added: &[String], removed: &[String]) -> String {
    let part = |verb: &str, devices: &[String]| {
        (!devices.is_empty()).then(|| format!("{verb} {}", short_ids(devices)))
    };
    let parts = [part("added", added), part("removed", removed)];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

/// Returns the change of somebody's devices in words.
fn devices_changed(who: &str, own: bool, added: &[String], removed: &[String]) -> String {
    let (whose, next) = match own {
        true => ("your devices".to_owned(), "eko devices".to_owned()),
        false => (format!("the devices of {who}"), format!("eko verify {who}")),
    };
    format!("{whose}: {}. Is that right? {next}", added_and_removed(added, removed))
}

fn settled(client: &HttpMessenger, envelope: &OutboxEnvelope) -> Option<String> {
    if envelope.recipient == client.me().actor() && envelope.state != EnvelopeState::Refused {
        return None;
    }
    let (who, what) = (named(client, &envelope.recipient), excerpt(client, &envelope.message)?);
    let reason = envelope.reason.as_deref().unwrap_or("their server refused it");
    match envelope.state {
        EnvelopeState::Delivered => Some(format!("{who} has {what}")),
        EnvelopeState::Accepted => {
            Some(format!("{who}'s server has {what} now{}", full_note(&who, envelope)))
        }
        EnvelopeState::Queued | EnvelopeState::ToSend => None,
        EnvelopeState::Failed => Some(format!("{what} cannot be sent to {who}: {reason}")),
        EnvelopeState::Refused => Some(format!("{what} was not sent to {who}: {reason}. eko verify {who}")),
    }
}

/// Returns the addition to a sentence about an envelope that names the devices which do not get it,
/// because their mailboxes are full. It is empty if there are none.
pub(crate) fn full_note(who: &str, envelope: &OutboxEnvelope) -> String {
    let devices: Vec<String> = envelope.full_devices.iter().cloned().collect();
    match short_ids(&devices).as_str() {
        "" => String::new(),
        ids => format!("; {who} does not get it on {ids}: not fetched for long, the mailbox is full"),
    }
}

/// Returns the differences of two states of a group in words, each with the names.
fn differences(client: &HttpMessenger, difference: &GroupDifference) -> Vec<String> {
    let GroupDifference { added, removed, promoted, demoted, name, former_name, rekeyed } = difference;
    let mut words = Vec::new();
    let lists = [
        (added, "new in it"),
        (removed, "not in it any more"),
        (promoted, "an admin now"),
        (demoted, "no admin any more"),
    ];
    for (actors, what) in lists {
        words.extend(actors.iter().map(|actor| format!("{} {what}", somebody_is(client, actor))));
    }
    let renamed = name.as_ref().zip(former_name.as_ref());
    words.extend(renamed.map(|(name, former)| format!("its name was {former:?} and is {name:?}")));
    if *rekeyed {
        words.push("its key is another".to_owned());
    }
    words
}

/// Returns an event in a group as a sentence. `typed` is what the user types for the group, and `what`
/// is what differs now.
fn group_news(by: &str, group: &str, typed: &str, is_own: bool, event: &GroupEvent, what: &str) -> String {
    let maker = if is_own { "you" } else { by };
    match event {
        GroupEvent::Changed(_) if !what.is_empty() => format!("{maker} changed the group {group}{what}"),
        GroupEvent::Refused(why) => format!("a change of the group {group} by {maker} does not count: {why}"),
        GroupEvent::Changed(_)
        | GroupEvent::Replaced { .. }
        | GroupEvent::Undone { .. }
        | GroupEvent::Prevailed(_)
        | GroupEvent::Conflict
        | GroupEvent::Held(HeldReason::NotJoined) => {
            format!("{maker} changed the group {group}: {}", group_event(event))
        }
        GroupEvent::Invited => format!(
            "{by} invites you to the group {group}: eko groups, and then eko groups join {typed} or eko groups \
             decline {typed}"
        ),
        GroupEvent::Joined if is_own => format!("you have joined the group {group} on another device"),
        GroupEvent::Joined => format!("{by} has joined the group {group}"),
        GroupEvent::NotTold => format!(
            "{by} could not be told of the last change of the group {group} for {TOLD_FOR_DAYS} days, and is told no \
             more, unless {by} writes there. If nobody uses that account: eko groups remove {typed} {by}"
        ),
        GroupEvent::TwoStories => {
            format!(
                "{by} tells different members of the group {group} different things. Ask the others who is in it, \
                 and compare: eko groups show {typed}"
            )
        }
        GroupEvent::UnseenAdmin => format!(
            "{by} changes the group {group} as an admin, and this device has not seen how {by} became one, though \
             the grants are right: something was withheld from it. Ask {by}. To follow: eko groups join {typed} --by \
             {by}"
        ),
        GroupEvent::Behind => format!(
            "{by} goes on in another state of the group {group} than this device: they may not know who is in it now"
        ),
        GroupEvent::Held(HeldReason::Ahead) => {
            format!("Something of {by} for the group {group} is held, until what came before it arrives")
        }
        GroupEvent::Held(HeldReason::UnknownAuthor) => format!(
            "a change of the group {group} is held, because the device of {by} that made it is not known yet"
        ),
        GroupEvent::Held(HeldReason::NotMember) => format!(
            "A message of {by} to the group {group} is held: {by} is not in it. It is shown once an admin adds them: \
             eko groups add {typed} {by}"
        ),
        GroupEvent::Held(HeldReason::Reset) => format!(
            "a change of the group {group} is held, because all devices of {by} were replaced: eko verify {by}"
        ),
    }
}

/// Returns an event in a group in a word or a few.
fn group_event(event: &GroupEvent) -> String {
    match event {
        GroupEvent::Changed(change) => change.to_string(),
        GroupEvent::Replaced { change, .. } => format!("{change}, in place of another change"),
        GroupEvent::Undone { change, .. } => format!("undone: {change}"),
        GroupEvent::Refused(why) => format!("refused: {why}"),
        GroupEvent::Invited => "invited".to_owned(),
        GroupEvent::Joined => "joined".to_owned(),
        GroupEvent::Prevailed(change) => format!("outdone: {change}"),
        GroupEvent::UnseenAdmin => "unseen admin".to_owned(),
        GroupEvent::Conflict => "conflict".to_owned(),
        GroupEvent::TwoStories => "two stories".to_owned(),
        GroupEvent::Behind => "behind".to_owned(),
        GroupEvent::NotTold => "not told".to_owned(),
        GroupEvent::Held(why) => format!("held: {}", held_word(*why)),
    }
}

/// Returns the beginning of a message of this user in quotation marks, or `None` if this device does
/// not have the message.
fn excerpt(client: &HttpMessenger, id: &str) -> Option<String> {
    let message = client.message(&client.me().actor(), id).ok().flatten()?;
    Some(excerpt_of(&message.content.text))
}

/// Returns the beginning of a text in quotation marks.
pub(crate) fn excerpt_of(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let cut: String = line.chars().take(EXCERPT_CHARS).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("\u{201c}{cut}{more}\u{201d}")
}

/// Returns a moment, in epoch milliseconds, in the time zone of this machine: `2026-01-29 19:30`.
pub(crate) fn clock(ms: i64) -> String {
    local(ms).strftime("%Y-%m-%d %H:%M").to_string()
}

/// Returns the time of day of a moment, in epoch milliseconds: `19:30:05`.
pub(crate) fn clock_with_seconds(ms: i64) -> String {
    local(ms).strftime("%H:%M:%S").to_string()
}

fn local(ms: i64) -> Zoned {
    Timestamp::from_millisecond(ms).unwrap_or_default().to_zoned(TimeZone::system())
}
