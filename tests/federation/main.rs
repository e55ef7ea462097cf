//! Tests of servers that share nothing and talk over TLS, on an internet inside the test: two of
//! ours, and scripted servers that are not ours.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod answers;
mod chains;
mod chaos;
mod costs;
mod deletion;
mod finding;
mod flags;
mod forms;
mod full;
mod losses;
mod moves;
mod moving;
mod outcomes;
mod patience;
mod queue;
mod receipts;
mod returning;
mod stranger_scene;
mod takes;
mod transcript;

use std::net::SocketAddr;

use eko_client::Device;
use eko_protocol::activity::{Report, ReportKind};
use eko_testkit::{DirectTransport, Internet, World};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// Two servers, with alice@a.example and bob@b.example.
struct ServerPair {
    internet: Internet,
    a: World,
    b: World,
    a_address: SocketAddr,
    b_address: SocketAddr,
    alice: Device<DirectTransport>,
    bob: Device<DirectTransport>,
}

impl ServerPair {
    /// Starts both servers on an internet of their own.
    async fn new() -> Self {
        let internet = Internet::new();
        let (a, a_address) = World::online(&internet, "a.example").await;
        let (b, b_address) = World::online(&internet, "b.example").await;
        let (alice, bob) = (a.user("alice").await, b.user("bob").await);
        Self { internet, a, b, a_address, b_address, alice, bob }
    }

    /// Pumps every queue of both servers until nothing moves.
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

/// Returns the kinds of reports, in the order of a mailbox.
fn kinds(reports: &[Report]) -> Vec<ReportKind> {
    reports.iter().map(|report| report.kind).collect()
}
