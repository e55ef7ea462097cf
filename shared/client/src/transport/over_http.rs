//! The transport over HTTP.

mod web_socket;

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, Uri, uri};
use reqwest::redirect::Policy;

use super::{Transport, TransportError};

pub use web_socket::WebSocket;

/// The time within which an answer must arrive: a page of a mailbox over a slow line.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The time within which a server must accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The greatest length of an answer in bytes. A chain of a thousand nodes has 1.5 MB.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// HTTP/1.1 over TCP or TLS. Connections are kept. Cheap to clone.
#[derive(Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
    through: Option<Uri>,
}

impl HttpTransport {
    /// Returns a client without connections. It follows no redirects, because a token must not
    /// travel to another host.
    ///
    /// # Errors
    /// [`TransportError`] if the system's TLS roots cannot be read.
    pub fn new() -> Result<Self, TransportError> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .user_agent(concat!("eko-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(failure)?;
        Ok(Self { client, through: None })
    }

    /// Sends every request to this scheme, host and port, whatever its URI says. For a server that
    /// listens elsewhere than at its public origin, as behind a tunnel.
    ///
    /// # Errors
    /// [`TransportError::Broken`] if `base` is no absolute URL.
    pub fn through(mut self, base: &str) -> Result<Self, TransportError> {
        let uri: Uri = base.parse().map_err(|error| TransportError::Broken(format!("{base}: {error}")))?;
        if uri.scheme().is_none() || uri.authority().is_none() {
            return Err(TransportError::Broken(format!("{base}: needs a scheme and a host")));
        }
        self.through = Some(uri);
        Ok(self)
    }

    fn target(&self, asked: &Uri) -> Result<Uri, TransportError> {
        let Some(through) = &self.through else { return Ok(asked.clone()) };
        let mut parts = uri::Parts::default();
        parts.scheme = through.scheme().cloned();
        parts.authority = through.authority().cloned();
        parts.path_and_query = asked.path_and_query().cloned();
        Uri::from_parts(parts).map_err(|error| TransportError::Broken(error.to_string()))
    }
}

impl Transport for HttpTransport {
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        *request.uri_mut() = self.target(request.uri())?;
        let request = reqwest::Request::try_from(request).map_err(failure)?;
        read_answer(self.client.execute(request).await.map_err(failure)?).await
    }
}

/// Reads an answer to its end.
async fn read_answer(mut answer: reqwest::Response) -> Result<Response<Bytes>, TransportError> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(failure)? {
        if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
            return Err(TransportError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    *response.body_mut() = body.freeze();
    Ok(response)
}

/// Returns the error with the server and its innermost reason, which says most: "connection refused" rather
/// than "error sending request".
fn failure(error: reqwest::Error) -> TransportError {
    let mut reason: &dyn Error = &error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let server = error.url().map(reqwest::Url::authority).filter(|server| !server.is_empty());
    let reason = match server {
        Some(server) => format!("{server}, {reason}"),
        None => reason.to_string(),
    };
    if error.is_connect() {
        TransportError::Connect(reason)
    } else if error.is_timeout() {
        TransportError::Timeout
    } else {
        TransportError::Broken(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_go_through_where_they_must() {
        let asked: Uri = "https://a.example/user/bob/inbox?after=1".parse().unwrap();
        let http = HttpTransport::new().unwrap();
        assert_eq!(http.target(&asked).unwrap(), asked);
        let http = http.through("http://127.0.0.1:8080").unwrap();
        assert_eq!(http.target(&asked).unwrap(), "http://127.0.0.1:8080/user/bob/inbox?after=1");
        for base in ["localhost:8080", "/x", ""] {
            assert!(HttpTransport::new().unwrap().through(base).is_err(), "{base}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_told_from_a_broken_answer() {
        let http = HttpTransport::new().unwrap();
        let request = Request::get("http://127.0.0.1:9/").body(Bytes::new()).unwrap();
        let Err(TransportError::Connect(why)) = http.send(request).await else { panic!() };
        assert!(why.starts_with("127.0.0.1:9, "), "{why}");
    }
}
