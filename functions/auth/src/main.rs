//! Runs the auth function in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    eko_service::shell::run_http(eko_auth::NEEDS, eko_auth::router).await
}
