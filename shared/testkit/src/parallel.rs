//! Runs futures at the same time, on all threads of the runtime.

use std::future::Future;

/// Runs each future as a task of its own. Returns their results in their order.
pub async fn parallel<F>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let tasks: Vec<_> = futures.into_iter().map(tokio::spawn).collect();
    let mut outcomes = Vec::with_capacity(tasks.len());
    for task in tasks {
        outcomes.push(task.await.expect("a task that does not panic"));
    }
    outcomes
}
