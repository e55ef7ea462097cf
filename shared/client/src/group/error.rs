//! The reasons for which a group is not changed.

use eko_protocol::Invalid;

use super::GroupChange;

/// A reason for which a group is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Only an admin may make the change, and this actor is none.
    #[error("{0} is not an admin of the group")]
    NotAdmin(String),
    /// Only a member can make the change or be the object of it, and this actor is none.
    #[error("{0} is not a member of the group")]
    NotMember(String),
    /// The last admin of a group that has other members wants to leave.
    #[error("the last admin makes someone else an admin before leaving")]
    LastAdmin,
    /// A member wants to remove itself, instead of leaving.
    #[error("nobody removes oneself: leave the group instead")]
    RemovesOneself,
    /// The change would change nothing.
    #[error("that would change nothing")]
    Unchanged,
    /// The new state would break a rule.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The control names this actor as its author, but another actor sent it, or another device of
    /// this actor.
    #[error("it says that {0} made it, who did not send it from this device")]
    OtherAuthor(String),
    /// The control belongs to another group than the record that it is judged by.
    #[error("it is of another group")]
    OtherGroup,
    /// The group was changed meanwhile, and the change was made for its former state.
    #[error("the group was changed meanwhile")]
    Stale,
    /// The control is for an epoch that is too far from the current one.
    #[error("it is too many epochs ahead")]
    TooFarAhead,
    /// The control is of another history of the group than the one that this device follows.
    #[error("it builds on another history of the group")]
    OtherHistory,
    /// The MAC is wrong: the author does not have the group's key, or the control was changed on
    /// its way.
    #[error("it was not made with the group's key")]
    WrongMac,
    /// The signature is not that of the device that sent the control.
    #[error("it was not signed by the device that sent it")]
    WrongSignature,
    /// The device that sent the control was revoked by its user.
    #[error("it comes from a device that was revoked")]
    RevokedDevice,
    /// Several invitations to the group do not follow from each other, and each of them is proven.
    #[error("several people invite to it, and they do not agree: choose whom to follow")]
    SeveralInvitations,
    /// The grant by which this actor would be an admin was not signed by the device that it names.
    #[error("nothing proves that {0} was made an admin")]
    FalseGrant(String),
    /// The new state differs from the one before in something that the named change does not cover.
    #[error("it changes something that \"{0}\" does not change")]
    NotThatChange(GroupChange),
    /// The control belongs to an unknown group, and its state does not have this user as a member.
    #[error("it is of a group that this user is not in")]
    NotForMe,
}
