//! Conversions of the client library's errors into a [`CommandFailure`]: the words for a person,
//! the kind, and what to do next.

use eko_client::group::GroupError;
use eko_client::messenger::{Distrust, MessengerError, Person};
use eko_client::store::{DeviceStoreError, StoreFault};
use eko_client::{ClientError, ProblemDetails, TransportError};

use super::{CommandFailure, Exit, STORE};
use crate::clock;
use crate::counted::span;
use crate::oidc::OidcError;

/// The next step of a person whose device cannot be used any more.
const ANEW: &str =
    "eko login NAME --anew, which makes a new device and takes over messages, people and groups";

impl From<DeviceStoreError> for CommandFailure {
    fn from(error: DeviceStoreError) -> Self {
        let failure = Self::new(&error);
        match error.fault() {
            StoreFault::Damaged => {
                failure.next("eko recover, which sets the file aside and keeps what can be read of it")
            }
            StoreFault::Emptied => failure.next(
                "put a copy of it back, if you have one; or eko recover, and then eko login NAME, which makes a \
                 new device",
            ),
            StoreFault::Unopenable => {
                failure.next(format!(
                    "look who may read and write {STORE} and its folder, and whether their disk is mounted to be written"
                ))
            }
            StoreFault::ReadOnly => failure
                .next(format!("make {STORE}, its folder and its disk writable; eko history works meanwhile")),
            StoreFault::Full => failure.next("make room on the disk; eko history works meanwhile"),
            StoreFault::Busy => failure.next("end the other eko, or try again").exit(Exit::TryLater),
            StoreFault::Newer => failure.next("install the eko that wrote it, or a newer one"),
            StoreFault::Older => failure
                .next("eko export with the eko that wrote it, and then eko login NAME --anew with this one"),
            StoreFault::Refused => {
                failure.next("report this: the program is at fault, and nothing was changed")
            }
        }
    }
}

impl From<ClientError> for CommandFailure {
    fn from(error: ClientError) -> Self {
        MessengerError::from(error).into()
    }
}

