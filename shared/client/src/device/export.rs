//! The export of the account (section 10), page by page.

use std::collections::BTreeSet;
use std::io::{self, Write};

use eko_protocol::Invalid;
use eko_protocol::json::{optional_text, required_list, text};
use eko_protocol::vocabulary::context;
use serde_json::{Value, json};

use super::Device;
use crate::{Auth, ClientError, Transport};

/// A page of the export of an account.
struct ExportPage {
    /// The items, as the server has them.
    items: Vec<Value>,
    /// The address of the next page; `None` after the last one.
    next: Option<String>,
}

/// The pages of an export that were read, and the address of the next one.
#[derive(Debug, Clone, Default)]
pub struct ExportProgress {
    /// The addresses of the pages that were begun, so that a server does not lead in circles.
    seen: BTreeSet<String>,
    next: Option<String>,
}

impl ExportProgress {
    /// True if a page was read, and no page follows.
    pub fn is_over(&self) -> bool {
        !self.seen.is_empty() && self.next.is_none()
    }
}

impl<T: Transport> Device<T> {
    /// GET `/user/{name}/export`, or on the address of its next page: reads the next page of everything
    /// that the server stores about this user. Returns its items. May be repeated after an error.
    ///
    /// # Errors
    /// The problem `too-many` if the user has read as many pages as may be in a day. An answer that is no
    /// page of this user's export, or that leads to another export or back to an earlier page, is
    /// [`ClientError::Unexpected`].
    pub async fn export_next(&self, progress: &mut ExportProgress) -> Result<Vec<Value>, ClientError> {
        let export = self.origin.export(&self.user);
        let url = progress.next.clone().unwrap_or_else(|| export.clone());
        let answer = self.get(&url, Auth::Device).await?;
        let page = self.export_page(&answer.json()?);
        let ExportPage { items, next } = page.map_err(|fault| answer.unexpected(fault.to_string()))?;
        if next.as_ref().is_some_and(|next| *next == url || progress.seen.contains(next)) {
            return Err(answer.unexpected("the next page is one that was read"));
        }
        progress.seen.insert(url);
        progress.next = next;
        Ok(items)
    }

    /// Reads a page, which must be of this user's export.
    fn export_page(&self, body: &Value) -> Result<ExportPage, Invalid> {
        let export = self.origin.export(&self.user);
        if text(body, "partOf")? != export {
            return Err(Invalid::at("/partOf", "is another user's export"));
        }
        let items = required_list(body, "orderedItems")?.to_vec();
        let next = optional_text(body, "next")?.map(str::to_owned);
        let is_of_export =
            |next: &String| next.strip_prefix(&export).is_some_and(|rest| rest.starts_with("?cursor="));
        match next {
            Some(next) if !is_of_export(&next) => {
                Err(Invalid::at("/next", "is no page of this user's export"))
            }
            next => Ok(ExportPage { items, next }),
        }
    }

    /// Begins the document of an export, into which its pages are written one after another. `json` writes
    /// an item as JSON.
    ///
    /// # Errors
    /// The writer fails.
    pub fn begin_export<W: Write>(
        &self,
        writer: W,
        json: fn(&Value) -> String,
    ) -> io::Result<ExportDocument<W>> {
        let head = json!({
            "@context": context(), "type": "OrderedCollection", "id": self.origin.export(&self.user),
            "attributedTo": self.actor(),
        });
        ExportDocument::begin(writer, json, &head)
    }
}

/// The JSON document of an export while it is written: a collection of all items.
#[derive(Debug)]
pub struct ExportDocument<W> {
    writer: W,
    json: fn(&Value) -> String,
    items: u64,
}

impl<W: Write> ExportDocument<W> {
    fn begin(mut writer: W, json: fn(&Value) -> String, head: &Value) -> io::Result<Self> {
        let head = json(head);
        write!(writer, "{},\"orderedItems\":[", head.strip_suffix('}').unwrap_or(&head))?;
        Ok(Self { writer, json, items: 0 })
    }

    /// Writes the items of a page, each in a line.
    ///
    /// # Errors
    /// The writer fails.
    pub fn add(&mut self, items: &[Value]) -> io::Result<()> {
        for item in items {
            let comma = if self.items == 0 { "" } else { "," };
            write!(self.writer, "{comma}\n{}", (self.json)(item))?;
            self.items = self.items.saturating_add(1);
        }
        Ok(())
    }

    /// Writes the end, with the number of items. Returns the writer, flushed, and that number.
    ///
    /// # Errors
    /// The writer fails.
    pub fn end(mut self) -> io::Result<(W, u64)> {
        writeln!(self.writer, "\n],\"totalItems\":{}}}", self.items)?;
        self.writer.flush()?;
        Ok((self.writer, self.items))
    }
}
