//! Follows.

/// Runs the demo.
pub async fn run(_url: &str) -> anyhow::Result<()> {
    Ok(())
}
