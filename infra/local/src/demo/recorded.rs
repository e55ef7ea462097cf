//! A transport that tells the transcript of every exchange.

use eko_client::transport::Bytes;
use eko_client::{Exchange, HttpTransport, Transport, TransportError};
use http::{Request, Response};

use super::transcript::Transcript;

/// HTTP, written down.
#[derive(Clone)]
pub(super) struct Recorded {
    http: HttpTransport,
    transcript: Transcript,
    /// Whether the server is shown too.
    several: bool,
}

impl Recorded {
    pub(super) fn new(http: HttpTransport, transcript: &Transcript) -> Self {
        Self { http, transcript: transcript.clone(), several: false }
    }

    /// The same among several servers: each request is shown with the one it goes to.
    pub(super) fn among_several(self) -> Self {
        Self { several: true, ..self }
    }
}

impl Transport for Recorded {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let method = request.method().to_string();
        let authority = request.uri().authority().filter(|_| self.several);
        let server = authority.map(ToString::to_string).unwrap_or_default();
        let path = format!("{server}{}", request.uri().path());
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
