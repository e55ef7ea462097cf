//! The result of a sign-in: the device, its joining code, and what a reset has done.

use std::collections::BTreeMap;
use std::path::Path;

use eko_client::DeviceStore;
use eko_client::device::RegistrationStatus;
use eko_client::store::{CarriedOver, EndedGroup};
use serde_json::json;

use super::{LoginArgs, SignedInDevice};
use crate::clock;
use crate::context::{Context, HttpMessenger};
use crate::counted::{counted, counted_all};
use crate::failure::CommandFailure;
use crate::home::AccountFolder;
use crate::interruption::Interruption;
use crate::joining::{self, WaitOutcome};
use crate::people::own_handle;

/// The effect of a reset, in words.
const RESET_DONE: &str = "\nAll your other devices are revoked. Your contacts are warned, and send nothing until they have accepted \
     this device. For each of your groups, ask an admin to remove you and to add you again; if you were the only \
     admin, begin a new group.";

/// The effect of a reset on the groups that a device had taken over before it was approved, in words.
const GROUPS_ENDED: &str = "A reset of your account has ended the groups of the former device: ask an admin of each to \
     remove you and to add you again. eko groups list --all names them.";

/// The outcome of the takeover of a former device's store.
pub(super) enum Takeover {
    /// This was taken over.
    Done(CarriedOver),
    /// This was copied for an account to which the person moves.
    Copied(CarriedOver),
    /// Nothing was, for this reason.
    Failed(String),
}

impl Takeover {
    /// Returns the sentence that tells of it. `account` is that of the device, if it is known to be one of the
    /// user's: then a reset has ended its groups already, and more may have come for the former device.
    pub(super) fn to_text(&self, account: Option<&AccountFolder>) -> String {
        match (self, account) {
            (Self::Failed(why), _) => why.clone(),
            (Self::Copied(carried), _) => copied(*carried),
            (Self::Done(carried), None) => carried_so_far(*carried),
            (Self::Done(before), Some(account)) => {
                let store = DeviceStore::open(&account.database());
                carried(store.and_then(|store| store.taken_over()).unwrap_or(*before))
            }
        }
    }
}

/// True if a reset has ended groups that are not among these.
fn has_ended_others(device: &HttpMessenger, before: &BTreeMap<String, EndedGroup>) -> bool {
    device.ended_groups().is_ok_and(|ended| ended.keys().any(|id| !before.contains_key(id)))
}

/// Returns the sentence that tells what was taken over from a former device, while it is not known whether a
/// reset has ended its groups.
fn carried_so_far(carried: CarriedOver) -> String {
    let CarriedOver { messages, people, groups, unsent } = carried;
    let (messages, people) = (counted(messages, "message", "messages"), counted(people, "person", "people"));
    let groups = match groups {
        0 => String::new(),
        1 => " Its group goes on once this device is one of yours, unless a reset has ended it.".to_owned(),
        count => format!(
            " Its {count} groups go on once this device is one of yours, unless a reset has ended them."
        ),
    };
    format!("Taken over from the former device: {messages}, {people}.{}{groups}", not_sent(unsent))
}

/// Returns the sentence that tells what was taken over from a former device.
fn carried(carried: CarriedOver) -> String {
    let CarriedOver { messages, people, groups, unsent } = carried;
    let all = counted_all(messages, people, groups);
    format!("Taken over from the former device: {all}.{}", not_sent(unsent))
}

/// Returns the sentence that tells how many messages of a former device have come here since it was
/// taken over.
pub(super) fn late(messages: u64) -> String {
    format!("Taken over from the former device since: {}.", counted(messages, "message", "messages"))
}

/// Returns the sentence that tells of messages that a former device has not sent, after a space.
fn not_sent(unsent: u64) -> String {
    match unsent {
        0 => String::new(),
        1 => " One of the messages was not sent: it is sent by eko listen, or the next eko send.".to_owned(),
        count => {
            format!(
                " {count} of the messages were not sent: they are sent by eko listen, or the next eko send."
            )
        }
    }
}

/// Returns the sentence that tells what was copied from an account for another one, to which its person moves.
fn copied(carried: CarriedOver) -> String {
    let CarriedOver { messages, people, groups, unsent } = carried;
    let unsent = match unsent {
        0 => String::new(),
        1 => " One of the messages was not sent: the new account sends it once you have moved.".to_owned(),
        count => {
            format!(" {count} of the messages were not sent: the new account sends them once you have moved.")
        }
    };
    format!("Copied for the new account: {}.{unsent}", counted_all(messages, people, groups))
}

/// Puts to be sent what a former device has not sent. If it cannot be done now, or the person ends
/// the command, whatever is sent next does it.
async fn put_taken_over(context: &Context, client: &HttpMessenger) -> Result<(), CommandFailure> {
    let mut interruption = Interruption::heard()?;
    let put = tokio::select! {
        put = client.put_taken_over() => put,
        () = interruption.happened() => return Ok(()),
    };
    if let Err(error) = put {
        context.out.detail(&format!("what the former device has not sent is put later: {error}"));
    }
    Ok(())
}

impl LoginArgs {
    /// Shows the device that has signed in. If it waits for approval, shows its joining code and
    /// waits.
    pub(super) async fn tell(
        &self,
        context: &Context,
        signed_in: &SignedInDevice,
        aside: Option<&Path>,
    ) -> Result<(), CommandFailure> {
        let SignedInDevice { client, registered, again } = signed_in;
        if let Some(warning) = clock::warning(client) {
            context.out.prompt(&warning);
        }
        let device = client.device();
        if let (Some(given), Some(kept)) = (&self.way.device_name, device.name())
            && given != kept
        {
            context.out.remark(&format!(
                "This device keeps its name \"{kept}\": --device-name names a device when it is made."
            ));
        }
        let mut object = json!({
            "handle": own_handle(client).to_string(),
            "actor": device.actor(),
            "device": device.id().to_string(),
            "status": "active",
            "setAside": aside,
        });
        let aside = aside.map(|aside| format!("\nThe files of the former device are in {}", aside.display()));
        let (handle, aside) = (own_handle(client), aside.unwrap_or_default());
        if let (RegistrationStatus::Pending, Some(code)) = (registered.status, client.joining_code()?) {
            let mut pending = object.clone();
            pending["status"] = json!("pending");
            pending["joiningCode"] = json!(code.digits());
            let text = format!("You are {handle}. {}{aside}", joining::text(client, &code));
            context.out.result(&text, &pending)?;
            joining::picture(context, &code)?;
            let ended = client.ended_groups()?;
            if self.no_wait || joining::wait(context, client).await? == WaitOutcome::Interrupted {
                return Ok(());
            }
            put_taken_over(context, client).await?;
            if has_ended_others(client, &ended) {
                context.out.remark(GROUPS_ENDED);
            }
            return context.out.result("This device is one of your devices now.", &object);
        }
        put_taken_over(context, client).await?;
        object["first"] = json!(registered.device_set.length == 1);
        object["reset"] = json!(self.reset);
        let reset = if self.reset { RESET_DONE } else { "" };
        // A server can hide a user's devices from a new one. Then only the user can notice. The
        // length is that of the chain which this device has verified. A device that signs in again
        // has said so before.
        let first = match registered.device_set.length {
            1 if !again => " This is your first device: if you have another, this server hides it from you.",
            _ => "",
        };
        context.out.result(&format!("You are {handle}.{first}{reset}{aside}"), &object)
    }
}
