//! Reports: the activities that tell the author of an envelope about its delivery.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{activity_type, put_device_set};
use crate::Invalid;
use crate::address::{Origin, UserName, check_url};
use crate::device_set::DeviceSetRef;
use crate::excerpt::excerpt;
use crate::id::{DeviceId, EnvelopeId, report_uuid};
use crate::json::{has_type, list, optional, optional_text, shape, text, text_of};
use crate::limits::{MAX_ACTIVE_DEVICES, MAX_MESSAGES, MAX_REASON_BYTES, MAX_SUMMARY_BYTES};

/// The statement of a report about its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReportKind {
    /// A device of the recipient acknowledged its ciphertext. This report is the receipt.
    Delivered,
    /// The ciphertexts were queued, and some active devices have none.
    PartialDelivery,
    /// Nothing was queued.
    Reject,
    /// The recipient's server accepted the envelope. `Accept` is read as `Confirm` too.
    Confirm,
}

impl ReportKind {
    /// Returns the name of the kind: the `type` by which it is recognised.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "Delivered",
            Self::PartialDelivery => "PartialDelivery",
            Self::Reject => "Reject",
            Self::Confirm => "Confirm",
        }
    }

    /// Returns the `type` of the activity as it is written. ActivityStreams knows `Reject` and
    /// `Accept`; a `Confirm` is an `Accept`.
    fn types(self) -> Value {
        match self {
            Self::Delivered | Self::PartialDelivery => activity_type(self.as_str()),
            Self::Reject => json!("Reject"),
            Self::Confirm => json!(["Accept", "Confirm"]),
        }
    }

    fn of(value: &Value) -> Option<Self> {
        let kinds = [Self::Delivered, Self::PartialDelivery, Self::Reject, Self::Confirm];
        let named = kinds.into_iter().find(|kind| has_type(value, kind.as_str()));
        named.or_else(|| has_type(value, "Accept").then_some(Self::Confirm))
    }
}

/// The reason in a report that the mailboxes of all named devices are full.
const FULL_SUMMARY: &str = "the mailbox is full";

/// A report about one envelope, from the recipient's side to the author (sections 5 and 6). It
/// travels as the answer to a request, into the inbox of the author's server, and in the mailboxes
/// of the author's devices.
///
/// ```text
/// {"type": ["Activity", "Delivered"] | ["Activity", "PartialDelivery"] | "Reject" | ["Accept", "Confirm"],
///  "id": <URL>, "actor": <recipient or its server>, "to": <author>, "object": <envelope id>,
///  "eko:deviceSetOutOfDate": <boolean>, "missingKeyPackages": [<URL>, …], "staleDevices": [<URL>, …],
///  "eko:fullDevices": [<URL>, …], "eko:deviceSet": {…}, "summary": <reason, for a person>}
/// ```
///
/// Only `PartialDelivery` and `Reject` have the members of the third line. The last line is
/// optional, and so is `id` in a report of another server. This server derives the `id` of its own
/// reports from all that they say: the same report has the same id.
///
/// ```
/// use eko_protocol::activity::{Report, ReportKind};
/// use serde_json::json;
///
/// let mut value = json!({
///     "type": "Reject", "actor": "https://b.example/actor", "to": "https://a.example/user/alice",
///     "object": "https://a.example/message/1", "summary": "b.example is being moved",
///     "staleDevices": ["https://b.example/user/bob/device/1"],
/// });
/// let report = Report::parse(&value)?;
/// assert_eq!((report.kind, report.stale_devices.len()), (ReportKind::Reject, 1));
///
/// // A report names devices of its own server only.
/// value["staleDevices"] = json!(["https://c.example/user/bob/device/1"]);
/// assert_eq!(Report::parse(&value).unwrap_err().pointer, "/staleDevices/0");
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The id that a report of another server has, on the origin of its actor. A report that this
    /// server makes gets its id when it is written.
    pub id: Option<String>,
    /// The statement of the report.
    pub kind: ReportKind,
    /// The actor id of the recipient or of the recipient's server.
    pub actor: String,
    /// The actor id of the author.
    pub to: String,
    /// The id of the envelope.
    pub envelope: EnvelopeId,
    /// True if the author's view of the recipient's device set is out of date.
    pub device_set_out_of_date: bool,
    /// The addresses of the key packages of the active devices that have no ciphertext.
    pub missing_key_packages: Vec<String>,
    /// The addresses of the devices that the envelope names and that are not active.
    pub stale_devices: Vec<String>,
    /// The addresses of the devices that the envelope names and whose mailboxes are full.
    pub full_devices: Vec<String>,
    /// The recipient's device set when the report was made.
    pub device_set: Option<DeviceSetRef>,
    /// The reason, for a person to read.
    pub summary: Option<String>,
}

