//! GET `/.well-known/ecp` (`docs/protocol.md`, section 2): the first question of a client to a
//! server.

use eko_protocol::address::Origin;
use eko_protocol::json::shape;
use http::{Method, StatusCode};
use serde::Deserialize;

use crate::{Body, ClientError, Exchange, Transport};

/// The capabilities of a server, as far as a client needs them. Unknown members are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The public base URL of the server, with which every id begins.
    pub origin: Origin,
    /// The version of the Eko specification.
    pub protocol_version: String,
    /// The OpenID Connect issuer that vouches for the users of this server.
    pub issuer: String,
    /// The client id that ID tokens must be issued for.
    pub audience: String,
    /// The address of the sockets (section 8), if the server has sockets.
    pub live: Option<String>,
    /// The domain of the users' handles, if it is another one than the server's.
    pub handle_domain: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CapabilitiesDocument {
    origin: String,
    protocol_version: String,
    live: Option<String>,
    handle_domain: Option<String>,
    auth: CapabilitiesAuth,
}

#[derive(Deserialize)]
struct CapabilitiesAuth {
    issuer: String,
    audience: String,
}

impl Capabilities {
    /// Asks the server at a base URL, which has no slash at its end.
    ///
    /// # Errors
    /// [`ClientError::Transport`] if there is no answer; [`ClientError::Problem`] or
    /// [`ClientError::Unexpected`] if the answer is not that of an Eko server.
    pub async fn fetch(transport: &impl Transport, base: &str) -> Result<Self, ClientError> {
        let url = format!("{base}/.well-known/ecp");
        let answer = Exchange::send(transport, Method::GET, &url, Body::Empty, None).await?;
        let answer = answer.expect(StatusCode::OK)?;
        let wire: CapabilitiesDocument = shape(&answer.json()?)
            .map_err(|fault| answer.unexpected(format!("not an Eko server: {fault}")))?;
        let origin = Origin::parse(&wire.origin)
            .map_err(|fault| answer.unexpected(fault.under("/origin").to_string()))?;
        Ok(Self {
            origin,
            protocol_version: wire.protocol_version,
            issuer: wire.auth.issuer,
            audience: wire.auth.audience,
            live: wire.live,
            handle_domain: wire.handle_domain,
        })
    }
}
