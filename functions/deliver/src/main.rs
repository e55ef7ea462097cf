//! Runs the deliver function in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    eko_service::shell::run_queue(eko_deliver::NEEDS, eko_deliver::handle).await
}
