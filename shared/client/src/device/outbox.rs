//! Sending envelopes (section 5) and acknowledging entries (section 6).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::activity::{Report, activity_type};
use eko_protocol::address::{Origin, UserName};
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::flag::Flag;
use eko_protocol::id::{DeviceId, EnvelopeId};
use eko_protocol::json::text;
use eko_protocol::key::FrankingTag;
use eko_protocol::timestamp;
use eko_protocol::vocabulary::{context, in_context};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::Device;
use crate::{Auth, Body, ClientError, Exchange, Transport};

/// The answer of a server to a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportOutcome {
    /// The server has the report.
    Accepted,
    /// The user has reported the message today already. That report stays as it was.
    Repeated,
}

/// An envelope that is ready to be sent: ciphertexts for devices of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutgoingEnvelope {
    /// The name of the user whose devices they are for.
    pub to: UserName,
    /// The server of that user, or `None` if it is the author's own.
    pub origin: Option<Origin>,
    /// The envelope's id. It stays the same when the envelope is sent again or completed.
    pub id: EnvelopeId,
    /// The ciphertexts, by device.
    pub messages: Vec<(DeviceId, Vec<u8>)>,
    /// True if the envelope wakes the devices.
    pub notify: bool,
    /// The time after which the envelope is useless, in epoch milliseconds.
    pub expires_ms: Option<i64>,
    /// The recipient's device set as the author last saw it.
    pub device_set: Option<DeviceSetRef>,
    /// The commitment to the content, by which the recipient can report it.
    pub franking: Option<FrankingTag>,
}

impl OutgoingEnvelope {
    /// Returns an envelope that wakes the devices and lives as long as the server keeps it.
    pub fn new(to: UserName, id: EnvelopeId, messages: Vec<(DeviceId, Vec<u8>)>) -> Self {
        Self {
            to,
            origin: None,
            id,
            messages,
            notify: true,
            expires_ms: None,
            device_set: None,
            franking: None,
        }
    }

    /// Sets the server of the recipient.
    pub fn at(self, origin: &Origin) -> Self {
        Self { origin: Some(origin.clone()), ..self }
    }
}

/// The outcome of sending an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutcome {
    /// Every device of the recipient has its ciphertext, or will have it.
    Accepted {
        /// The URL of the activity.
        activity: String,
    },
    /// The recipient's server cannot be reached yet. A report in the mailbox brings the outcome.
    Queued {
        /// The URL of the activity.
        activity: String,
    },
    /// Some ciphertexts are queued. The report names the devices that lack one; they are sent
    /// theirs under the same envelope id.
    Partial(Report),
    /// Nothing is queued, because the envelope names devices that are not the recipient's.
    Rejected(Report),
}

impl<T: Transport> Device<T> {
    /// Returns a fresh id for an envelope of this user.
    pub fn envelope_id(&self) -> EnvelopeId {
        self.environment.envelope_id(&self.origin)
    }

    /// POST `/user/{name}/outbox` with `Create`: sends an envelope.
    ///
    /// # Errors
    /// The problem `not-found` if there is no such recipient, `invalid` if the envelope breaks a
    /// rule, `too-many` if a budget is used up.
    pub async fn send(&self, outgoing: &OutgoingEnvelope) -> Result<SendOutcome, ClientError> {
        let (url, body) = (self.origin.outbox(&self.user), self.create_activity(outgoing));
        let answer = self.call(Method::POST, &url, Body::Json(&body), Auth::Device).await?;
        match answer.status {
            StatusCode::CREATED => Ok(SendOutcome::Accepted { activity: activity_id(&answer)? }),
            StatusCode::ACCEPTED => Ok(SendOutcome::Queued { activity: activity_id(&answer)? }),
            StatusCode::MULTI_STATUS => Ok(SendOutcome::Partial(report(&answer, outgoing)?)),
            StatusCode::CONFLICT if answer.problem().is_none() => {
                Ok(SendOutcome::Rejected(report(&answer, outgoing)?))
            }
            _ => Err(answer.refusal()),
        }
    }

    /// Returns the `Create` activity that [`Device::send`] sends.
    pub fn create_activity(&self, outgoing: &OutgoingEnvelope) -> Value {
        let from = self.address();
        let there = outgoing.origin.as_ref().unwrap_or(&self.origin);
        let message = |(device, content): &(DeviceId, Vec<u8>)| {
            let to = there.device(&outgoing.to, device);
            json!({ "to": to, "from": from, "content": STANDARD.encode(content) })
        };
        let mut envelope = json!({
            "type": ["Object", "SignalEnvelope"],
            "id": outgoing.id,
            "published": timestamp::format(self.environment.now_ms()),
            "notify": outgoing.notify,
            "messages": outgoing.messages.iter().map(message).collect::<Vec<_>>(),
        });
        if let Some(members) = envelope.as_object_mut() {
            if let Some(ms) = outgoing.expires_ms {
                members.insert("expires".to_owned(), json!(timestamp::format(ms)));
            }
            if let Some(set) = &outgoing.device_set {
                members.insert("eko:deviceSet".to_owned(), json!(set));
            }
            if let Some(tag) = &outgoing.franking {
                members.insert("eko:franking".to_owned(), json!({ "tag": tag }));
            }
        }
        json!({
            "@context": context(),
            "type": "Create",
            "actor": self.actor(),
            "to": there.actor(&outgoing.to),
            "object": envelope,
        })
    }

    /// POST `/user/{name}/outbox` with `Flag`: reports a message to the operators of this user's server
    /// and of its author's. Whether they believe it is not told. A server keeps one report of a message in a
    /// day.
    ///
    /// # Errors
    /// The problem `too-many` if the user has reported too many messages today.
    pub async fn report_message(&self, flag: &Flag) -> Result<ReportOutcome, ClientError> {
        let flag = Flag { actor: Some(self.actor()), ..flag.clone() };
        let body = in_context(flag.to_value(None));
        let path = self.origin.outbox(&self.user);
        let answer = self.call(Method::POST, &path, Body::Json(&body), Auth::Device).await?;
        match answer.status {
            StatusCode::OK => Ok(ReportOutcome::Repeated),
            _ => answer.expect(StatusCode::ACCEPTED).map(|_| ReportOutcome::Accepted),
        }
    }

    /// POST `/user/{name}/outbox` with `Delivered`: acknowledges up to 100 entries of this user's
    /// mailboxes, and sends their authors receipts.
    ///
    /// # Errors
    /// The problem `not-yours` if one of them is no entry of this user.
    pub async fn acknowledge(&self, entries: &[String]) -> Result<(), ClientError> {
        let body = json!({
            "@context": context(),
            "type": activity_type("Delivered"),
            "actor": self.actor(),
            "object": entries,
        });
        self.post(&self.origin.outbox(&self.user), &body, StatusCode::NO_CONTENT).await.map(drop)
    }
}

fn activity_id(answer: &Exchange) -> Result<String, ClientError> {
    let body = answer.json()?;
    Ok(text(&body, "id").map_err(|fault| answer.unexpected(fault.to_string()))?.to_owned())
}

fn report(answer: &Exchange, outgoing: &OutgoingEnvelope) -> Result<Report, ClientError> {
    let report = Report::parse(&answer.json()?).map_err(|fault| answer.unexpected(fault.to_string()))?;
    if report.envelope == outgoing.id {
        Ok(report)
    } else {
        Err(answer.unexpected("is about another envelope"))
    }
}
