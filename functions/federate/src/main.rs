//! Runs the federate function in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    eko_service::shell::run_queue(eko_federate::NEEDS, eko_federate::handle).await
}
