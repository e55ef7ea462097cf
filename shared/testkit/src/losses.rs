//! Lost answers: work is done once for each of its calls to AWS, and that call's answer is lost.

use crate::{CallFault, Calls, Feature};

/// The most attempts at a piece of work.
const ATTEMPTS: usize = 3;

/// Loses the answer to each call that `work` makes, one in each run, in two ways: the SDK repeats
/// the call, or the process dies after the call was performed. Each run has a scene of its own,
/// which `make` makes; `calls_of` names the calls in it.
///
/// `work` is told the number of the attempt, from 0, and is repeated after the process has died, as
/// a client or a queue does it. A single lost answer must not fail it. `check` is told the run, and
/// panics if the scene is not as it is after a run in which nothing is lost.
///
/// # Panics
/// `work` fails after one lost answer, or does not succeed in its third attempt.
pub async fn lose_each_answer<S>(
    make: impl AsyncFn() -> S,
    calls_of: impl Fn(&S) -> &Calls,
    work: impl AsyncFn(&S, usize) -> Result<(), String>,
    check: impl AsyncFn(&S, &str),
) {
    let scene = make().await;
    let calls = calls_of(&scene);
    calls.reset();
    work(&scene, 0).await.expect("nothing is lost");
    let made = calls.made();
    check(&scene, "nothing is lost").await;
    for (place, operation) in made.iter().enumerate() {
        for fault in [CallFault::AnswerLost, CallFault::ProcessDies] {
            let is_repeated = operation == "TransactWriteItems" && fault == CallFault::AnswerLost;
            if is_repeated && Feature::TransactionTokens.is_lacking().await {
                continue;
            }
            let run = format!("{fault:?} at call {place} of {made:?}: {operation}");
            let scene = make().await;
            let calls = calls_of(&scene);
            calls.reset();
            calls.fail_at(place, fault);
            let mut outcome = None;
            for attempt in 0..ATTEMPTS {
                outcome = calls.until_death(work(&scene, attempt)).await;
                if matches!(outcome, Some(Ok(()))) || fault == CallFault::AnswerLost {
                    break;
                }
            }
            assert!(matches!(outcome, Some(Ok(()))), "{run}: {outcome:?}");
            check(&scene, &run).await;
        }
    }
}
