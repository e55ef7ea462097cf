//! Controls that a malicious user makes by hand, and sends to whom it wants.

use eko_client::group::{GroupChange, GroupControl, GroupSigner, GroupState};
use eko_client::messenger::Person;
use eko_client::{Messenger, SignalSessions};
use serde_json::Value;

use crate::forging::{Forger, ForgingSessions};
use crate::people::text;
use crate::test_network::TestNetwork;

/// Has the device of a client sign controls and grants.
pub(crate) fn signing<S: SignalSessions, R>(
    client: &Messenger<TestNetwork, S>,
    work: impl FnOnce(&GroupSigner<'_>) -> R,
) -> R {
    let device = client.device();
    work(&GroupSigner {
        actor: &device.actor(),
        device: &device.address(),
        identity: device.keys().identity(),
        device_set: None,
        environment: device.environment(),
    })
}

/// Returns a control of this client, which need not make sense.
pub(crate) fn control<S: SignalSessions>(
    client: &Messenger<TestNetwork, S>,
    change: GroupChange,
    previous: Option<&GroupState>,
    state: &GroupState,
) -> GroupControl {
    signing(client, |signer| GroupControl::seal(change, previous, state, signer)).unwrap()
}

/// Sends an activity to one person, and to nobody else.
pub(crate) async fn send(sessions: &ForgingSessions, from: &Forger, to: &Person, activity: Value) {
    sessions.forge(move |said| *said = activity.clone());
    from.send(to, text("something else")).await.unwrap();
    sessions.forge(|_| {});
}

/// Sends a control to one person, and to nobody else.
pub(crate) async fn send_control(
    sessions: &ForgingSessions,
    from: &Forger,
    to: &Person,
    control: &GroupControl,
) {
    send(sessions, from, to, control.to_value()).await;
}
