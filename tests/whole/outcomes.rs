//! The outcomes of a send, unwrapped: each function panics unless the send came to the outcome in
//! its name.

use eko_client::device::SendOutcome;
use eko_protocol::activity::Report;

/// Returns the id of the activity that the server made of an accepted envelope.
pub(crate) fn accepted(outcome: SendOutcome) -> String {
    match outcome {
        SendOutcome::Accepted { activity } => activity,
        other => panic!("{other:?}"),
    }
}

/// Returns the `PartialDelivery` of an envelope that leaves out active devices.
pub(crate) fn partial(outcome: SendOutcome) -> Report {
    match outcome {
        SendOutcome::Partial(report) => report,
        other => panic!("{other:?}"),
    }
}

/// Returns the `Reject` of an envelope that names a stale device.
pub(crate) fn rejected(outcome: SendOutcome) -> Report {
    match outcome {
        SendOutcome::Rejected(report) => report,
        other => panic!("{other:?}"),
    }
}
