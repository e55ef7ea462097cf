//! An envelope for a user of another server (`docs/protocol.md`, sections 5 and 7).
//!
//! Three AWS calls in two rounds, and the POST: the own devices, the copy of the recipient and the state of its
//! server in one BatchGetItem, the budget beside it; the record that it is sent, before it is, so that no
//! report on it comes too early. What cannot be delivered now is queued: one SendMessageBatch, and an
//! UpdateItem where the other server begins to fail.

use std::time::Duration;

use axum::response::Response;
use bytes::Bytes;
use eko_federation::StoredActor;
use eko_federation::post::Verdict;
use eko_protocol::activity::{DeliveryProgress, Report};
use eko_protocol::envelope::Create;
use eko_protocol::id;
use eko_service::acceptance;
use eko_service::caller::{Caller, inactive};
use eko_service::dispatch::{self, Attempt, Attempted};
use eko_service::{Federated, Problem};
use eko_store::parcels::{Body, Parcel, Tell};
use http::StatusCode;

use crate::create::{accepted, reported};

/// How long what just failed waits at least for the next attempt, in milliseconds.
const FIRST_WAIT_MS: i64 = 5_000;

pub(crate) async fn send(state: &Federated, caller: &Caller, create: &Create) -> Result<Response, Problem> {
    let federation = state.federation("/to")?;
    let origin = federation.permitted(&create.to)?;
    create.check_devices_on(&origin)?;
    let (sending, spent) = tokio::join!(
        state.store().send_context(&caller.user, &create.to, origin.authority()),
        acceptance::spend(state, create, &create.to)
    );
    let sending = sending?;
    let own = sending.author.ok_or(Problem::DeviceRevoked)?;
    if !own.active.contains_key(&caller.device) {
        return Err(inactive(&own, &caller.device));
    }
    spent?;
    let now_ms = state.now_ms();
    let sender = (&caller.user, &caller.device);
    let keep_until = state.keep_until(now_ms);
    let sent = state.store().record_sent(sender, &origin, create.id.as_str(), now_ms, keep_until).await?;
    let activity = id::activity_uuid(sent.sent_ms.unsigned_abs(), &create.actor, create.id.as_str());
    let activity = state.origin().activity(&activity);
    let body = Bytes::from(create.to_value(state.origin(), &activity).to_string());

    let settings = state.config().federation.as_ref();
    let attempted = match dispatch::admitted(state, &origin, &sending.host).await? {
        Err(until_ms) => Attempted::Later { why: sending.host.why, until_ms, whole_server: true },
        Ok(()) => {
            let attempt = Attempt {
                to: &create.to,
                origin: &origin,
                host: &sending.host,
                copy: StoredActor::Read(sending.recipient),
                author: &caller.user,
                body: &body,
                time: Duration::from_millis(settings.map_or(0, |settings| settings.send_ms)),
            };
            dispatch::attempt(state, federation, attempt).await?
        }
    };
    let refused = |why: &str| {
        let report = Report::undeliverable(state.origin(), &create.actor, &create.id, why);
        reported(state, StatusCode::CONFLICT, &report)
    };
    // The report is the other server's, but who it is for is not its to say.
    let own = |report| Report { to: create.actor.clone(), ..report };
    match attempted {
        Attempted::Answered(response) => match Verdict::of(&response, &create.to, create.id.as_str()) {
            Verdict::Accepted => Ok(accepted(state, create, &activity, DeliveryProgress::Done)),
            Verdict::Partial(report) => Ok(reported(state, StatusCode::MULTI_STATUS, &own(report))),
            Verdict::Rejected(report) => Ok(reported(state, StatusCode::CONFLICT, &own(report))),
            Verdict::UnknownRecipient => Err(Problem::NotFound("user")),
            Verdict::Refused(why) => Ok(refused(&format!("{}: {why}", origin.authority()))),
        },
        Attempted::Never(why) => Ok(refused(&why)),
        Attempted::Later { until_ms, .. } => {
            let parcel = Parcel {
                to: create.to.clone(),
                author: caller.user.to_string(),
                first: now_ms,
                not_before: Some(until_ms.max(now_ms.saturating_add(FIRST_WAIT_MS))),
                expires: create.expires_ms,
                tell: Some(Tell {
                    device: caller.device.to_string(),
                    envelope: create.id.as_str().to_owned(),
                }),
                body: Body::Text(String::from_utf8_lossy(&body).into_owned()),
            };
            state.store().queue_parcels(vec![parcel], now_ms, || state.random_uuid()).await?;
            Ok(accepted(state, create, &activity, DeliveryProgress::Queued))
        }
    }
}
