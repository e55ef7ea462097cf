//! The ID token of a sign-in: from a file, or from the server's issuer.

use std::io::Read as _;
use std::path::Path;

use eko_client::capabilities::Capabilities;
use eko_client::messenger::MessengerError;
use eko_client::{ClientError, HttpTransport, IdTokenFault};

use super::LoginArgs;
use crate::ask;
use crate::context::Context;
use crate::failure::{CommandFailure, Exit, FileUse};
use crate::oidc::{BrowserSignIn, RelyingParty};

/// The longest ID token that is read from a file.
const MAX_TOKEN_BYTES: u64 = 64 << 10;

/// Reads an ID token from a file, or from standard input (`-`). `print_nonce` is the command that shows the
/// nonce which the token must carry.
pub(in crate::commands) fn read(file: &Path, print_nonce: &str) -> Result<String, CommandFailure> {
    let mut token = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_TOKEN_BYTES).read_to_string(&mut token)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_TOKEN_BYTES).read_to_string(&mut token))
    };
    read.map_err(|error| {
        CommandFailure::of_named_file("cannot read the ID token from", FileUse::Read, file, &error)
    })?;
    match token.trim() {
        "" => Err(CommandFailure::of_content(
            "there is no ID token in",
            file,
            "it is empty",
            format!("a token for the nonce of {print_nonce}"),
        )),
        token => Ok(token.to_owned()),
    }
}

/// Returns the failure of a call with an ID token that the person has given in a file, or `None` if the error is
/// not about the token. `print_nonce` is the command that shows the nonce which the token must carry.
pub(in crate::commands) fn refused(
    error: &MessengerError,
    capabilities: &Capabilities,
    print_nonce: &str,
) -> Option<CommandFailure> {
    let Capabilities { issuer, audience, .. } = capabilities;
    let (what, next) = match error {
        MessengerError::IdToken(IdTokenFault::Unreadable | IdTokenFault::OtherNonce) => {
            (error.to_string(), format!("a token for the nonce of {print_nonce}"))
        }
        MessengerError::IdToken(IdTokenFault::OtherIssuer | IdTokenFault::OtherAudience) => (
            error.to_string(),
            format!("a token of {issuer} for the client {audience} and the nonce of {print_nonce}"),
        ),
        MessengerError::Client(ClientError::Problem(problem)) if problem.slug() == "unauthenticated" => (
            format!("the server does not take the ID token: {}", problem.detail),
            format!("a token of a new sign-in, for the nonce of {print_nonce}"),
        ),
        _ => return None,
    };
    Some(CommandFailure::new(what).next(next).exit(Exit::Usage))
}

impl LoginArgs {
    /// Warns if another server has named the issuer and audience that this server names, and this one
    /// names them for the first time. At a terminal it asks whether to go on. A script answers by
    /// `--shared-issuer`. Only a yes is recorded.
    ///
    /// The ID token is bound to this server by its nonce, so this server cannot use it at the other
    /// one. A server that tries to get such tokens is one that nobody should sign in at.
    pub(super) fn ask_of_shared_issuer(
        &self,
        context: &Context,
        capabilities: &Capabilities,
    ) -> Result<(), CommandFailure> {
        let mut named = context.home.named_issuers()?;
        let others = named.others(capabilities)?;
        if !others.is_empty() {
            let Capabilities { origin, issuer, .. } = capabilities;
            let warning = format!(
                "Warning: {origin} uses the same sign-in as {}: {issuer}. Two servers of one operator may do so. \
                 A server that does it without the other's knowledge wants your sign-ins there. Your sign-in \
                 now is bound to {origin}, and is of no use elsewhere.",
                others.join(", ")
            );
            context.out.prompt(&warning);
            if !self.shared_issuer {
                let question = format!("Do you want to sign in at {origin}?");
                ask::yes(
                    context,
                    &question,
                    "the same command with --shared-issuer, if you trust this server",
                )?;
            }
        }
        named.record(capabilities)
    }
}

/// Signs in at the server's issuer, and returns the ID token.
pub(in crate::commands) async fn ask_issuer(
    context: &Context,
    http: &HttpTransport,
    capabilities: &Capabilities,
    way: BrowserSignIn<'_>,
    print_url: bool,
) -> Result<String, CommandFailure> {
    let Capabilities { issuer, audience, .. } = capabilities;
    // The server names the issuer. The issuer names the endpoint that gets the sign-in's code, and the
    // page that the browser opens.
    let reach = context.reach(&capabilities.origin);
    reach.check(issuer)?;
    let party = RelyingParty::discover(http, &context.environment, issuer, audience).await?;
    reach.check(&party.issuer().token_endpoint)?;
    reach.check(&party.issuer().authorization_endpoint)?;
    if let (true, false, Some(name)) = (party.issuer().asks_for_no_password(), print_url, way.login_hint) {
        context
            .out
            .remark(&format!("{issuer} is a development issuer: it takes your word that you are {name}."));
        return Ok(party.by_name(name, way.nonce).await?);
    }
    let id_token = party.in_browser(way, |url| {
        let opened = !print_url && open::that_detached(url).is_ok();
        let how = if opened { "Sign in in your browser. If it shows no page, open" } else { "Sign in at" };
        context.out.prompt(&format!("{how}\n{url}"));
    });
    Ok(id_token.await?)
}
