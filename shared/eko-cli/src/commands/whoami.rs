//! `eko whoami`: shows the account and the device on this machine, without asking a server; and the
//! joining code, while the device waits for approval.

use serde_json::json;

use crate::context::Context;
use crate::failure::CommandFailure;

pub(crate) fn run(context: &Context) -> Result<(), CommandFailure> {
    let (account, client) = context.client()?;
    let device = client.device();
    let (handle, signed_in) = (account.handle.to_string(), device.tokens().is_some());
    let folder = account.path().display().to_string();
    let mut text = format!("{handle}\n  device       {}\n  kept in      {folder}", device.id());
    let code = client.joining_code()?.map(|code| code.digits());
    if let Some(code) = &code {
        text.push_str(&format!("\n  waits, with the joining code\n    {code}"));
    }
    let revoked = client.is_revoked()?;
    if revoked {
        text.push_str("\n  revoked or turned away   eko login ");
        text.push_str(&format!("{} --anew", account.name()));
    } else if !signed_in {
        text.push_str("\n  signed out   eko login ");
        text.push_str(&account.name());
    }
    let object = json!({
        "handle": handle,
        "actor": device.actor(),
        "device": device.id().to_string(),
        "joiningCode": code,
        "revoked": revoked,
        "signedIn": signed_in,
        "folder": folder,
    });
    context.out.result(&text, &object)
}
