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
    /// The control names this actor as its author, but another actor sent it.
    #[error("it says that {0} made it, who did not send it")]
    OtherAuthor(String),
    /// The control belongs to another group than the record that it is judged by.
    #[error("it is of another group")]
    OtherGroup,
    /// The control is for an older epoch than the current one.
    #[error("it is older than the group's state")]
    Stale,
    /// The control follows a state that this device does not know.
    #[error("it builds on another history of the group")]
    OtherHistory,
    /// The MAC is wrong: the author does not have the group's key, or the control was changed on
    /// its way.
    #[error("it was not made with the group's key")]
    WrongMac,
    /// The new state differs from the one before in something that the named change does not cover.
    #[error("it changes something that \"{0}\" does not change")]
    NotThatChange(GroupChange),
    /// The control belongs to an unknown group, and its state does not have this user as a member.
    #[error("it is of a group that this user is not in")]
    NotForMe,
}