impl From<MessengerError> for CommandFailure {
    fn from(error: MessengerError) -> Self {
        if is_of_clock(&error) {
            return Self::new(described(&error)).next(clock::REMEDY).exit(Exit::TryLater);
        }
        if let Some(seconds) = error.retry_after_s() {
            let what = match seconds {
                0 => described(&error),
                seconds => format!("{}; the server asks to wait for {}", described(&error), span(seconds)),
            };
            return Self::new(what).next_after("try again", seconds).exit(Exit::TryLater);
        }
        let error = match error {
            MessengerError::Store(error) => return error.into(),
            other => other,
        };
        match &error {
            // Whatever has ended a device, its person is told the same, and does the same.
            MessengerError::Revoked | MessengerError::Distrust { why: Distrust::OwnReset, .. } => {
                Self::new(MessengerError::Revoked).next(format!(
                    "{ANEW}. If you have neither revoked it nor reset your account, somebody else has, or your server \
                     deceives you"
                ))
            }
            MessengerError::AccountDeleted => Self::new(&error).next(
                "eko history, for the messages that are kept here; or eko login with another name, if you want a \
                 new account",
            ),
            MessengerError::PersonDeleted(_) => {
                Self::new(&error).next("eko history, for what you have of them; nobody else gets the name")
            }
            MessengerError::PersonMoved(to) => Self::new(&error).next(format!("eko send {to} TEXT")),
            MessengerError::AccountMoved(to) => Self::new(&error).next(next_of_moved(to)),
            MessengerError::AwaitsMove { from, to, is_left } => {
                let (from, to) = (from.trim_start_matches('@'), to.trim_start_matches('@'));
                let given_up = match is_left {
                    false => format!("; or eko --as {to} account delete, which gives it up"),
                    true => String::new(),
                };
                Self::new(&error)
                    .next(format!("eko --as {from} account move {to}, which goes on with it{given_up}"))
            }
            MessengerError::NotNew => Self::new(&error)
                .next("eko account move with a name that nobody has, and nobody has had")
                .exit(Exit::Usage),
            MessengerError::Distrust { actor, why } => {
                let who = handle(actor);
                Self::new(format!("{who}: {why}")).next(format!("eko verify {who}")).exit(Exit::NotTrusted)
            }
            MessengerError::Client(ClientError::FalseChain { .. } | ClientError::Untrusted(_)) => {
                Self::new(&error).exit(Exit::NotTrusted)
            }
            MessengerError::Client(ClientError::Unfetchable(_)) => Self::new(&error)
                .next("--local-server URL, if it is a server of yours on this machine")
                .exit(Exit::Usage),
            MessengerError::IdToken(_) => Self::new(&error)
                .next("sign in once more; if that fails too, ask whoever runs the server")
                .exit(Exit::NotTrusted),
            MessengerError::Forgotten => {
                let local = "A server on this machine forgets everything if it runs without --data";
                Self::new(format!("{error}. {local}")).next(ANEW)
            }
            MessengerError::Blocked(actor) => {
                let who = handle(actor);
                Self::new(format!("you block {who}, so that no answer would reach you"))
                    .next(format!("eko unblock {who}"))
            }
            MessengerError::BlockedDomain { actor, domain } => Self::new(format!(
                "you block everybody at {domain}, so that no answer of {} would reach you",
                handle(actor)
            ))
            .next(format!("eko unblock {domain}")),
            MessengerError::ResetHere => Self::new(&error).next(
                "eko devices revoke ID, for one that you have lost; or eko login NAME --anew --reset, which \
                 revokes all your devices, this one too",
            ),
            MessengerError::NothingToReset => {
                Self::new(&error).next("eko login NAME, if this is your first device")
            }
            MessengerError::Pending => Self::new(&error).next(
                "eko devices approve, on that one; it asks for the joining code that eko whoami shows here. \
                 If you have lost all the others: eko login NAME --anew --reset",
            ),
            MessengerError::UnknownJoiningCode { waiting: 0 } => {
                Self::new(&error).next("eko login NAME, on the new one").exit(Exit::Usage)
            }
            MessengerError::UnknownJoiningCode { .. } => Self::new(&error)
                .next(
                    "compare the code with what the new device shows, and if it is the same, do not approve",
                )
                .exit(Exit::NotTrusted),
            MessengerError::SharedJoiningCode(_) => Self::new(&error)
                .next("eko devices turn-away ID for each, and sign in again with your new device")
                .exit(Exit::NotTrusted),
            MessengerError::NotDone(_) => {
                Self::new(&error).next("eko devices, and ask whoever runs the server").exit(Exit::NotTrusted)
            }
            MessengerError::Group(GroupError::NotAdmin(actor)) => {
                Self::new(format!("{} is not an admin of the group", handle(actor)))
                    .next("eko groups show NAME, which names the admins")
            }
            MessengerError::Group(GroupError::NotMember(actor)) => {
                Self::new(format!("{} is not a member of the group", handle(actor)))
                    .next("eko groups show NAME, which names the members")
                    .exit(Exit::Usage)
            }
            MessengerError::Group(GroupError::LastAdmin) => {
                Self::new(&error).next("eko groups promote NAME @whom")
            }
            MessengerError::Group(GroupError::Unchanged) => {
                Self::new("that would change nothing").next("eko groups show NAME").exit(Exit::Usage)
            }
            MessengerError::NoSuchPerson(_) => Self::new(&error)
                .next("check the name; somebody on another server is @name@host")
                .exit(Exit::Usage),
            MessengerError::Group(GroupError::RemovesOneself) => {
                Self::new(&error).next("eko groups leave NAME").exit(Exit::Usage)
            }
            MessengerError::Group(GroupError::Stale) => {
                Self::new(&error).next("eko groups show NAME, and try again").exit(Exit::TryLater)
            }
            MessengerError::Group(GroupError::SeveralInvitations) => Self::new(&error)
                .next("eko groups join NAME --by @whom; eko groups lists the invitations")
                .exit(Exit::NotTrusted),
            MessengerError::Group(GroupError::FalseGrant(_)) => {
                Self::new(format!("the invitation is false, and gone: {error}"))
                    .next("eko groups")
                    .exit(Exit::NotTrusted)
            }
            MessengerError::NoSuchMessage(_) => Self::new(&error).next("eko history").exit(Exit::Usage),
            MessengerError::Invalid(invalid)
            | MessengerError::Client(ClientError::Invalid(invalid))
            | MessengerError::Group(GroupError::Invalid(invalid)) => Self::new(invalid.in_words()),
            MessengerError::SignedOut => Self::new(&error).next("eko login NAME"),
            MessengerError::Client(ClientError::Problem(problem)) => refusal(problem),
            _ => Self::new(&error),
        }
    }
}

