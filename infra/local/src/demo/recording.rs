//! A transport that records every exchange in the transcript.

use eko_client::transport::{Bytes, SocketOpening, SocketTransport, WebSocket};
use eko_client::{Exchange, HttpTransport, Transport, TransportError};
use http::{HeaderMap, Request, Response, StatusCode, Uri};

use super::transcript::Transcript;

/// An HTTP transport that records its exchanges.
#[derive(Clone)]
pub(super) struct RecordingTransport {
    http: HttpTransport,
    /// The transport of sockets, which may be served elsewhere.
    sockets: HttpTransport,
    transcript: Transcript,
    /// True if the transcript shows the server of each request.
    several: bool,
}

impl RecordingTransport {
    /// Makes a transport that records in `transcript`.
    pub(super) fn new(http: HttpTransport, transcript: &Transcript) -> Self {
        Self { sockets: http.clone(), http, transcript: transcript.clone(), several: false }
    }

    /// Opens sockets by this transport.
    pub(super) fn with_sockets(self, sockets: HttpTransport) -> Self {
        Self { sockets, ..self }
    }

    /// Makes the transcript show the server of each request.
    pub(super) fn among_several(self) -> Self {
        Self { several: true, ..self }
    }
}

impl RecordingTransport {
    /// Returns the path of a URL as the transcript shows it.
    fn path(&self, url: &Uri) -> String {
        let authority = url.authority().filter(|_| self.several);
        let server = authority.map(ToString::to_string).unwrap_or_default();
        format!("{server}{}", url.path())
    }
}

impl SocketTransport for RecordingTransport {
    type Socket = WebSocket;

    async fn open(&self, url: &str, token: &str) -> Result<SocketOpening<WebSocket>, TransportError> {
        let path = url.parse().map_or_else(|_| url.to_owned(), |url| self.path(&url));
        let opening = self.sockets.open(url, token).await;
        match &opening {
            Ok(SocketOpening::Open(_)) => {
                let (status, headers, body) =
                    (StatusCode::SWITCHING_PROTOCOLS, HeaderMap::new(), Bytes::new());
                self.transcript.record("GET", &path, Ok(&Exchange { status, headers, body }));
            }
            Ok(SocketOpening::Refused(answer)) => {
                let (status, headers, body) =
                    (answer.status(), answer.headers().clone(), answer.body().clone());
                self.transcript.record("GET", &path, Ok(&Exchange { status, headers, body }));
            }
            Err(error) => self.transcript.record("GET", &path, Err(error.to_string())),
        }
        opening
    }
}

impl Transport for RecordingTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let method = request.method().to_string();
        let path = self.path(request.uri());
        match self.http.send(request).await {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                let answer = Exchange { status: parts.status, headers: parts.headers.clone(), body };
                self.transcript.record(&method, &path, Ok(&answer));
                Ok(Response::from_parts(parts, answer.body))
            }
            Err(error) => {
                self.transcript.record(&method, &path, Err(error.to_string()));
                Err(error)
            }
        }
    }
}
