//! The features of AWS that another engine may lack. Tests that need one ask for it, and leave a
//! part out where it is not there. The embedded engines have all of them.
//!
//! An engine lacks a feature if it fails the feature's probe: calls of the SDK on a table or a queue
//! of their own, without any code of the server. An exception therefore ends by itself when the
//! engine gets the feature, and a fault of the server cannot hide behind it. `EKO_TEST_DYNAMODB` and
//! `EKO_TEST_SQS` may name the engines: a test then fails if the probe and [`ANNOUNCED`] differ.

mod probes;

use std::io::Write as _;

use tokio::sync::OnceCell;

use crate::backend;

/// A feature of AWS that some engine lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// SQS takes messages of up to 1 MiB.
    LargeMessages,
    /// A page of a Query ends at 1 MB.
    PageEnds,
    /// A transaction that is sent again with its `ClientRequestToken` is not performed again.
    TransactionTokens,
}

/// The exceptions: the engine with its version, and the feature that it lacks.
pub const ANNOUNCED: &[(&str, Feature)] = &[
    ("ministack 1.4.21", Feature::LargeMessages),
    ("ministack 1.4.21", Feature::PageEnds),
    ("moto 5.2.5", Feature::TransactionTokens),
];

// The outcomes of the probes, true if the engine lacks the feature.
static LARGE_MESSAGES: OnceCell<bool> = OnceCell::const_new();
static PAGE_ENDS: OnceCell<bool> = OnceCell::const_new();
static TRANSACTION_TOKENS: OnceCell<bool> = OnceCell::const_new();

impl Feature {
    /// True if the engine of the feature's service lacks it. Says so on standard error, with the
    /// name of the test. The probe runs once for each process.
    ///
    /// # Panics
    /// The environment names the engine, and [`ANNOUNCED`] says otherwise about it.
    pub async fn is_lacking(self) -> bool {
        let endpoints = backend::endpoints();
        let (endpoint, name) = match self {
            Self::LargeMessages => (endpoints.sqs, "EKO_TEST_SQS"),
            Self::PageEnds | Self::TransactionTokens => (endpoints.dynamodb, "EKO_TEST_DYNAMODB"),
        };
        if endpoint.is_none() {
            return false;
        }
        let is_lacking = *match self {
            Self::LargeMessages => LARGE_MESSAGES.get_or_init(probes::refuses_large_messages).await,
            Self::PageEnds => PAGE_ENDS.get_or_init(probes::answers_large_pages).await,
            Self::TransactionTokens => TRANSACTION_TOKENS.get_or_init(probes::repeats_transactions).await,
        };
        if let Some(engine) = std::env::var(name).ok().filter(|name| !name.is_empty()) {
            let is_announced = ANNOUNCED.contains(&(engine.as_str(), self));
            assert_eq!(is_lacking, is_announced, "{engine}: is the feature {self:?} lacking, and announced?");
        }
        if is_lacking {
            left_out(self);
        }
        is_lacking
    }
}

/// Reports on standard error that a test leaves a part out. It avoids the printing macros, whose
/// output the test harness captures.
fn left_out(feature: Feature) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let _ = writeln!(std::io::stderr(), "left out of {test}: the engine lacks {feature:?}");
}
