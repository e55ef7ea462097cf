use eko_protocol::activity::Report;
use eko_protocol::json::{has_type, shape, text};
use eko_protocol::letter::FetchedLetter;
use eko_protocol::{Invalid, timestamp};
use http::{Method, StatusCode};
use serde_json::Value;

use super::pending::offered;
use super::{Device, PendingDevice, PoolCount};
use crate::{Auth, Body, ClientError, Transport};

/// A page of the device's mailbox, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct MailboxPage {
    /// The entries.
    pub entries: Vec<MailboxEntry>,
    /// The address of the next page, where there is more.
    pub next: Option<String>,
    /// One-time keys that the server has left of this device: time to publish more?
    pub keys_left: PoolCount,
}

/// What waits for the device.
#[derive(Debug, Clone, PartialEq)]
pub struct MailboxEntry {
    /// Its address, by which it is acknowledged.
    pub address: String,
    /// When the server accepted it, in epoch milliseconds.
    pub received_ms: i64,
    /// What it says.
    pub content: EntryContent,
    /// The same as it came.
    pub activity: Value,
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq)]
pub enum EntryContent {
    /// A message for this device.
    Message(FetchedLetter),
    /// A report on an envelope that this user sent.
    Report(Report),
    /// A device of this user waits for approval. Nothing of it is proven yet.
    DeviceOffered(PendingDevice),
    /// Anything else, or one of these that cannot be read, and why: it must not block the mailbox.
    Unreadable(Invalid),
}

impl<T: Transport> Device<T> {
    /// GET `/user/{name}/inbox` (section 6): the first page of this device's mailbox. Deletes nothing.
    ///
    /// # Errors
    /// The server's refusal: `device-pending`, `device-revoked` and others.
    pub async fn fetch(&self) -> Result<MailboxPage, ClientError> {
        self.fetch_after(&self.origin.inbox(&self.user)).await
    }

    /// As [`Device::fetch`], at the `next` of the page before.
    ///
    /// # Errors
    /// As there.
    pub async fn fetch_after(&self, next: &str) -> Result<MailboxPage, ClientError> {
        let answer = self.get(next, Auth::Device).await?;
        let body = answer.json()?;
        let wrong = |fault: Invalid| answer.unexpected(fault.to_string());
        let items = body.get("orderedItems").and_then(Value::as_array);
        let items = items.ok_or_else(|| answer.unexpected("has no orderedItems"))?;
        let entries = items.iter().map(|item| self.entry(item)).collect::<Result<_, _>>().map_err(wrong)?;
        let next = body.get("next").map(|_| text(&body, "next").map(str::to_owned));
        Ok(MailboxPage {
            entries,
            next: next.transpose().map_err(wrong)?,
            keys_left: shape(&body).map_err(wrong)?,
        })
    }

    /// DELETE on an entry's address (section 6): acknowledges it without a receipt.
    ///
    /// # Errors
    /// The server's refusal.
    pub async fn discard(&self, entry: &str) -> Result<(), ClientError> {
        let answer = self.call(Method::DELETE, entry, Body::Empty, Auth::Device).await?;
        answer.expect(StatusCode::NO_CONTENT).map(drop)
    }

    fn entry(&self, activity: &Value) -> Result<MailboxEntry, Invalid> {
        let received = text(activity, "eko:received")?;
        Ok(MailboxEntry {
            address: text(activity, "eko:entry")?.to_owned(),
            received_ms: timestamp::parse(received).map_err(|fault| fault.under("/eko:received"))?,
            content: self.content(activity).unwrap_or_else(EntryContent::Unreadable),
            activity: activity.clone(),
        })
    }

    fn content(&self, activity: &Value) -> Result<EntryContent, Invalid> {
        if has_type(activity, "Create") {
            self.letter(activity).map(EntryContent::Message)
        } else if has_type(activity, "Offer") {
            offered(activity, &self.origin, &self.user).map(EntryContent::DeviceOffered)
        } else {
            Report::parse(activity).map(EntryContent::Report)
        }
    }

    fn letter(&self, activity: &Value) -> Result<FetchedLetter, Invalid> {
        let fetched = FetchedLetter::parse(activity)?;
        if fetched.device == self.address() {
            Ok(fetched)
        } else {
            Err(Invalid::at("/object/messages/0/to", "is another device"))
        }
    }
}
