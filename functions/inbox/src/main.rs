//! Runs the inbox function in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    eko_service::shell::run_http(eko_inbox::NEEDS, eko_inbox::router).await
}
