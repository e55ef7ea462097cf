//! A transport that records every exchange in the transcript.

use eko_client::transport::Bytes;
use eko_client::{Exchange, HttpTransport, Transport, TransportError};
use http::{Request, Response};

use super::transcript::Transcript;

/// An HTTP transport that records its exchanges.
#[derive(Clone)]
pub(super) struct RecordingTransport {
    http: HttpTransport,
    transcript: Transcript,
    /// True if the transcript shows the server of each request.
    several: bool,
}

impl RecordingTransport {
    /// Makes a transport that records in `transcript`.
    pub(super) fn new(http: HttpTransport, transcript: &Transcript) -> Self {
        Self { http, transcript: transcript.clone(), several: false }
    }

    /// Makes the transcript show the server of each request.
    pub(super) fn among_several(self) -> Self {
        Self { several: true, ..self }
    }
}

impl Transport for RecordingTransport {
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
