//! Runs the push function in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    eko_service::shell::run_queue(eko_push::NEEDS, eko_push::handle).await
}
