//! Runs the devices function in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    eko_service::shell::run_http(eko_devices::NEEDS, eko_devices::router).await
}
