//! `Delivered`: a device acknowledges entries of its mailbox and reports to their authors
//! (`docs/protocol.md`, section 6).
//!
//! One DeleteItem an entry, all at once; for each envelope among them one UpdateItem that claims the
//! receipt; one SendMessageBatch for the receipts that were won, and one for those to other servers.

use axum::response::{IntoResponse, Response};
use eko_protocol::Invalid;
use eko_protocol::activity::{self, DeliveredActivity};
use eko_protocol::id::{EntryKey, EnvelopeId};
use eko_service::caller::{Caller, check_actor};
use eko_service::{AppState, Federated, Problem};
use eko_store::StoreError;
use eko_store::deliveries::Report;
use eko_store::mailbox::{Addressed, Content, Entry};
use eko_store::parcels::{Body, Parcel};
use futures_util::future::join_all;
use http::StatusCode;
use serde_json::Value;

/// The receipt for an envelope, on its way to its author.
enum Receipt {
    /// To devices of this server.
    Here(Report),
    /// To another server.
    Elsewhere(Parcel),
}

/// An entry that was deleted, and the claim under which its receipt is sent.
struct Confirmed {
    entry: Entry,
    claim: [u8; 8],
}

pub(crate) async fn delivered(state: &Federated, caller: &Caller, body: &Value) -> Result<Response, Problem> {
    check_actor(state, caller, body)?;
    let keys = entry_keys(state, caller, body)?;
    let now_ms = state.now_ms();
    let store = state.store();
    let deleted =
        join_all(keys.iter().map(|key| store.delete_entry(&caller.user, &caller.device, key, now_ms))).await;
    // What was deleted is reported even where another deletion failed: the client sends those again.
    let mut failure: Option<Problem> = None;
    let mut entries = Vec::with_capacity(deleted.len());
    for deleted in deleted {
        match deleted {
            Ok(entry) => entries.extend(entry.map(|entry| Confirmed { entry, claim: state.random() })),
            Err(error) => failure = Some(error.into()),
        }
    }
    let receipts = join_all(entries.iter().map(|confirmed| receipt(state, caller, confirmed, now_ms))).await;
    let (mut here, mut elsewhere, mut unreported) = (Vec::new(), Vec::new(), Vec::new());
    for (confirmed, receipt) in entries.iter().zip(receipts) {
        match receipt {
            Ok(Some(Receipt::Here(report))) => here.push((confirmed, report)),
            Ok(Some(Receipt::Elsewhere(parcel))) => elsewhere.push((confirmed, parcel)),
            Ok(None) => {}
            Err(error) => {
                unreported.push(confirmed);
                failure = Some(error.into());
            }
        }
    }
    let (won_here, reports): (Vec<_>, Vec<_>) = here.into_iter().unzip();
    let (won_elsewhere, parcels): (Vec<_>, Vec<_>) = elsewhere.into_iter().unzip();
    let (local, remote) = tokio::join!(
        store.queue_reports(reports),
        store.queue_parcels(parcels, now_ms, || state.random_uuid())
    );
    for (queued, won) in [(local, won_here), (remote, won_elsewhere)] {
        if let Err(error) = queued {
            unreported.extend(won);
            failure = Some(error.into());
        }
    }
    undo(state, caller, &unreported).await;
    failure.map_or_else(|| Ok(StatusCode::NO_CONTENT.into_response()), Err)
}

/// Puts entries back whose receipts could not be queued, so that the client's next try finds them.
async fn undo(state: &AppState, caller: &Caller, unreported: &[&Confirmed]) {
    let store = state.store();
    for Confirmed { entry, claim } in unreported {
        let Content::Message(message) = &entry.content else { continue };
        let who = (&caller.user, &caller.device);
        let released = store.release_receipt(who, &message.author, &message.envelope, *claim).await;
        if let Err(error) = released {
            tracing::warn!(%error, "a receipt stays claimed without having been sent");
        }
    }
    let back = |confirmed: &&Confirmed| {
        let (user, device) = (caller.user.clone(), caller.device.clone());
        Addressed { user, device, entry: confirmed.entry.clone() }
    };
    store.put_entries(&unreported.iter().map(back).collect::<Vec<_>>()).await;
}

/// The entries' keys; they must be addresses in the caller's own inbox.
fn entry_keys(state: &AppState, caller: &Caller, body: &Value) -> Result<Vec<EntryKey>, Problem> {
    let delivered = DeliveredActivity::parse(body)?;
    let mut keys = Vec::with_capacity(delivered.entries.len());
    for (index, address) in delivered.entries.iter().enumerate() {
        match state.origin().parse_entry(address) {
            Some((user, key)) if user == caller.user => keys.push(key),
            _ => {
                let invalid =
                    Invalid::at(format!("/object/{index}"), "is not the address of an entry of yours");
                return Err(Problem::NotYours(invalid));
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}

/// The receipt for an entry's author, if this is the first device to confirm the envelope.
async fn receipt(
    state: &Federated,
    caller: &Caller,
    Confirmed { entry, claim }: &Confirmed,
    now_ms: i64,
) -> Result<Option<Receipt>, StoreError> {
    let Content::Message(message) = &entry.content else { return Ok(None) };
    let who = (&caller.user, &caller.device);
    if !state.store().claim_receipt(who, &message.author, &message.envelope, *claim).await? {
        return Ok(None);
    }
    let recipient = state.origin().actor(&caller.user);
    let id = EnvelopeId::parse(&message.envelope).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    let report = activity::Report::delivered(state.origin(), &caller.user, &message.author, &id);
    let activity = report.to_value(state.origin());
    Ok(match state.origin().parse_actor(&message.author) {
        Some(author) => Some(Receipt::Here(Report {
            to: author.to_string(),
            device: None,
            entry: EntryKey::new(now_ms.unsigned_abs(), &recipient, id.as_str()).to_string(),
            ttl: state.keep_until(now_ms),
            activity,
        })),
        // A server that does not federate any more has nowhere to send it.
        None if state.federates().is_none() => None,
        None => Some(Receipt::Elsewhere(Parcel {
            to: message.author.clone(),
            author: caller.user.to_string(),
            first: now_ms,
            not_before: None,
            expires: None,
            tell: None,
            body: Body::Text(activity.to_string()),
        })),
    })
}
