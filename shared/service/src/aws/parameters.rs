//! SSM's operation GetParameters, over the SDK's own runtime: its signing, retries, time-outs and
//! connections. The crate `aws-sdk-ssm` is twice the size of DynamoDB's, and only this one of its
//! 150 operations is needed (`docs/decisions/0012-lambda-diet.md`).
//!
//! ```text
//! POST /   X-Amz-Target: AmazonSSM.GetParameters
//! {"Names": [<name>, …], "WithDecryption": true}
//! 200 {"Parameters": [{"Name": <name>, "Value": <value>, …}, …], …}
//! 4xx {"__type": "ThrottlingException", "message": <text>}
//! ```

use std::collections::BTreeMap;

use aws_runtime::auth::SigV4OperationSigningConfig;
use aws_runtime::auth::sigv4::{SCHEME_ID, SigV4AuthScheme};
use aws_runtime::retries::classifiers::AwsErrorCodeClassifier;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, SharedCredentialsProvider};
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::client::auth::static_resolver::StaticAuthSchemeOptionResolver;
use aws_smithy_runtime_api::client::auth::{
    AuthSchemeOptionResolverParams, SharedAuthScheme, SharedAuthSchemeOptionResolver,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponentsBuilder;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::Layer;
use aws_smithy_types::error::metadata::{ErrorMetadata, ProvideErrorMetadata};
use aws_types::SigningName;
use aws_types::region::{Region, SigningRegion};
use serde::Deserialize;
use serde_json::json;

use super::AwsAccount;

/// The answer to GetParameters, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetParametersOutput {
    parameters: Vec<Parameter>,
}

/// A parameter in the answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    name: String,
    value: String,
}

/// An answer of SSM that is no success.
#[derive(Debug, thiserror::Error)]
#[error("SSM answers {status}: {metadata}")]
struct SsmError {
    status: u16,
    metadata: ErrorMetadata,
}

/// The body of an error of AWS. Some services write `Message` for `message`.
#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default, rename = "__type")]
    kind: String,
    #[serde(default, alias = "Message")]
    message: String,
}

impl SsmError {
    fn of(response: &HttpResponse) -> Self {
        let error: ErrorBody =
            serde_json::from_slice(response.body().bytes().unwrap_or_default()).unwrap_or_default();
        let code = error.kind.rsplit('#').next().unwrap_or_default();
        let metadata = ErrorMetadata::builder().code(code).message(error.message).build();
        Self { status: response.status().as_u16(), metadata }
    }
}

impl ProvideErrorMetadata for SsmError {
    fn meta(&self) -> &ErrorMetadata {
        &self.metadata
    }
}

impl AwsAccount {
    /// Reads SecureString parameters and returns their values by name. At most ten names may be
    /// asked for at once. Parameters that do not exist are left out.
    ///
    /// # Errors
    /// The text of the SDK's error if SSM does not answer or answers with an error.
    pub(crate) async fn parameters(
        &self,
        names: &[String],
        retries: &RetryConfig,
    ) -> Result<BTreeMap<String, String>, String> {
        let mut layer = Layer::new("signing");
        layer.store_put(AuthSchemeOptionResolverParams::new(()));
        layer.store_put(SigV4OperationSigningConfig {
            region: Some(SigningRegion::from(Region::new(self.region.clone()))),
            name: Some(SigningName::from_static("ssm")),
            ..SigV4OperationSigningConfig::default()
        });
        let mut signing = RuntimeComponentsBuilder::new("signing");
        signing.push_auth_scheme(SharedAuthScheme::new(SigV4AuthScheme::new()));
        signing.set_auth_scheme_option_resolver(Some(SharedAuthSchemeOptionResolver::new(
            StaticAuthSchemeOptionResolver::new(vec![SCHEME_ID]),
        )));
        signing.set_identity_cache(Some(IdentityCache::no_cache()));
        signing.set_identity_resolver(SCHEME_ID, SharedCredentialsProvider::new(self.credentials.clone()));

        let operation = Operation::builder()
            .service_name("SSM")
            .operation_name("GetParameters")
            .behavior_version(BehaviorVersion::latest())
            .http_client(self.http_client.clone())
            .endpoint_url(&self.ssm_endpoint())
            .standard_retry(retries)
            .retry_classifier(TransientErrorClassifier::<SsmError>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(AwsErrorCodeClassifier::<SsmError>::new())
            .timeout_config(TimeoutConfig::builder().build())
            .runtime_plugin(
                StaticRuntimePlugin::new().with_config(layer.freeze()).with_runtime_components(signing),
            )
            .serializer(|names: Vec<String>| {
                let body = json!({ "Names": names, "WithDecryption": true }).to_string();
                let mut request = HttpRequest::new(SdkBody::from(body));
                request.set_method("POST")?;
                request.set_uri("/")?;
                request.headers_mut().insert("content-type", "application/x-amz-json-1.1");
                request.headers_mut().insert("x-amz-target", "AmazonSSM.GetParameters");
                Ok(request)
            })
            .deserializer(|response: &HttpResponse| {
                let body = response.body().bytes().unwrap_or_default();
                match serde_json::from_slice::<GetParametersOutput>(body) {
                    Ok(GetParametersOutput { parameters }) if response.status().is_success() => {
                        let value = |parameter: Parameter| (parameter.name, parameter.value);
                        Ok(parameters.into_iter().map(value).collect::<BTreeMap<_, _>>())
                    }
                    _ => Err(OrchestratorError::operation(SsmError::of(response))),
                }
            })
            .build();
        let values = operation.invoke(names.to_vec()).await;
        values.map_err(|error| {
            format!("GetParameters: {}", aws_sdk_dynamodb::error::DisplayErrorContext(error))
        })
    }

    /// Returns the URL of SSM: the configured one, or AWS's own in the region.
    fn ssm_endpoint(&self) -> String {
        let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        self.endpoints.ssm.clone().unwrap_or_else(|| format!("https://ssm.{}.{suffix}", self.region))
    }
}
