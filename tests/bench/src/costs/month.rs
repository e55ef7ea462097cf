//! A month of one device that gets no message.
//!
//! The times are those of the client library (`shared/client/src/messenger/live`).

use anyhow::ensure;
use eko_testkit::World;
use serde::Serialize;
use serde_json::json;

use super::Meter;
use super::live::connect;
use crate::prices::{PRICES, StepWork};

/// The seconds of a month.
const MONTH_S: f64 = 30.0 * 86_400.0;
/// The seconds between two fetches of a device without a socket.
const FETCH_S: f64 = 10.0;
/// The seconds for which an access token is good.
const TOKEN_S: f64 = 900.0;
/// The tokens that a device needs in a month, if it always has one.
pub(super) const TOKENS: f64 = MONTH_S / TOKEN_S;
/// The seconds after which a device on a socket gets another access token.
const AUTHENTICATE_S: f64 = TOKEN_S - 45.0;
/// The seconds for which a socket is open on average: a device replaces it after 100 to 110
/// minutes.
const SOCKET_S: f64 = 105.0 * 60.0;

/// A step of a month.
#[derive(Clone, Debug, Serialize)]
pub struct MonthStep {
    /// The name of the step.
    pub name: &'static str,
    /// The number of times that it is done in a month.
    pub times: f64,
    /// The work of one time.
    pub work: StepWork,
    /// The costs of a month, in dollars.
    pub dollars: f64,
}

/// A month of one device.
#[derive(Clone, Debug, Serialize)]
pub struct Month {
    /// The way of the device.
    pub name: &'static str,
    /// The steps.
    pub steps: Vec<MonthStep>,
    /// The costs of the month, in dollars.
    pub dollars: f64,
}

impl Month {
    fn new(name: &'static str) -> Self {
        Self { name, steps: Vec::new(), dollars: 0.0 }
    }

    /// Adds a step that is done once in so many seconds.
    fn push(&mut self, name: &'static str, every_s: f64, work: StepWork) {
        let times = (MONTH_S / every_s).round();
        let dollars = work.dollars(&PRICES) * times / 1e6;
        self.dollars += dollars;
        self.steps.push(MonthStep { name, times, work, dollars });
    }
}

/// Measures a device that fetches an empty mailbox every ten seconds.
pub(super) async fn polling() -> anyhow::Result<Month> {
    let world = World::live().await;
    let bob = world.user("bob").await;
    let mut month = Month::new("one device that fetches every ten seconds");
    let meter = Meter::new(&world);
    ensure!(bob.fetch().await?.entries.is_empty(), "the mailbox is not empty");
    month.push("fetch", FETCH_S, meter.read(1, 1).await?);
    bob.refresh().await?;
    month.push("renew the token", TOKEN_S, meter.read(1, 1).await?);
    Ok(month)
}

/// Measures a device that is connected all the time.
pub(super) async fn on_socket() -> anyhow::Result<Month> {
    let world = World::live().await;
    let bob = world.user("bob").await;
    let mut month = Month::new("one device on a socket");
    let minute = StepWork { connection_minutes: 1.0, ..StepWork::default() };
    month.push("a minute of the connection", 60.0, minute);
    let meter = Meter::new(&world);
    let mut socket = connect(&world, &bob).await?;
    // The connection itself is counted as a message, although the price list does not say so.
    month.push("connect, and fetch", SOCKET_S, meter.read_live(0, 2, 2).await?);
    bob.refresh().await?;
    let token = bob.tokens().map(|tokens| tokens.access);
    let told = socket.say(&json!({ "type": "Authenticate", "id": "1", "token": token })).await;
    ensure!(told == [json!({ "type": "Accept", "object": "1" })], "not accepted: {told:?}");
    month.push("renew the token", AUTHENTICATE_S, meter.read_live(1, 1, 2).await?);
    let told = socket.say(&json!({ "type": "Ping" })).await;
    ensure!(told == [json!({ "type": "Pong" })], "no answer: {told:?}");
    // Nine minutes after the answer to a token, and before the next token.
    month.push("ping", AUTHENTICATE_S, meter.read_live(0, 1, 1).await?);
    socket.close().await;
    month.push("disconnect", SOCKET_S, meter.read_live(0, 1, 1).await?);
    Ok(month)
}
