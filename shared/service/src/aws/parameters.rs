//! SSM's GetParameters, over the SDK's own runtime: its signing, retries, time-outs and connections, without
//! `aws-sdk-ssm`. That crate is twice the size of DynamoDB's, for one operation of its 150
//! (`docs/decisions/0012-lambda-diet.md`).

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

use super::Account;

/// SSM's answer, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    parameters: Vec<Parameter>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Parameter {
    name: String,
    value: String,
}

/// What SSM answered instead.
#[derive(Debug, thiserror::Error)]
#[error("SSM answers {status}: {metadata}")]
struct Refused {
    status: u16,
    metadata: ErrorMetadata,
}

/// AWS's errors in JSON: `{"__type": "ThrottlingException", "message": "…"}`.
#[derive(Default, Deserialize)]
struct Fault {
    #[serde(default, rename = "__type")]
    kind: String,
    #[serde(default, alias = "Message")]
    message: String,
}

impl Refused {
    fn of(response: &HttpResponse) -> Self {
        let fault: Fault =
            serde_json::from_slice(response.body().bytes().unwrap_or_default()).unwrap_or_default();
        let code = fault.kind.rsplit('#').next().unwrap_or_default();
        let metadata = ErrorMetadata::builder().code(code).message(fault.message).build();
        Self { status: response.status().as_u16(), metadata }
    }
}

impl ProvideErrorMetadata for Refused {
    fn meta(&self) -> &ErrorMetadata {
        &self.metadata
    }
}

impl Account {
    /// The values of SecureString parameters by their names, at most ten; those that do not exist are left out.
    ///
    /// # Errors
    /// SSM does not answer, or refuses.
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
            .retry_classifier(TransientErrorClassifier::<Refused>::new())
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(AwsErrorCodeClassifier::<Refused>::new())
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
                match serde_json::from_slice::<Answer>(body) {
                    Ok(Answer { parameters }) if response.status().is_success() => {
                        let value = |parameter: Parameter| (parameter.name, parameter.value);
                        Ok(parameters.into_iter().map(value).collect::<BTreeMap<_, _>>())
                    }
                    _ => Err(OrchestratorError::operation(Refused::of(response))),
                }
            })
            .build();
        let told = operation.invoke(names.to_vec()).await;
        told.map_err(|error| {
            format!("GetParameters: {}", aws_sdk_dynamodb::error::DisplayErrorContext(error))
        })
    }

    /// Where SSM is: as said, or as AWS has it in every region of a partition.
    fn ssm_endpoint(&self) -> String {
        let suffix = if self.region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        self.endpoints.ssm.clone().unwrap_or_else(|| format!("https://ssm.{}.{suffix}", self.region))
    }
}
