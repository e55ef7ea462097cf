//! Held activities, in words.

use eko_client::store::HeldReason;

use crate::context::HttpMessenger;
use crate::people::group_argument;

/// Returns the word for the reason for which something is held.
pub(crate) fn held_word(why: HeldReason) -> &'static str {
    match why {
        HeldReason::Ahead => "ahead",
        HeldReason::NotJoined => "not-joined",
        HeldReason::Reset => "reset",
        HeldReason::UnknownAuthor => "unknown-author",
        HeldReason::NotMember => "not-member",
    }
}

/// Returns the way into a group that the user is not in, in words.
pub(super) fn outside(client: &HttpMessenger, group: &str) -> String {
    let invitations = client.invitations().unwrap_or_default();
    if invitations.iter().any(|it| it.state.id().as_str() == group && !it.other_history) {
        let typed = group_argument(client, group);
        return format!("you have not joined it: eko groups join {typed} or eko groups decline {typed}");
    }
    let groups = client.groups().unwrap_or_default();
    match groups.iter().find(|it| it.state.id().as_str() == group).map(|it| it.member) {
        Some(true) => "you are in it now, and what was held is read with the next eko listen".to_owned(),
        Some(false) => {
            "you are not in it any more, so it is not read unless an admin adds you again".to_owned()
        }
        None if client.was_reset().unwrap_or_default() => {
            "a reset of your account has ended your part in it, so an admin of it has to remove you and add you \
             again"
                .to_owned()
        }
        None if client.former_account().is_ok_and(|left| left.is_some()) => {
            "this account is not in it: if the one that you have left is, an admin of it has to add this one"
                .to_owned()
        }
        None => "this device does not have the group yet, and gets it with the next change of it".to_owned(),
    }
}

/// Returns the reason for which something of somebody is held, in words.
pub(crate) fn held_reason(client: &HttpMessenger, group: &str, why: HeldReason, who: &str) -> String {
    match why {
        HeldReason::Ahead => "what came before it has not arrived yet".to_owned(),
        HeldReason::NotJoined => outside(client, group),
        HeldReason::Reset => format!("all devices of {who} were replaced: eko verify {who}"),
        HeldReason::UnknownAuthor => format!("a member forwards it, and the devices of {who} are not known"),
        HeldReason::NotMember => {
            format!("{who} is not in the group, and it is shown once an admin adds them")
        }
    }
}
