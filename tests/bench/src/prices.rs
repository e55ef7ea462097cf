//! The price list of the arithmetic.

use serde::Serialize;

use crate::capacity::Consumption;

/// AWS's list prices in us-east-1, without free tiers, in dollars for a million. They were read on
/// [`Prices::read_on`].
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Prices {
    /// The date on which the prices were read.
    pub read_on: &'static str,
    /// Requests to an HTTP API, up to 512 KB each.
    pub http_api: f64,
    /// Messages of a WebSocket API in either direction, up to 32 KB each.
    pub socket_messages: f64,
    /// Minutes of a connection to a WebSocket API.
    pub connection_minutes: f64,
    /// Invocations of Lambda functions.
    pub invocations: f64,
    /// Milliseconds of a Lambda function on arm64 with [`Prices::memory_mb`].
    pub lambda_ms: f64,
    /// The memory that the template gives a function.
    pub memory_mb: u32,
    /// DynamoDB write request units, on demand.
    pub write_units: f64,
    /// DynamoDB read request units, on demand.
    pub read_units: f64,
    /// SQS standard requests.
    pub sqs_requests: f64,
}

/// The list prices of 2026. $0.0000133334 for a GB-second is $0.0033 for a million milliseconds of
/// a quarter of a GB.
pub const PRICES: Prices = Prices {
    read_on: "2026-11-23",
    http_api: 1.00,
    socket_messages: 1.00,
    connection_minutes: 0.25,
    invocations: 0.20,
    lambda_ms: 0.000_013_333_4 * 0.25 * 1_000.0,
    memory_mb: 256,
    write_units: 0.625,
    read_units: 0.125,
    sqs_requests: 0.40,
};

/// The work of a step.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct StepWork {
    /// Requests to the API.
    pub api_requests: f64,
    /// Messages on sockets, in either direction.
    pub socket_messages: f64,
    /// Minutes of open sockets.
    pub connection_minutes: f64,
    /// Invocations.
    pub invocations: f64,
    /// Milliseconds that are billed for the invocations.
    pub lambda_ms: f64,
    /// Capacity of DynamoDB and SQS.
    pub consumed: Consumption,
}

impl StepWork {
    /// Returns the costs of a million times this work, in dollars.
    pub fn dollars(&self, prices: &Prices) -> f64 {
        self.api_requests * prices.http_api
            + self.socket_messages * prices.socket_messages
            + self.connection_minutes * prices.connection_minutes
            + self.invocations * prices.invocations
            + self.lambda_ms * prices.lambda_ms
            + self.consumed.write_units * prices.write_units
            + self.consumed.read_units * prices.read_units
            + self.consumed.sqs_requests * prices.sqs_requests
    }

    /// Returns one of `times` equal parts of this work.
    pub fn a_part(self, times: f64) -> Self {
        let c = self.consumed;
        Self {
            api_requests: self.api_requests / times,
            socket_messages: self.socket_messages / times,
            connection_minutes: self.connection_minutes / times,
            invocations: self.invocations / times,
            lambda_ms: self.lambda_ms / times,
            consumed: Consumption {
                read_units: c.read_units / times,
                write_units: c.write_units / times,
                sqs_requests: c.sqs_requests / times,
                calls: c.calls,
            },
        }
    }
}

impl std::ops::AddAssign for StepWork {
    fn add_assign(&mut self, other: Self) {
        self.api_requests += other.api_requests;
        self.socket_messages += other.socket_messages;
        self.connection_minutes += other.connection_minutes;
        self.invocations += other.invocations;
        self.lambda_ms += other.lambda_ms;
        self.consumed += other.consumed;
    }
}