impl From<OidcError> for CommandFailure {
    fn from(error: OidcError) -> Self {
        if let OidcError::Busy { retry_after_s, .. } = error {
            return Self::new(error).next_after("try again", retry_after_s).exit(Exit::TryLater);
        }
        let exit = match &error {
            OidcError::Busy { .. } | OidcError::Unreachable { .. } | OidcError::TimedOut(_) => Exit::TryLater,
            OidcError::Untrusted(_) => Exit::NotTrusted,
            OidcError::NotAnIssuer { .. } | OidcError::Refused { .. } | OidcError::Listen(_) => Exit::Failed,
        };
        Self::new(error).exit(exit)
    }
}

/// Returns the next step of a person who has moved to the account with this handle from the one of a command.
pub(crate) fn next_of_moved(to: &str) -> String {
    let to = to.trim_start_matches('@');
    format!("eko --as {to} …, which is your account now; eko login {to} first, on a machine without it")
}

/// Returns the handle of an actor of an Eko server, and the id of any other actor.
fn handle(actor: &str) -> String {
    Person::of(actor).map_or_else(|| actor.to_owned(), |person| person.handle().to_string())
}

/// True if an error comes from a clock that is wrong, or seems to.
fn is_of_clock(error: &MessengerError) -> bool {
    matches!(
        error,
        MessengerError::WrongClock(_)
            | MessengerError::Client(ClientError::Transport(TransportError::CertificateTime { .. }))
    )
}

/// Returns an error as text. For transport errors the text names the server, which their own does
/// not.
fn described(error: &MessengerError) -> String {
    match error {
        MessengerError::Client(ClientError::Transport(TransportError::Connect(why))) => {
            format!("the server is out of reach: {why}")
        }
        MessengerError::Client(ClientError::Transport(why @ TransportError::CertificateTime { .. })) => {
            why.to_string()
        }
        MessengerError::Client(ClientError::Transport(why)) => format!("the server does not answer: {why}"),
        MessengerError::Client(ClientError::Problem(problem)) => problem.in_words(),
        other => other.to_string(),
    }
}

/// Converts a refusal of the server, and adds what the person can do about it.
fn refusal(problem: &ProblemDetails) -> CommandFailure {
    let failure = CommandFailure::new(problem.in_words());
    match problem.slug() {
        "no-active-device" => {
            CommandFailure::new("none of your devices is active, so none can approve this one")
                .next("eko login NAME --reset, which begins anew with this device")
        }
        "user-deleted" => failure.next("eko history, for what you have of them"),
        "not-owner" => {
            CommandFailure::new("you have signed in as somebody else than the owner of the account")
                .next("sign in as its owner")
        }
        "name-taken" => failure.next("eko login with another name"),
        "account-exists" => failure.next("eko login with that name"),
        "stale-head" => failure.next("try again: another of your devices changed the list first"),
        _ => failure,
    }
}
