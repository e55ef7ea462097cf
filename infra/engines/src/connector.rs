//! The SDK's HTTP client that sends nothing.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::{Answer, Engines};

/// Client and connector in one: there is no connection for the settings to apply to.
#[derive(Debug, Clone)]
pub(crate) struct InProcess {
    connector: SharedHttpConnector,
}

impl InProcess {
    pub(crate) fn new(engines: Engines) -> Self {
        Self { connector: SharedHttpConnector::new(Connector { engines }) }
    }
}

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connector.clone()
    }
}

#[derive(Debug)]
struct Connector {
    engines: Engines,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engines = self.engines.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let Some(body) = request.body().bytes() else {
                return Err(ConnectorError::user("the embedded engines take no streamed body".into()));
            };
            response(engines.call(target, body).await)
        })
    }
}

fn response(answer: Answer) -> Result<HttpResponse, ConnectorError> {
    let status = answer.status.try_into().map_err(|e| ConnectorError::other(Box::new(e), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
    let headers = response.headers_mut();
    headers.insert("content-type", answer.content_type);
    headers.insert("x-amzn-requestid", uuid::Uuid::new_v4().to_string());
    if let Some(query_error) = answer.query_error {
        headers.insert("x-amzn-query-error", query_error);
    }
    Ok(response)
}
