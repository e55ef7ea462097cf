//! GET `/.well-known/ecp` (`docs/protocol.md`, section 2): what a client asks a server first.

use eko_protocol::address::Origin;
use eko_protocol::json::shape;
use http::{Method, StatusCode};
use serde::Deserialize;

use crate::{Body, ClientError, Exchange, Transport};

/// What a server speaks, as far as a client needs to know. Unknown members are ignored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The public base URL, the start of every id.
    pub origin: Origin,
    /// The version of the Eko specification.
    pub protocol_version: String,
    /// Who says who someone is: the OpenID Connect issuer.
    pub issuer: String,
    /// The client id that ID tokens must be for.
    pub audience: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CapabilitiesDocument {
    origin: String,
    protocol_version: String,
    auth: CapabilitiesAuth,
}

#[derive(Deserialize)]
struct CapabilitiesAuth {
    issuer: String,
    audience: String,
}

impl Capabilities {
    /// Asks the server at a base URL, without a slash at its end.
    ///
    /// # Errors
    /// There is no answer, or it is none of an Eko server.
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
        })
    }
}
