//! Runs the socket function in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    eko_service::shell::run_socket(eko_socket::NEEDS, eko_socket::handle).await
}
