//! The way of a device to a server, which keeps the last exchange to be shown.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use eko_client::transport::{Transport, TransportError};
use http::{Request, Response};

/// A request and its answer.
#[derive(Clone)]
pub(crate) struct RecordedExchange {
    /// The request.
    pub(crate) request: Request<Bytes>,
    /// The answer.
    pub(crate) response: Response<Bytes>,
}

/// A transport that remembers the last exchange over another. Cheap to clone; clones share what
/// they remember.
#[derive(Clone)]
pub(crate) struct Recorder<T> {
    inner: T,
    last: Arc<Mutex<Option<RecordedExchange>>>,
}

impl<T: Transport> Recorder<T> {
    /// Records what goes over `inner`.
    pub(crate) fn new(inner: T) -> Self {
        Self { inner, last: Arc::default() }
    }

    /// Returns the last exchange, once.
    pub(crate) fn take(&self) -> RecordedExchange {
        self.last.lock().unwrap().take().expect("an exchange since the last one was taken")
    }

    /// Sends a request.
    pub(crate) async fn play(&self, request: Request<Bytes>) -> RecordedExchange {
        self.send(request).await.expect("an answer");
        self.take()
    }
}

impl<T: Transport> Transport for Recorder<T> {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let response = self.inner.send(request.clone()).await?;
        *self.last.lock().unwrap() = Some(RecordedExchange { request, response: response.clone() });
        Ok(response)
    }
}