impl Report {
    fn new(kind: ReportKind, actor: String, to: &str, envelope: &EnvelopeId) -> Self {
        Self {
            id: None,
            kind,
            actor,
            to: to.to_owned(),
            envelope: envelope.clone(),
            device_set_out_of_date: false,
            missing_key_packages: Vec::new(),
            stale_devices: Vec::new(),
            full_devices: Vec::new(),
            device_set: None,
            summary: None,
        }
    }

    /// Creates the receipt of a device of the local user `recipient`.
    pub fn delivered(origin: &Origin, recipient: &UserName, author: &str, envelope: &EnvelopeId) -> Self {
        Self::new(ReportKind::Delivered, origin.actor(recipient), author, envelope)
    }

    /// Creates the report that the server of `recipient` (an actor id) accepted the envelope.
    pub fn confirm(recipient: &str, author: &str, envelope: &EnvelopeId) -> Self {
        Self::new(ReportKind::Confirm, recipient.to_owned(), author, envelope)
    }

    /// Creates the report that the `missing` devices of the local user `recipient` have no
    /// ciphertext.
    pub fn partial_delivery(
        origin: &Origin,
        recipient: &UserName,
        author: &str,
        envelope: &EnvelopeId,
        missing: &[DeviceId],
        device_set: Option<DeviceSetRef>,
    ) -> Self {
        let report = Self::new(ReportKind::PartialDelivery, origin.actor(recipient), author, envelope);
        report.with_devices(origin, recipient, missing, &[], device_set)
    }

    /// Creates the report that the server of `recipient` (an actor id) accepted the envelope, and did
    /// not say which devices have no ciphertext. It has no addressee yet.
    pub fn partly_accepted(recipient: &str, envelope: &EnvelopeId, summary: &str) -> Self {
        let mut report = Self::new(ReportKind::PartialDelivery, recipient.to_owned(), "", envelope);
        report.device_set_out_of_date = true;
        report.summary = Some(excerpt(summary, MAX_REASON_BYTES).to_owned());
        report
    }

    /// Creates the report that the envelope names `stale` devices of the local user `recipient`, so
    /// that nothing was queued.
    pub fn stale(
        origin: &Origin,
        recipient: &UserName,
        author: &str,
        envelope: &EnvelopeId,
        missing: &[DeviceId],
        stale: &[DeviceId],
        device_set: Option<DeviceSetRef>,
    ) -> Self {
        let report = Self::new(ReportKind::Reject, origin.actor(recipient), author, envelope);
        report.with_devices(origin, recipient, missing, stale, device_set)
    }

    /// Creates the report that the mailboxes of all devices that the envelope names are full, so
    /// that nothing was queued. The `missing` devices of the local user `recipient` have no
    /// ciphertext. The full ones are added by [`Report::with_full_devices`].
    pub fn full(
        origin: &Origin,
        recipient: &UserName,
        author: &str,
        envelope: &EnvelopeId,
        missing: &[DeviceId],
        device_set: Option<DeviceSetRef>,
    ) -> Self {
        let mut report = Self::new(ReportKind::Reject, origin.actor(recipient), author, envelope);
        report.summary = Some(FULL_SUMMARY.to_owned());
        report.with_devices(origin, recipient, missing, &[], device_set)
    }

    /// Adds devices of the local user `recipient` whose mailboxes are full.
    pub fn with_full_devices(mut self, origin: &Origin, recipient: &UserName, full: &[DeviceId]) -> Self {
        self.full_devices = full.iter().map(|device| origin.device(recipient, device)).collect();
        self
    }

    /// Creates this server's report that the envelope could not be delivered, for a reason other
    /// than devices. Of a summary that is longer than [`MAX_REASON_BYTES`] the beginning is told.
    pub fn undeliverable(origin: &Origin, author: &str, envelope: &EnvelopeId, summary: &str) -> Self {
        let mut report = Self::new(ReportKind::Reject, origin.server_actor(), author, envelope);
        report.summary = Some(excerpt(summary, MAX_REASON_BYTES).to_owned());
        report
    }

    fn with_devices(
        mut self,
        origin: &Origin,
        user: &UserName,
        missing: &[DeviceId],
        stale: &[DeviceId],
        device_set: Option<DeviceSetRef>,
    ) -> Self {
        self.device_set_out_of_date = !(missing.is_empty() && stale.is_empty());
        self.missing_key_packages = missing.iter().map(|device| origin.key_package(user, device)).collect();
        self.stale_devices = stale.iter().map(|device| origin.device(user, device)).collect();
        self.device_set = device_set;
        self
    }

    /// Returns the wire form, without a context. `origin` is the origin of the server that writes it:
    /// reports of its own actors get an id on it.
    pub fn to_value(&self, origin: &Origin) -> Value {
        let own = || origin.owns(&self.actor).then(|| origin.activity(&report_uuid(&self.digest())));
        let mut body = Map::new();
        body.insert("type".to_owned(), self.kind.types());
        if let Some(id) = self.id.clone().or_else(own) {
            body.insert("id".to_owned(), json!(id));
        }
        body.extend(self.statement());
        Value::Object(body)
    }

