use eko_protocol::Invalid;

use super::GroupChange;

/// Why a group is not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// Only admins may do that; the actor id of who is none.
    #[error("{0} is not an admin of the group")]
    NotAdmin(String),
    /// Only a member can do that, or have it done; the actor id of who is none.
    #[error("{0} is not a member of the group")]
    NotMember(String),
    /// The last admin of a group with other members would leave.
    #[error("the last admin makes someone else an admin before leaving")]
    LastAdmin,
    /// A member cannot be removed by itself.
    #[error("nobody removes oneself: leave the group instead")]
    RemovesOneself,
    /// It is so already.
    #[error("that would change nothing")]
    Unchanged,
    /// The state would break a rule.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// The control says that another made it than who sent it; the actor id it names.
    #[error("it says that {0} made it, who did not send it")]
    OtherAuthor(String),
    /// The control is of another group than the one that it is compared with.
    #[error("it is of another group")]
    OtherGroup,
    /// The control is older than what is known.
    #[error("it is older than the group's state")]
    Stale,
    /// The control builds on another state than the ones that are known.
    #[error("it builds on another history of the group")]
    OtherHistory,
    /// The control was made by someone without the group's key, or changed under way.
    #[error("it was not made with the group's key")]
    WrongMac,
    /// The state differs from the one before by something else than the change that is named.
    #[error("it changes something that \"{0}\" does not change")]
    NotThatChange(GroupChange),
    /// The control is of a group that is not known, and its state does not have this user as a member.
    #[error("it is of a group that this user is not in")]
    NotForMe,
}
