//! Runs the group-state function in Lambda.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    eko_service::shell::run_http(eko_group_state::NEEDS, eko_group_state::router).await
}