    /// Returns the SHA-256 of all that the report says, without its id. Reports that say the same
    /// have the same digest, however they spell the envelope's id.
    pub fn digest(&self) -> [u8; 32] {
        let mut statement = self.statement();
        statement.insert("object".to_owned(), json!(self.envelope.key()));
        let said = json!([self.kind.as_str(), statement]);
        Sha256::digest(said.to_string()).into()
    }

    /// Returns the members of the wire form but type and id.
    fn statement(&self) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("actor".to_owned(), json!(self.actor));
        body.insert("to".to_owned(), json!(self.to));
        body.insert("object".to_owned(), json!(self.envelope));
        if matches!(self.kind, ReportKind::PartialDelivery | ReportKind::Reject) {
            body.insert("eko:deviceSetOutOfDate".to_owned(), json!(self.device_set_out_of_date));
            body.insert("missingKeyPackages".to_owned(), json!(self.missing_key_packages));
            body.insert("staleDevices".to_owned(), json!(self.stale_devices));
        }
        if !self.full_devices.is_empty() {
            body.insert("eko:fullDevices".to_owned(), json!(self.full_devices));
        }
        put_device_set(&mut body, self.device_set.as_ref());
        if let Some(summary) = &self.summary {
            body.insert("summary".to_owned(), json!(summary));
        }
        body
    }

    /// Reads a report. Only the members drawn at [`Report`] are kept, so that nothing else of
    /// another server's document is stored. A summary that is longer than [`MAX_SUMMARY_BYTES`] is
    /// cut, and an id that is on another server than the actor is left out.
    ///
    /// The caller must check that the actor may report on this envelope.
    ///
    /// # Errors
    /// [`Invalid`] for another type, for the first member of the wrong shape, for too many devices,
    /// and for a device on another server than the actor: the author would ask that server for
    /// keys.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let kind = ReportKind::of(value).ok_or_else(|| {
            Invalid::at("/type", "must be Delivered, PartialDelivery, Reject, Confirm or Accept")
        })?;
        let actor = text(value, "actor")?;
        check_url(actor).map_err(|fault| fault.under("/actor"))?;
        let to = text(value, "to")?;
        check_url(to).map_err(|fault| fault.under("/to"))?;
        let mut report = Self::new(kind, actor.to_owned(), to, &envelope(value)?);
        report.id = own_id(value, actor);
        let out_of_date = ["eko:deviceSetOutOfDate", "deviceSetOutOfDate"];
        report.device_set_out_of_date =
            out_of_date.iter().any(|name| optional(value, name) == Ok(Some(&Value::Bool(true))));
        report.missing_key_packages = addresses(value, "missingKeyPackages", MAX_ACTIVE_DEVICES, actor)?;
        report.stale_devices = addresses(value, "staleDevices", MAX_MESSAGES, actor)?;
        report.full_devices = addresses(value, "eko:fullDevices", MAX_MESSAGES, actor)?;
        if let Some(set) = optional(value, "eko:deviceSet")? {
            report.device_set = Some(shape(set).map_err(|fault| fault.under("/eko:deviceSet"))?);
        }
        // A summary is for a person: one that cannot be read is none.
        let summary = optional_text(value, "summary").unwrap_or_default();
        report.summary = summary.map(|text| excerpt(text, MAX_SUMMARY_BYTES).to_owned());
        Ok(report)
    }
}

/// Returns the report's id; `None` if it has none on the actor's server. Servers differ in how they
/// name reports, and nothing depends on it.
fn own_id(value: &Value, actor: &str) -> Option<String> {
    let id = text(value, "id").ok()?;
    (Origin::of_opaque(id)? == Origin::of(actor)?).then(|| id.to_owned())
}

/// Reads `object`: the envelope's id, or an object that has the id.
fn envelope(value: &Value) -> Result<EnvelopeId, Invalid> {
    EnvelopeId::parse(text(value, "object")?).map_err(|fault| fault.under("/object"))
}

/// Reads a member that holds at most `most` addresses on the server of `actor`.
fn addresses(value: &Value, name: &str, most: usize, actor: &str) -> Result<Vec<String>, Invalid> {
    let items = list(value, name);
    if items.len() > most {
        return Err(Invalid::at(format!("/{name}"), "holds too many"));
    }
    let origin = Origin::of(actor);
    let read = |(index, item): (usize, &Value)| {
        let text = text_of(item).ok_or_else(|| Invalid::whole("must be a string"));
        text.and_then(|text| check_url(text).map(|_| text.to_owned()))
            .and_then(|text| match origin.as_ref().is_some_and(|origin| origin.owns(&text)) {
                true => Ok(text),
                false => Err(Invalid::whole("must be on the actor's server")),
            })
            .map_err(|fault| fault.under(format!("/{name}/{index}")))
    };
    items.iter().enumerate().map(read).collect()
}

#[cfg(test)]
mod tests;
