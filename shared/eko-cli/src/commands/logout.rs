//! `eko logout`: ends this device's tokens, and keeps its keys and messages.

use serde_json::json;

use crate::context::Context;
use crate::failure::CommandFailure;

pub(crate) async fn run(context: &Context) -> Result<(), CommandFailure> {
    let (account, client) = context.any_client()?;
    client.sign_out().await?;
    let text = format!("{} is signed out here. Its keys and messages are kept.", account.handle);
    context.out.result(&text, &json!({ "handle": account.handle.to_string(), "signedIn": false }))
}
