//! The issuer's token endpoint.

use eko_client::{Transport, brief};
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

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, OidcError> {
        let issuer = &self.issuer.token_endpoint;
        let answer = self.transport.send(request.map(Into::into)).await;
        let answer = answer.map_err(|error| OidcError::Unreachable { issuer: issuer.clone(), error })?;
        match OidcError::of_busy(issuer, &answer) {
            Some(busy) => Err(busy),
            None => Ok(answer.map(Into::into)),
        }
    }

    fn id_token(
        &self,
        answer: Result<TokenAnswer, RequestTokenError<OidcError, BasicErrorResponse>>,
    ) -> Result<String, OidcError> {
        let answer = answer.map_err(|error| match error {
            RequestTokenError::ServerResponse(refusal) => OidcError::Refused {
                error: brief(refusal.error().as_ref()),
                description: refusal.error_description().map(|text| brief(text)),
            },
            RequestTokenError::Request(error) => error,
            RequestTokenError::Parse(error, _) => self.unusable(brief(&format!("its token answer: {error}"))),
            RequestTokenError::Other(why) => self.unusable(why),
        })?;
        let id_token = answer.extra_fields().id_token.clone();
        id_token.ok_or_else(|| self.unusable("its token answer holds no id_token".to_owned()))
    }

    fn unusable(&self, why: String) -> OidcError {
        OidcError::NotAnIssuer { issuer: self.issuer.url.clone(), why }
    }
}
