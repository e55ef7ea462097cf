//! Reading the device's mailbox (section 6).

use eko_protocol::activity::Report;
use eko_protocol::json::{has_type, optional_text, required_list, shape, text};
use eko_protocol::letter::FetchedLetter;
use eko_protocol::{Invalid, timestamp};
use http::{Method, StatusCode};
use serde_json::Value;

use super::pending::offered;
use super::{Device, PendingDevice, PoolCount};
use crate::{Auth, Body, ClientError, Transport};

/// A page of the device's mailbox, oldest entry first.
#[derive(Debug, Clone, PartialEq)]
pub struct MailboxPage {
    /// The entries.
    pub entries: Vec<MailboxEntry>,
    /// The address of the next page, if there are more entries.
    pub next: Option<String>,
    /// The one-time keys of this device that the server has left.
    pub keys_left: PoolCount,
}

/// One entry of the mailbox.
#[derive(Debug, Clone, PartialEq)]
pub struct MailboxEntry {
    /// The address of the entry, by which it is acknowledged.
    pub address: String,
    /// The time at which the server accepted it, in epoch milliseconds.
    pub received_ms: i64,
    /// The content.
    pub content: EntryContent,
    /// The activity as it came.
    pub activity: Value,
}

/// The content of an entry.
#[derive(Debug, Clone, PartialEq)]
pub enum EntryContent {
    /// A ciphertext for this device, with its letter.
    Message(FetchedLetter),
    /// A report on an envelope that this user sent.
    Report(Report),
    /// A device asks to become one of this user's devices. Nothing about it is proven yet.
    DeviceOffered(PendingDevice),
    /// An activity of another type, or one that cannot be read, with the reason. It does not block
    /// the mailbox.
    Unreadable(Invalid),
}

impl<T: Transport> Device<T> {
    /// GET `/user/{name}/inbox`: reads the first page of this device's mailbox. Deletes nothing.
    ///
    /// # Errors
    /// The problem `device-pending` or `device-revoked` if the device is not active.
    pub async fn fetch(&self) -> Result<MailboxPage, ClientError> {
        self.fetch_after(&self.origin.inbox(&self.user)).await
    }

    /// GET on [`MailboxPage::next`]: reads the page after another one.
    ///
    /// # Errors
    /// The problem `device-pending` or `device-revoked` if the device is not active.
    pub async fn fetch_after(&self, next: &str) -> Result<MailboxPage, ClientError> {
        let answer = self.get(next, Auth::Device).await?;
        let body = answer.json()?;
        let wrong = |fault: Invalid| answer.unexpected(fault.to_string());
        let items = required_list(&body, "orderedItems").map_err(wrong)?;
        let entries = items.iter().map(|item| self.entry(item)).collect::<Result<_, _>>().map_err(wrong)?;
        let next = optional_text(&body, "next").map_err(wrong)?.map(str::to_owned);
        Ok(MailboxPage { entries, next, keys_left: shape(&body).map_err(wrong)? })
    }

    /// DELETE on an entry's address: acknowledges it without a receipt for its author.
    ///
    /// # Errors
    /// The problem `not-found` if the entry is gone.
    pub async fn discard(&self, entry: &str) -> Result<(), ClientError> {
        let answer = self.call(Method::DELETE, entry, Body::Empty, Auth::Device).await?;
        answer.expect(StatusCode::NO_CONTENT).map(drop)
    }

    /// Reads an entry, as a page or a frame has it.
    pub(super) fn entry(&self, activity: &Value) -> Result<MailboxEntry, Invalid> {
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
