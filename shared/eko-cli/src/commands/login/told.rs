//! The result of a sign-in: the device, its joining code, and what a reset has done.

use std::path::Path;

use eko_client::device::RegistrationStatus;
use eko_client::store::CarriedOver;
use serde_json::json;

use super::{LoginArgs, SignedInDevice};
use crate::clock;
use crate::context::{Context, HttpMessenger};
use crate::counted::counted_all;
use crate::failure::CommandFailure;
use crate::home::AccountFolder;
use crate::joining::{self, WaitOutcome};

/// The effect of a reset, in words.
const RESET_DONE: &str = "\nAll your other devices are revoked. Your contacts are warned, and send nothing until they have accepted \
     this device. For each of your groups, ask an admin to remove you and to add you again; if you were the only \
     admin, begin a new group.";

/// Returns the sentence that tells what was taken over from a former device.
pub(super) fn carried(carried: CarriedOver) -> String {
    let CarriedOver { messages, people, groups, unsent } = carried;
    let unsent = match unsent {
        0 => String::new(),
        1 => " One of the messages was not sent: it is sent by eko listen, or the next eko send.".to_owned(),
        count => {
            format!(
                " {count} of the messages were not sent: they are sent by eko listen, or the next eko send."
            )
        }
    };
    format!("Taken over from the former device: {}.{unsent}", counted_all(messages, people, groups))
}

/// Puts to be sent what a former device has not sent. If it cannot be done now, whatever is sent next does it.
async fn put_taken_over(context: &Context, client: &HttpMessenger) {
    if let Err(error) = client.put_taken_over().await {
        context.out.detail(&format!("what the former device has not sent is put later: {error}"));
    }
}

impl LoginArgs {
    /// Shows the device that has signed in. If it waits for approval, shows its joining code and
    /// waits.
    pub(super) async fn tell(
        &self,
        context: &Context,
        account: &AccountFolder,
        signed_in: &SignedInDevice,
        aside: Option<&Path>,
    ) -> Result<(), CommandFailure> {
        let SignedInDevice { client, registered, again } = signed_in;
        if let Some(warning) = clock::warning(client) {
            context.out.prompt(&warning);
        }
        let device = client.device();
        if let (Some(given), Some(kept)) = (&self.device_name, device.name())
            && given != kept
        {
            context.out.remark(&format!(
                "This device keeps its name \"{kept}\": --device-name names a device when it is made."
            ));
        }
        let mut object = json!({
            "handle": account.handle.to_string(),
            "actor": device.actor(),
            "device": device.id().to_string(),
            "status": "active",
            "setAside": aside,
        });
        let aside = aside.map(|aside| format!("\nThe files of the former device are in {}", aside.display()));
        let (handle, aside) = (&account.handle, aside.unwrap_or_default());
        if let (RegistrationStatus::Pending, Some(code)) = (registered.status, client.joining_code()?) {
            let mut pending = object.clone();
            pending["status"] = json!("pending");
            pending["joiningCode"] = json!(code.digits());
            let text = format!("You are {handle}. {}{aside}", joining::text(client, &code));
            context.out.result(&text, &pending)?;
            joining::picture(context, &code)?;
            if self.no_wait || joining::wait(context, client).await? == WaitOutcome::Interrupted {
                return Ok(());
            }
            put_taken_over(context, client).await;
            return context.out.result("This device is one of your devices now.", &object);
        }
        put_taken_over(context, client).await;
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
