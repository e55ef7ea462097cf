//! Receipts: what of somebody's messages this device has, and what it lacks.

use eko_protocol::Invalid;
use eko_protocol::id::EnvelopeId;
use eko_protocol::json::list;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::ActivityId;
use super::member::{parsed, texts};

/// The greatest number of activities that one receipt names.
pub const MAX_RECEIVED: usize = 100;
/// The greatest number of gaps, of numbers in a gap, and of unreadable envelopes in one receipt.
pub const MAX_MISSING: usize = 20;

/// An end-to-end receipt (`Delivered`). It goes to one author, and names activities of that author.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The activities that were put into a conversation, at most [`MAX_RECEIVED`].
    pub received: Vec<ActivityId>,
    /// The messages that never came, at most [`MAX_MISSING`] entries.
    pub missing: Vec<MissingMessages>,
    /// The envelopes in the author's name that could not be decrypted, at most [`MAX_MISSING`].
    pub unreadable: Vec<UnreadableEnvelope>,
}

/// An envelope that could not be decrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableEnvelope {
    /// The address of the device that it names as its sender. Other devices of the author do not
    /// know its envelopes.
    pub device: String,
    /// The envelope's id.
    pub envelope: EnvelopeId,
}

/// Messages of one device that never came, by their numbers in a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingMessages {
    /// The address of the author's device.
    pub device: String,
    /// The conversation: the actor id of the receipt's author, or a group's id.
    pub conversation: String,
    /// The numbers (`eko:sequence`), 1 to [`MAX_MISSING`] of them.
    pub sequence: Vec<u64>,
}

/// Reads the members of a receipt.
pub(super) fn read(value: &Value) -> Result<Receipt, Invalid> {
    let received = texts(value, "object")?;
    let received = bounded(&received, MAX_RECEIVED, "/object")?
        .iter()
        .enumerate()
        .map(|(index, id)| ActivityId::parse(id).map_err(|fault| fault.under(format!("/object/{index}"))));
    let received = received.collect::<Result<_, _>>()?;
    let receipt = Receipt {
        received,
        missing: entries(value, "eko:missing", missing)?,
        unreadable: entries(value, "eko:unreadable", unreadable)?,
    };
    if receipt == Receipt::default() {
        return Err(Invalid::at("/object", "is empty, and nothing is missing"));
    }
    Ok(receipt)
}

/// Reads a member that holds at most [`MAX_MISSING`] entries.
fn entries<T>(
    value: &Value,
    name: &str,
    read: impl Fn(&Value) -> Result<T, Invalid>,
) -> Result<Vec<T>, Invalid> {
    let items = bounded(list(value, name), MAX_MISSING, &format!("/{name}"))?.iter().enumerate();
    items.map(|(index, item)| read(item).map_err(|fault| fault.under(format!("/{name}/{index}")))).collect()
}

/// Writes the members of a receipt, besides the type.
pub(super) fn write(receipt: &Receipt) -> Vec<(&'static str, Value)> {
    let mut members = vec![("object", json!(receipt.received))];
    if !receipt.missing.is_empty() {
        members.push(("eko:missing", json!(receipt.missing)));
    }
    if !receipt.unreadable.is_empty() {
        let item = |lost: &UnreadableEnvelope| json!({ "device": lost.device, "envelope": lost.envelope });
        let items: Vec<_> = receipt.unreadable.iter().map(item).collect();
        members.push(("eko:unreadable", json!(items)));
    }
    members
}

fn text(text: &str) -> Result<String, Invalid> {
    match text.len() {
        1..=512 => Ok(text.to_owned()),
        _ => Err(Invalid::whole("must be 1 to 512 bytes")),
    }
}

fn unreadable(value: &Value) -> Result<UnreadableEnvelope, Invalid> {
    Ok(UnreadableEnvelope {
        device: parsed(value, "device", text)?,
        envelope: parsed(value, "envelope", EnvelopeId::parse)?,
    })
}

fn missing(value: &Value) -> Result<MissingMessages, Invalid> {
    let sequence = list(value, "sequence");
    let number = |number: &Value| {
        let number = number.as_u64().filter(|it| (1..=eko_protocol::limits::MAX_SAFE_INTEGER).contains(it));
        number.ok_or_else(|| Invalid::at("/sequence", "must be whole numbers from 1 to 2^53 - 1"))
    };
    if sequence.is_empty() {
        return Err(Invalid::at("/sequence", "is empty"));
    }
    Ok(MissingMessages {
        device: parsed(value, "device", text)?,
        conversation: parsed(value, "conversation", text)?,
        sequence: bounded(sequence, MAX_MISSING, "/sequence")?
            .iter()
            .map(number)
            .collect::<Result<_, _>>()?,
    })
}

fn bounded<'a, T>(items: &'a [T], most: usize, at: &str) -> Result<&'a [T], Invalid> {
    match items.len() <= most {
        true => Ok(items),
        false => Err(Invalid::at(at, format!("are more than {most}"))),
    }
}
