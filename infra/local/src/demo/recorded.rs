//! A transport that tells the transcript of every exchange.

use eko_client::transport::Bytes;
use eko_client::{Exchange, Http, Transport, TransportError};
use http::{Request, Response};

use super::transcript::Transcript;

/// HTTP, written down.
#[derive(Clone)]
pub(super) struct Recorded {
    http: Http,
    transcript: Transcript,
}

impl Recorded {
    pub(super) fn new(http: Http, transcript: &Transcript) -> Self {
        Self { http, transcript: transcript.clone() }
    }
}

impl Transport for Recorded {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
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
