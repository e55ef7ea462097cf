//! The order to erase what a deleted account left, and the servers that are told meanwhile.

use std::collections::BTreeSet;

use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::DeviceId;
use serde::{Deserialize, Serialize};

use crate::attribute::short_hash;
use crate::deliveries::Delivery;
use crate::site::site;
use crate::{Result, Store};

/// The most servers that are told of one deletion. It bounds the requests that a deletion causes, and
/// the message that remembers them, which has 50 KB with as many: one request of SQS.
const MOST_TOLD: usize = 1_000;
/// The most servers of one site that are told. Whoever has a domain has every server under it.
const MOST_TOLD_OF_SITE: usize = 4;
/// The mark of a server with which others brought the user into contact.
const BY_OTHERS: char = '*';

/// The party that has brought about the contact of a user with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContactBy {
    /// The user, who has sent something there.
    User,
    /// Somebody there, who has sent something to the user or taken the user's keys. Such servers are at most
    /// half of those that are told, in all and of a site: as many as anybody likes can keep no server from
    /// being told to which the user has written.
    Others,
}

/// The order to erase what a deleted account left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountErasure {
    /// The user.
    pub user: UserName,
    /// The device that was erased last in this pass. The devices are erased in the order of their ids.
    pub after: Option<DeviceId>,
    /// The other servers that are told: for each the hash of its site and that of its origin, and an asterisk
    /// if others brought about the contact.
    pub told: BTreeSet<String>,
    /// The pass over everything.
    pub pass: DeletionPass,
    /// The number of steps that failed one after another.
    pub failures: u32,
}

impl AccountErasure {
    /// Creates the erasure of an account that begins with this pass.
    pub fn new(user: &UserName, pass: DeletionPass) -> Self {
        Self { user: user.clone(), after: None, told: BTreeSet::new(), pass, failures: 0 }
    }

    /// Returns those of some servers that are to be told: they are not told yet, and few enough are, in
    /// all and of their site.
    pub fn untold<'a>(&self, contacts: &'a BTreeSet<Origin>, by: ContactBy) -> Vec<&'a Origin> {
        let mut told = self.told.clone();
        contacts.iter().filter(|origin| note_told(&mut told, origin, by)).collect()
    }

    /// Notes that servers are told.
    pub fn note_told(&mut self, origins: &[&Origin], by: ContactBy) {
        for origin in origins {
            note_told(&mut self.told, origin, by);
        }
    }
}

/// Notes that a server is told. Returns false if it was noted before, or if as many are as may be.
fn note_told(told: &mut BTreeSet<String>, origin: &Origin, by: ContactBy) -> bool {
    let of_site = short_hash(site(origin.authority()));
    let name = format!("{of_site}{}", short_hash(origin.as_str()));
    let marked = format!("{name}{BY_OTHERS}");
    if told.contains(&name) || told.contains(&marked) {
        return false;
    }
    let same = || told.range(of_site.clone()..).take_while(|name| name.starts_with(&of_site));
    let is_by_others = |name: &&String| name.ends_with(BY_OTHERS);
    let mut has_room = told.len() < MOST_TOLD && same().count() < MOST_TOLD_OF_SITE;
    if by == ContactBy::Others {
        has_room &= told.iter().filter(is_by_others).count() < MOST_TOLD / 2
            && same().filter(is_by_others).count() < MOST_TOLD_OF_SITE / 2;
    }
    has_room && told.insert(if by == ContactBy::Others { marked } else { name })
}

/// A pass of the erasure of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeletionPass {
    /// Only the sockets are ended, at once. Another order has the rest.
    Sockets,
    /// The erasure was ordered. It is not known yet whether the account was deleted.
    Ordered,
    /// The first pass erases everything but the device records and their list.
    First,
    /// The first pass is over. The second one begins some time later.
    Waiting,
    /// The second pass erases what was under way in the first one, and then these.
    Second,
}

impl Store {
    /// Queues the erasure of an account, or its next step, for `delay_seconds` later, 900 at most. One
    /// SendMessageBatch.
    ///
    /// # Errors
    /// The queue is out of reach or refuses the message.
    pub async fn queue_account_erasure(&self, erasure: AccountErasure, delay_seconds: i32) -> Result<()> {
        self.queue(vec![Delivery::Delete(erasure)], delay_seconds).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origins(names: impl IntoIterator<Item = String>) -> BTreeSet<Origin> {
        names.into_iter().map(|name| Origin::parse(&format!("https://{name}")).unwrap()).collect()
    }

    /// Tells as many of some servers as may be, by pages. Returns how many.
    fn tell(erasure: &mut AccountErasure, contacts: &BTreeSet<Origin>, by: ContactBy) -> usize {
        let before = erasure.told.len();
        for page in contacts.iter().collect::<Vec<_>>().chunks(100) {
            let page: BTreeSet<Origin> = page.iter().map(|&origin| origin.clone()).collect();
            let news = erasure.untold(&page, by);
            erasure.note_told(&news, by);
            assert!(erasure.untold(&page, by).is_empty());
        }
        erasure.told.len() - before
    }

    /// Others, who come first, can use up half of the places, in all and of a site.
    #[test]
    fn few_servers_are_told_in_all_and_of_a_site_and_each_once() {
        let mut erasure = AccountErasure::new(&UserName::parse("bob").unwrap(), DeletionPass::First);
        let of_site = origins((0..50).map(|n| format!("s{n}.mallory.example")));
        assert_eq!(tell(&mut erasure, &of_site, ContactBy::Others), MOST_TOLD_OF_SITE / 2);
        assert_eq!(tell(&mut erasure, &of_site, ContactBy::User), MOST_TOLD_OF_SITE / 2);
        assert_eq!(tell(&mut erasure, &of_site, ContactBy::User), 0);
        let theirs = origins((0..3_000).map(|n| format!("s{n}.example")));
        let of_others = MOST_TOLD / 2 - MOST_TOLD_OF_SITE / 2;
        assert_eq!(tell(&mut erasure, &theirs, ContactBy::Others), of_others);
        let own = origins((0..3_000).map(|n| format!("u{n}.example")));
        assert_eq!(tell(&mut erasure, &own, ContactBy::User), MOST_TOLD - of_others - MOST_TOLD_OF_SITE);
        assert_eq!(erasure.told.len(), MOST_TOLD);
        let message = serde_json::to_string(&Delivery::Delete(erasure)).unwrap();
        assert!(message.len() < 64 << 10, "{} bytes", message.len());
    }

    /// The order that the operator's manual has.
    #[test]
    fn an_operator_can_order_an_erasure() {
        let manual = include_str!("../../../../docs/operate.md");
        let text = manual.lines().find_map(|line| line.trim().strip_prefix("'{\"kind\":\"delete\""));
        let body = format!("{{\"kind\":\"delete\"{}", text.unwrap().trim_end_matches('\''));
        let user = UserName::parse("alice").unwrap();
        let order = Delivery::Delete(AccountErasure::new(&user, DeletionPass::Ordered));
        assert_eq!(Delivery::parse(&body).unwrap(), order);
    }
}
