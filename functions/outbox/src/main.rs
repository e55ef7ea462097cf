//! Runs the outbox function in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    eko_service::shell::run_http(eko_outbox::NEEDS, eko_outbox::router).await
}
