//! The issuer's token endpoint, and the checks of its ID tokens.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use eko_client::{Transport, TransportError};
use oauth2::basic::{
    BasicErrorResponse, BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AuthorizationCode, Client, ClientId, ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier,
    RedirectUrl, RequestTokenError, ResourceOwnerPassword, ResourceOwnerUsername, StandardRevocableToken,
    StandardTokenResponse, TokenUrl,
};
use serde::{Deserialize, Serialize};

use super::{IssuerMetadata, OidcError};

/// The member that OpenID Connect adds to a token answer.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct IdTokenField {
    id_token: Option<String>,
}

impl ExtraTokenFields for IdTokenField {}

type TokenAnswer = StandardTokenResponse<IdTokenField, BasicTokenType>;
type OidcClient = Client<
    BasicErrorResponse,
    TokenAnswer,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
>;

/// Returns a client without a secret, since a program on somebody's machine could not keep one.
pub(super) fn client(audience: &str) -> OidcClient {
    Client::new(ClientId::new(audience.to_owned()))
}

/// The issuer's token endpoint.
pub(super) struct TokenEndpoint<'a, T> {
    pub(super) transport: &'a T,
    pub(super) audience: &'a str,
    pub(super) issuer: &'a IssuerMetadata,
}

impl<T: Transport> TokenEndpoint<'_, T> {
    /// Exchanges a code for an ID token.
    pub(super) async fn by_code(
        &self,
        code: AuthorizationCode,
        redirect_uri: RedirectUrl,
        verifier: PkceCodeVerifier,
    ) -> Result<String, OidcError> {
        let client = client(self.audience).set_token_uri(self.endpoint()?).set_redirect_uri(redirect_uri);
        let send = |request| self.send(request);
        self.id_token(client.exchange_code(code).set_pkce_verifier(verifier).request_async(&send).await)
    }

    /// Asks for the ID token of a user by name, without a password.
    pub(super) async fn by_name(&self, name: &str, nonce: &str) -> Result<String, OidcError> {
        let client = client(self.audience).set_token_uri(self.endpoint()?);
        let send = |request| self.send(request);
        let (name, none) =
            (ResourceOwnerUsername::new(name.to_owned()), ResourceOwnerPassword::new(String::new()));
        let request = client.exchange_password(&name, &none).add_extra_param("nonce", nonce);
        self.id_token(request.request_async(&send).await)
    }

    fn endpoint(&self) -> Result<TokenUrl, OidcError> {
        TokenUrl::new(self.issuer.token_endpoint.clone()).map_err(|error| self.unusable(error.to_string()))
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        Ok(self.transport.send(request.map(Into::into)).await?.map(Into::into))
    }

    fn id_token(
        &self,
        answer: Result<TokenAnswer, RequestTokenError<TransportError, BasicErrorResponse>>,
    ) -> Result<String, OidcError> {
        let answer = answer.map_err(|error| match error {
            RequestTokenError::ServerResponse(refusal) => OidcError::Refused {
                error: refusal.error().to_string(),
                description: refusal.error_description().cloned(),
            },
            RequestTokenError::Request(error) => {
                OidcError::Unreachable { issuer: self.issuer.token_endpoint.clone(), error }
            }
            RequestTokenError::Parse(error, _) => self.unusable(format!("its token answer: {error}")),
            RequestTokenError::Other(why) => self.unusable(why),
        })?;
        let id_token = answer.extra_fields().id_token.clone();
        id_token.ok_or_else(|| self.unusable("its token answer holds no id_token".to_owned()))
    }

    fn unusable(&self, why: String) -> OidcError {
        OidcError::NotAnIssuer { issuer: self.issuer.url.clone(), why }
    }
}

#[derive(Deserialize)]
struct IdTokenClaims {
    iss: String,
    aud: Audience,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// Checks that an ID token comes from this issuer, is made for this client, and answers this
/// sign-in (OpenID Connect Core, section 3.1.3.7). The server verifies the signature and the times.
pub(super) fn check(id_token: &str, issuer: &str, audience: &str, nonce: &str) -> Result<(), OidcError> {
    let claims = id_token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let claims = claims.and_then(|claims| serde_json::from_slice::<IdTokenClaims>(&claims).ok());
    let claims = claims.ok_or(OidcError::Untrusted("its ID token is none"))?;
    let is_for_us = match &claims.aud {
        Audience::One(one) => one == audience,
        Audience::Several(several) => several.iter().any(|one| one == audience),
    };
    if claims.iss != issuer {
        return Err(OidcError::Untrusted("its ID token is of another issuer"));
    }
    if !is_for_us {
        return Err(OidcError::Untrusted("its ID token is for another client"));
    }
    if claims.nonce.as_deref() != Some(nonce) {
        return Err(OidcError::Untrusted("its ID token is of another sign-in"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn checked(claims: &Value) -> bool {
        let token = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
        check(&token, "https://issuer.example", "eko", "n1").is_ok()
    }

    #[test]
    fn a_token_is_of_its_issuer_for_its_client_and_its_sign_in() {
        let good = json!({ "iss": "https://issuer.example", "aud": "eko", "nonce": "n1", "sub": "x" });
        assert!(checked(&good));
        for (member, value, passes) in [
            ("aud", json!(["other", "eko"]), true),
            ("aud", json!(["other"]), false),
            ("aud", json!("other"), false),
            ("aud", json!("eko2"), false),
            ("iss", json!("https://evil.example"), false),
            ("iss", json!("https://issuer.example/"), false),
            ("nonce", json!("n2"), false),
            ("nonce", Value::Null, false),
        ] {
            let mut claims = good.clone();
            claims[member] = value.clone();
            assert_eq!(checked(&claims), passes, "{member}: {value}");
        }
        for token in ["", "a", "a.b", "a.b.c", "e30.e30.e30", "..", "e30.!!.e30"] {
            assert!(check(token, "https://issuer.example", "eko", "n1").is_err(), "{token}");
        }
    }
}
