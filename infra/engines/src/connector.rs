//! An HTTP client for the AWS SDK that answers from the engines instead of sending anything.

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;

use crate::connections::CONNECTIONS_PATH;
use crate::s3::Way;
use crate::{AwsAnswer, Engines, S3Body};

/// The SDK's HTTP client. It has one connector, whatever the settings are, because there are no
/// connections that settings could apply to.
#[derive(Debug, Clone)]
pub(crate) struct InProcessClient {
    connector: SharedHttpConnector,
}

impl InProcessClient {
    /// Makes a client of the given engines.
    pub(crate) fn new(engines: Engines) -> Self {
        Self { connector: SharedHttpConnector::new(InProcessConnector { engines }) }
    }
}

impl HttpClient for InProcessClient {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.connector.clone()
    }
}

/// The connector: passes a request to the engines.
#[derive(Debug)]
struct InProcessConnector {
    engines: Engines,
}

impl HttpConnector for InProcessConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let engines = self.engines.clone();
        HttpConnectorFuture::new(async move {
            let target = request.headers().get("x-amz-target").unwrap_or_default();
            let Some(body) = request.body().bytes() else {
                return Err(ConnectorError::user("the embedded engines take no streamed body".into()));
            };
            let path = request.uri().split(['?', '#']).next().unwrap_or_default();
            match path.split_once(CONNECTIONS_PATH) {
                Some((_, id)) => response(engines.call_connection(request.method(), id, body)),
                None if target.is_empty() => call_s3(&engines, request).await,
                None => response(engines.call(target, body).await),
            }
        })
    }
}

/// Passes a request to S3, and reads the whole answer.
async fn call_s3(engines: &Engines, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
    let request = request.try_into_http1x().map_err(|error| ConnectorError::user(Box::new(error)))?;
    let request = request.map(|body| S3Body::from(body.bytes().unwrap_or_default().to_vec()));
    let (parts, body) = engines.inner.objects.call(Way::InProcess, request).await.into_parts();
    let body = body.collect().await.map_err(ConnectorError::io)?.to_bytes();
    let response = http::Response::from_parts(parts, SdkBody::from(body));
    HttpResponse::try_from(response).map_err(|error| ConnectorError::other(Box::new(error), None))
}

/// Converts an engine's answer to a response of the SDK.
fn response(answer: AwsAnswer) -> Result<HttpResponse, ConnectorError> {
    let status = answer.status.try_into().map_err(|e| ConnectorError::other(Box::new(e), None))?;
    let mut response = HttpResponse::new(status, SdkBody::from(answer.body));
    let headers = response.headers_mut();
    headers.insert("content-type", answer.content_type);
    headers.insert("x-amzn-requestid", uuid::Uuid::new_v4().to_string());
    if let Some((name, value)) = answer.error_header {
        headers.insert(name, value);
    }
    Ok(response)
}
