//! The function behind the queue `federation`: activities that wait for another server (`docs/protocol.md`,
//! sections 5 and 7).
//!
//! A batch costs one BatchGetItem for how its servers fare, and a ChangeMessageVisibilityBatch where something
//! has to wait. One attempt a receive, signed anew; what fails is hidden for as long again as it has waited,
//! and tried for 48 hours. A server that fails is left alone by everyone until its pause is over, then one
//! message tries it. What becomes of an envelope is told to the device that sent it.

mod parcel;
mod wait;

use std::collections::BTreeMap;

use eko_protocol::address::Origin;
use eko_service::QueueMessage;
use eko_service::config::Needs;
use eko_service::{AppState, Federated, Problem, dispatch};
use eko_store::deliveries::Report;
use eko_store::hosts::HostRecord;
use eko_store::parcels::Parcel;
use futures_util::future::join_all;

use parcel::Fate;

/// What this function has to be told.
pub const NEEDS: Needs = Needs { signing_key: true, deliveries: true, parcels: true, ..Needs::NOTHING };

/// A message with the parcel in it.
struct Received {
    message: QueueMessage,
    parcel: Parcel,
}

/// What a batch comes to.
#[derive(Default)]
struct Settled {
    /// Ids of messages that come back by the queue's own timeout.
    failed: Vec<String>,
    /// Messages that are hidden until a time, epoch milliseconds.
    waiting: Vec<(QueueMessage, i64)>,
    /// Messages that are done, and what their senders are told.
    done: Vec<(Received, Option<Report>)>,
}

/// Tries what a batch holds; answers the ids of the messages that stay in the queue.
pub async fn handle(state: Federated, batch: Vec<QueueMessage>) -> Vec<String> {
    let mut settled = Settled::default();
    let mut by_host: BTreeMap<Origin, Vec<Received>> = BTreeMap::new();
    for message in batch {
        match serde_json::from_str::<Parcel>(&message.body).map(|parcel| (Origin::of(&parcel.to), parcel)) {
            Ok((Some(origin), parcel)) => {
                let received = Received { message, parcel };
                match parcel::too_early(&state, &received.parcel) {
                    Some(fate) => sort(&state, &origin, received, Ok(fate), &mut settled),
                    None => by_host.entry(origin).or_default().push(received),
                }
            }
            _ => {
                tracing::error!(message = message.id, "not a parcel");
                settled.failed.push(message.id);
            }
        }
    }
    let authorities: Vec<&str> = by_host.keys().map(Origin::authority).collect();
    let hosts = match state.store().hosts(&authorities).await {
        Ok(hosts) => hosts,
        Err(error) => {
            tracing::error!(%error, "nothing can be delivered to other servers");
            settled.failed.extend(by_host.into_values().flatten().map(|received| received.message.id));
            return settle(&state, settled).await;
        }
    };
    let groups = by_host.into_iter().zip(hosts);
    let groups = join_all(groups.map(|((origin, group), host)| deliver(&state, origin, group, host))).await;
    for group in groups {
        settled.failed.extend(group.failed);
        settled.waiting.extend(group.waiting);
        settled.done.extend(group.done);
    }
    settle(&state, settled).await
}

/// Tries what is for one server: one first, and all others at once if the server answers that. So a server that
/// does not costs a batch one connection.
async fn deliver(state: &Federated, origin: Origin, mut group: Vec<Received>, host: HostRecord) -> Settled {
    let mut settled = Settled::default();
    if group.is_empty() {
        return settled;
    }
    let closed = match dispatch::admitted(state, &origin, &host).await {
        Ok(Err(until_ms)) => Some(until_ms),
        Ok(Ok(())) => {
            let first = group.remove(0);
            let fate = parcel::attempt(state, &origin, &host, &first.parcel).await;
            let closed = match &fate {
                Ok(Fate::Wait { until_ms, whole_server: true }) => Some(*until_ms),
                _ => None,
            };
            sort(state, &origin, first, fate, &mut settled);
            closed
        }
        Err(problem) => {
            log(&origin, &problem);
            settled.failed.extend(group.into_iter().map(|received| received.message.id));
            return settled;
        }
    };
    if let Some(until_ms) = closed {
        for received in group {
            let fate = parcel::postponed(state, &origin, &host, &received.parcel, until_ms);
            sort(state, &origin, received, Ok(fate), &mut settled);
        }
        return settled;
    }
    // The first has shown how it fares: nothing of a failure is left to note.
    let host = HostRecord { wants_cavage: host.wants_cavage, ..HostRecord::default() };
    let attempts = group.iter().map(|one| parcel::attempt(state, &origin, &host, &one.parcel));
    let fates = join_all(attempts).await;
    for (received, fate) in group.into_iter().zip(fates) {
        sort(state, &origin, received, fate, &mut settled);
    }
    settled
}

/// Puts a message where its fate belongs.
fn sort(
    state: &AppState,
    origin: &Origin,
    received: Received,
    fate: Result<Fate, Problem>,
    settled: &mut Settled,
) {
    match fate {
        Ok(Fate::Done(report)) => settled.done.push((received, report)),
        Ok(Fate::Wait { until_ms, .. }) => {
            let until_ms = wait::with_jitter(state, until_ms);
            settled.waiting.push((received.message, until_ms));
        }
        Err(problem) => {
            log(origin, &problem);
            settled.failed.push(received.message.id);
        }
    }
}

/// Tells the senders, removes what was stored, hides what waits. What cannot be told stays in the queue, and is
/// tried again: the other server knows the envelope by its id.
async fn settle(state: &AppState, settled: Settled) -> Vec<String> {
    let Settled { mut failed, waiting, done } = settled;
    let store = state.store();
    let (received, reports): (Vec<_>, Vec<_>) = done.into_iter().unzip();
    let told = store.queue_reports(reports.into_iter().flatten().collect()).await;
    match told {
        Ok(()) => {
            for Received { message, parcel } in received {
                // What is left of a body goes by its time to live.
                if let Err(error) = store.discard_parcel(&parcel.body).await {
                    tracing::warn!(message = message.id, %error, "the body of a delivered activity stays");
                }
            }
        }
        Err(error) => {
            tracing::error!(%error, "the outcome could not be queued");
            failed.extend(received.into_iter().map(|received| received.message.id));
        }
    }
    let now_ms = state.now_ms();
    let receipts: Vec<(String, i64)> =
        waiting.iter().map(|(message, until)| (message.receipt.clone(), *until)).collect();
    if let Err(error) = store.postpone_parcels(&receipts, now_ms).await {
        tracing::warn!(%error, "messages come back by the queue's timeout");
    }
    failed.extend(waiting.into_iter().map(|(message, _)| message.id));
    failed
}

fn log(origin: &Origin, problem: &Problem) {
    tracing::error!(host = origin.authority(), ?problem, "an attempt could not be made");
}
