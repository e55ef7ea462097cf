//! Runs the key-packages function in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    eko_service::shell::run_http(eko_key_packages::NEEDS, eko_key_packages::router).await
}
