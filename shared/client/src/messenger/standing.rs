//! The standing of a sender: what this device knows of the user and of the sending device.

use super::Trust;
use super::contact::Contact;

/// The standing of the device that sent an activity, by the pinned chain of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// An active device of this user.
    Own,
    /// An active device of a contact whose chain is accepted.
    Accepted,
    /// An active device of somebody whom this user has not accepted as a contact. Members of this user's
    /// groups are among them, who are no strangers there.
    Stranger,
    /// A device of a user whose devices were all replaced, which this user has not accepted.
    Reset,
    /// A device that such a user had before. The replacement may be false, so the device is not taken
    /// for a revoked one; or it was lost, so it is not trusted either.
    Former,
    /// A device that its user has revoked, or that a reset has replaced, which stands if this user has accepted
    /// it or has first seen the chain after it.
    Revoked,
}

impl Standing {
    /// Returns the standing of the device with this address. `me` is this user's actor id.
    pub(super) fn of(contact: &Contact, device: &str, me: &str) -> Self {
        if contact.trust() == Trust::Reset && contact.active_before_reset().contains(device) {
            Self::Former
        } else if !contact.active().contains(device) {
            Self::Revoked
        } else if contact.person.actor() == me {
            Self::Own
        } else if contact.trust() == Trust::Reset {
            Self::Reset
        } else if contact.pinned.contact {
            Self::Accepted
        } else {
            Self::Stranger
        }
    }

    /// True if nothing but notes and controls of the device counts: its user has revoked it, or all
    /// devices of its user were replaced, and this user has not accepted that.
    pub(super) fn is_in_doubt(self) -> bool {
        match self {
            Self::Own | Self::Accepted | Self::Stranger => false,
            Self::Reset | Self::Former | Self::Revoked => true,
        }
    }

    /// Returns a warning for the reader of what the device with this address has sent, if there is one. `me` is
    /// this user's actor id.
    pub(super) fn warning(self, contact: &Contact, device: &str, me: &str) -> Option<String> {
        let own = contact.person.actor() == me;
        match self {
            Self::Own | Self::Accepted | Self::Stranger => None,
            Self::Reset => Some(
                "all their devices were replaced, and you had not said then that this is right".to_owned(),
            ),
            Self::Former => Some(
                "it comes from one of the devices that you knew; all of them were replaced, and you had not \
                 said then that this is right"
                    .to_owned(),
            ),
            // Nobody can tell what it wrote before the reset from what somebody writes who has it now.
            Self::Revoked if contact.was_reset(device) => {
                let whose = if own { "yours" } else { "theirs" };
                Some(format!("it comes from a device that a reset of {whose} has replaced"))
            }
            Self::Revoked if own => Some("it comes from a device that you have revoked".to_owned()),
            Self::Revoked => Some("it comes from a device that they have revoked".to_owned()),
        }
    }
}
