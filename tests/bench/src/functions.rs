//! The functions that are measured.

use eko_service::config::Needs;

/// A function, its needs, and the subject of its figures.
pub struct MeasuredFunction {
    /// The name of the function, of its folder and of its executable.
    pub name: &'static str,
    /// The settings that the function needs.
    pub needs: Needs,
    /// The event that it is measured with, for the table.
    pub asked: &'static str,
    /// The number of AWS services that it connects to in init.
    pub connections: u64,
    /// True if it talks to AWS only.
    pub aws_only: bool,
}

/// All functions.
pub const FUNCTIONS: [MeasuredFunction; 11] = [
    MeasuredFunction {
        name: "deliver",
        needs: eko_deliver::NEEDS,
        asked: "a batch of one message for two devices",
        connections: 1,
        aws_only: true,
    },
    MeasuredFunction {
        name: "devices",
        needs: eko_devices::NEEDS,
        asked: "GET inbox with one entry",
        connections: 2,
        aws_only: true,
    },
    MeasuredFunction {
        name: "discovery",
        needs: eko_discovery::NEEDS,
        asked: "GET an actor",
        connections: 2,
        aws_only: true,
    },
    MeasuredFunction {
        name: "group-state",
        needs: eko_group_state::NEEDS,
        asked: "PUT a state of 4 KB in the place of another one",
        connections: 2,
        aws_only: true,
    },
    MeasuredFunction {
        name: "key-packages",
        needs: eko_key_packages::NEEDS,
        asked: "GET the packages of two devices",
        connections: 2,
        aws_only: true,
    },
    MeasuredFunction {
        name: "socket",
        needs: eko_socket::NEEDS,
        asked: "a `Fetch` of an empty mailbox on a socket",
        connections: 2,
        aws_only: true,
    },
    MeasuredFunction {
        name: "auth",
        needs: eko_auth::NEEDS,
        asked: "POST a refresh",
        connections: 3,
        aws_only: false,
    },
    MeasuredFunction {
        name: "outbox",
        needs: eko_outbox::NEEDS,
        asked: "POST a message to two devices",
        connections: 3,
        aws_only: false,
    },
    MeasuredFunction {
        name: "inbox",
        needs: eko_inbox::NEEDS,
        asked: "POST a signed message to two devices, its author known",
        connections: 3,
        aws_only: false,
    },
    MeasuredFunction {
        name: "federate",
        needs: eko_federate::NEEDS,
        asked: "a batch of one message for another server, over plain HTTP",
        connections: 3,
        aws_only: false,
    },
    MeasuredFunction {
        name: "push",
        needs: eko_push::NEEDS,
        asked: "an order of a push that is sent already",
        connections: 2,
        aws_only: false,
    },
];
