//! Changes of a group that were undone, and histories that have met, in words.

use eko_client::group::{GroupChange, GroupDifference, GroupId, Remedy};
use eko_client::messenger::Invitation;

use crate::context::HttpMessenger;
use crate::people::{named, somebody_is};

/// Returns the parts of a change that do not hold, as an addition to a sentence. It is empty if there
/// are none.
pub(super) fn not_done(client: &HttpMessenger, lost: &GroupDifference) -> String {
    let GroupDifference { added, removed, promoted, demoted, name, rekeyed, .. } = lost;
    let lists =
        [(added, "not in it"), (removed, "still in it"), (promoted, "no admin"), (demoted, "still an admin")];
    let mut words = Vec::new();
    for (actors, what) in lists {
        words.extend(actors.iter().map(|actor| format!("{} {what}", somebody_is(client, actor))));
    }
    words.extend(name.as_ref().map(|name| format!("its name is not {name:?}")));
    if *rekeyed {
        words.push("its key is not renewed".to_owned());
    }
    if words.is_empty() { String::new() } else { format!("; not done: {}", words.join(", ")) }
}

/// Returns the user of a device, as an addition to "a change".
pub(super) fn of_maker(client: &HttpMessenger, device: &str) -> String {
    let actor = device.split_once("/device/").map(|(actor, _)| actor);
    let of = |actor: &str| match actor == client.me().actor() {
        true => " of yours".to_owned(),
        false => format!(" of {}", named(client, actor)),
    };
    actor.map(of).unwrap_or_default()
}

/// Returns a change of the user that does not hold as a sentence. `holds` is what the change of `by` makes,
/// if both were made of one state, and `rest` is what follows.
pub(super) fn told(
    by: &str,
    group: &str,
    change: GroupChange,
    holds: Option<Vec<String>>,
    rest: &str,
) -> String {
    let Some(holds) = holds else {
        return format!("your change of the group {group} ({change}) does not hold after one of {by}{rest}");
    };
    let both = format!("{by} and you changed the group {group} at the same time. The change of {by} holds");
    match holds.is_empty() {
        true => format!("{both}{rest}"),
        false => format!("{both}: {}{rest}", holds.join(", ")),
    }
}

/// Returns what comes of a change that does not hold. `lost` is what does not hold of it, and `typed` is
/// what the user types for the group.
pub(super) fn next(client: &HttpMessenger, remedy: Remedy, lost: &GroupDifference, typed: &str) -> String {
    let added: Vec<String> = lost.added.iter().map(|actor| named(client, actor)).collect();
    let added = added.join(" ");
    match remedy {
        Remedy::ByUser if !added.is_empty() => {
            format!("Your invitation may have come all the same: eko groups add {typed} {added}")
        }
        Remedy::Again => "This device makes it again by itself".to_owned(),
        Remedy::ByUser => "Make yours again if you still want it".to_owned(),
        Remedy::ByAdmin => "You are no admin now: ask an admin to make it".to_owned(),
        Remedy::AnotherAdmin => format!(
            "You are the only admin, so you are still in it. Make somebody an admin, and this device leaves by \
             itself: eko groups promote {typed} WHO"
        ),
    }
}

/// Returns the meeting of two histories of a group as a sentence. The other one can be chosen only if
/// this device has it.
pub(super) fn conflict(
    client: &HttpMessenger,
    id: &GroupId,
    by: &str,
    group: &str,
    typed: &str,
    what: &str,
) -> String {
    let invitations = client.invitations().unwrap_or_default();
    let is_kept = |it: &Invitation| it.other_history && it.by == by && it.state.id() == id;
    let by = named(client, by);
    let choice = match invitations.iter().any(is_kept) {
        true => format!("to follow {by}: eko groups join {typed} --by {by}"),
        false => format!("this device does not have {by}'s history, so it cannot be followed now"),
    };
    format!(
        "{by} has another history of the group {group} than this device{what}. Ask the others which is right, and \
         compare: eko groups; {choice}"
    )
}
