//! A transport that can show a mailbox in another order, and notes which reports came.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use eko_client::HttpTransport;
use eko_client::transport::{Bytes, Transport, TransportError};
use eko_protocol::json::has_type;
use http::{Method, Request, Response};
use serde_json::{Value, json};

/// HTTP to the servers. While an order is set, a mailbox contains only the messages of these
/// envelopes, in this order.
#[derive(Clone)]
pub(crate) struct OrderedTransport {
    http: HttpTransport,
    order: Arc<Mutex<Option<Vec<String>>>>,
    reported: Arc<Mutex<BTreeSet<String>>>,
}

impl OrderedTransport {
    pub(crate) fn new() -> Self {
        Self { http: HttpTransport::new().unwrap(), order: Arc::default(), reported: Arc::default() }
    }

    /// True if a server has reported that an envelope was acknowledged.
    pub(crate) fn is_reported(&self, envelope: &str) -> bool {
        self.reported.lock().unwrap().contains(envelope)
    }

    /// Sets the order, or removes it.
    pub(crate) fn show(&self, envelopes: Option<Vec<String>>) {
        *self.order.lock().unwrap() = envelopes;
    }
}

impl Transport for OrderedTransport {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let is_mailbox = request.method() == Method::GET && request.uri().path().ends_with("/inbox");
        let mut response = self.http.send(request).await?;
        if is_mailbox {
            let page: Value = serde_json::from_slice(response.body()).unwrap_or_default();
            let entries = page["orderedItems"].as_array().into_iter().flatten();
            let reports = entries.filter(|entry| has_type(entry, "Delivered"));
            let envelopes = reports.filter_map(|report| report["object"].as_str().map(str::to_owned));
            self.reported.lock().unwrap().extend(envelopes);
        }
        if let Some(order) = self.order.lock().unwrap().as_ref().filter(|_| is_mailbox) {
            let mut page: Value = serde_json::from_slice(response.body()).unwrap();
            assert_eq!(page.get("next"), None, "all on one page");
            let entries = page["orderedItems"].as_array().unwrap();
            let entry = |envelope: &String| entries.iter().find(|entry| entry["object"]["id"] == *envelope);
            page["orderedItems"] = json!(order.iter().filter_map(entry).collect::<Vec<_>>());
            *response.body_mut() = page.to_string().into();
        }
        Ok(response)
    }
}
