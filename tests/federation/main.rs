//! Servers that share nothing, over TLS on an internet of the test's own: two of ours, and strangers that are
//! scripted.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod answers;
mod chaos;
mod costs;
mod finding;
mod outcomes;
mod queue;
mod receipts;
mod takes;

use std::net::SocketAddr;

use eko_client::Device;
use eko_protocol::activity::{Report, ReportKind};
use eko_testkit::{Direct, Internet, World};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// alice@a.example and bob@b.example.
struct Pair {
    internet: Internet,
    a: World,
    b: World,
    b_address: SocketAddr,
    alice: Device<Direct>,
    bob: Device<Direct>,
}

impl Pair {
    async fn new() -> Self {
        let internet = Internet::new();
        let (a, _) = World::online(&internet, "a.example").await;
        let (b, b_address) = World::online(&internet, "b.example").await;
        let (alice, bob) = (a.user("alice").await, b.user("bob").await);
        Self { internet, a, b, b_address, alice, bob }
    }

    /// Pumps every queue of both until nothing moves.
    async fn settle(&self) {
        loop {
            let mut moved = 0;
            for world in [&self.a, &self.b] {
                moved += world.deliver().await + world.federate().await;
            }
            if moved == 0 {
                return;
            }
        }
    }
}

/// Kinds of reports, in the order of a mailbox.
fn kinds(reports: &[Report]) -> Vec<ReportKind> {
    reports.iter().map(|report| report.kind).collect()
}
