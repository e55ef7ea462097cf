//! Runs the discovery function in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    eko_service::shell::run_http(eko_discovery::NEEDS, eko_discovery::router).await
}
