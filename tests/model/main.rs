//! A model of accounts in memory, and any sequence of what their users do: three users on two servers, each
//! of whom may move to another account. The servers give the answers of the model.
//!
//! A sequence whose answers differ is minimised and printed as a transcript. `EKO_MODEL_CASES` is the
//! number of sequences.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a panic is how a test fails")]

mod accounts;
mod ends;
mod reference;
mod sequences;
mod servers;
mod steps;

use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use proptest_state_machine::{ReferenceStateMachine as _, StateMachineTest as _};

use sequences::Reference;
use servers::Servers;

/// The number of sequences unless `EKO_MODEL_CASES` says another one. They take half a minute of one
/// processor.
const CASES: u32 = 14;
/// The most steps of a sequence.
const STEPS: usize = 80;

#[test]
fn the_servers_answer_as_the_model_does() {
    let asked = std::env::var("EKO_MODEL_CASES").ok().map(|cases| cases.parse().expect("a number"));
    let config = Config {
        cases: asked.unwrap_or(CASES),
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    // The usual cases are the same in each run.
    let mut runner = match asked {
        Some(_) => TestRunner::new(config.clone()),
        None => TestRunner::new_with_rng(config.clone(), TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    };
    let sequences = Reference::sequential_strategy(STEPS / 2..STEPS);
    let run = runner.run(&sequences, |(first, steps, seen)| {
        Servers::test_sequential(config.clone(), first, steps, seen);
        Ok(())
    });
    match run {
        Ok(()) => {}
        // The reason is the transcript of the shortest sequence.
        Err(TestError::Fail(transcript, _)) => panic!("{transcript}"),
        Err(TestError::Abort(why)) => panic!("{why}"),
    }
}
