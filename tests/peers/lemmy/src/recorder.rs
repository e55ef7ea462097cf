//! A middleware of the library's HTTP client that notes the last answer to a POST. The library tells
//! its application only that an answer was an error.

use std::sync::{Arc, Mutex};

use http::{Extensions, Method};
use reqwest::redirect::Policy;
use reqwest::{Client, Request, Response};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, Next, Result};

/// The last answer to a POST: its status and its body.
#[derive(Clone, Default)]
pub struct Recorder(Arc<Mutex<Option<(u16, String)>>>);

impl Recorder {
    /// Returns a client that writes into this recorder. Like the library's own, it follows no
    /// redirects.
    pub fn client(&self) -> ClientWithMiddleware {
        let client = Client::builder().redirect(Policy::none()).build().unwrap();
        ClientBuilder::new(client).with(self.clone()).build()
    }

    /// Returns the answer and forgets it.
    pub fn take(&self) -> Option<(u16, String)> {
        self.0.lock().unwrap().take()
    }
}

#[async_trait::async_trait]
impl Middleware for Recorder {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let posted = request.method() == Method::POST;
        let response = next.run(request, extensions).await?;
        if !posted {
            return Ok(response);
        }
        let mut copy = http::Response::builder().status(response.status());
        *copy.headers_mut().unwrap() = response.headers().clone();
        let body = response.bytes().await?;
        let text = String::from_utf8_lossy(&body).into_owned();
        let copy = copy.body(body.to_vec()).unwrap();
        *self.0.lock().unwrap() = Some((copy.status().as_u16(), text));
        Ok(copy.into())
    }
}
