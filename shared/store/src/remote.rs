//! What other servers said of their actors, kept so that they need not be asked for each message.
//!
//! `R#{actor id}` / `ACTOR`: `f` when it was fetched (epoch milliseconds), `i` inbox, `k` its collection of key
//! packages, `p` public keys (map of key id to PEM), `ttl`. Of one that could not be had: `f` and `w`, why.
//! `R#acct:{name}@{authority}` / `ACTOR`: `f`, and `a`, the actor id that WebFinger gave, or `w`.

use aws_sdk_dynamodb::types::AttributeValue;
use eko_protocol::actor::RemoteActor;
use eko_protocol::address::UserName;

use crate::attribute::{Item, ReadItem, n, s};
use crate::devices::UserDevices;
use crate::error::call;
use crate::hosts::HostRecord;
use crate::{Result, Store, key};

/// How long a copy is kept at most, in seconds: it serves where its server is out of reach.
const KEPT_SECONDS: i64 = 7 * 24 * 3600;

/// A copy, and when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedLookup<T> {
    /// When it was fetched, epoch milliseconds.
    pub fetched_ms: i64,
    /// What was said, or why nothing was.
    pub result: std::result::Result<T, LookupFailure>,
}

/// Why a server said nothing usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupFailure {
    /// There is no such actor, or no more.
    Gone,
    /// What it said cannot be used.
    Unusable(String),
    /// It is out of reach.
    Unreachable(String),
}

impl LookupFailure {
    fn text(&self) -> String {
        match self {
            Self::Gone => "gone".to_owned(),
            Self::Unusable(why) => format!("unusable {why}"),
            Self::Unreachable(why) => format!("unreachable {why}"),
        }
    }

    fn read(text: &str) -> Self {
        match text.split_once(' ') {
            Some(("unusable", why)) => Self::Unusable(why.to_owned()),
            Some(("unreachable", why)) => Self::Unreachable(why.to_owned()),
            _ => Self::Gone,
        }
    }
}

/// What a sending needs to know, read at once.
#[derive(Clone, Debug)]
pub struct SendContext {
    /// The author's devices.
    pub author: Option<UserDevices>,
    /// The recipient, where there is a copy.
    pub recipient: Option<CachedLookup<RemoteActor>>,
    /// The recipient's server.
    pub host: HostRecord,
}

impl Store {
    /// The copy of an actor: one GetItem.
    pub async fn remote_actor(&self, id: &str) -> Result<Option<CachedLookup<RemoteActor>>> {
        self.get_item(&key::remote(id)).await?.map(|item| copy(id, &item)).transpose()
    }

    /// The author's devices, the copy of the recipient and the state of its server: one BatchGetItem.
    pub async fn send_context(
        &self,
        author: &UserName,
        recipient: &str,
        authority: &str,
    ) -> Result<SendContext> {
        let keys = [key::devices(author), key::remote(recipient), key::host(authority)];
        let items = self.batch_get(keys.to_vec()).await?;
        let [devices, remote, host] =
            keys.map(|key| items.iter().find(|item| item.get_s("pk") == Some(key.pk.as_str())));
        Ok(SendContext {
            author: devices.map(UserDevices::from_item).transpose()?,
            recipient: remote.map(|item| copy(recipient, item)).transpose()?,
            host: host.map(HostRecord::from_item).unwrap_or_default(),
        })
    }

    /// Keeps what was said of an actor, or that nothing was. One PutItem.
    pub async fn keep_actor(&self, id: &str, copy: &CachedLookup<RemoteActor>) -> Result<()> {
        let mut item = start(&key::remote(id), copy);
        if let Ok(actor) = &copy.result {
            item.insert("i".to_owned(), s(&actor.inbox));
            if let Some(address) = &actor.key_packages {
                item.insert("k".to_owned(), s(address));
            }
            let keys = actor.keys.iter().map(|(id, pem)| (id.clone(), s(pem)));
            item.insert("p".to_owned(), AttributeValue::M(keys.collect()));
        }
        self.put_copy(item).await
    }

    /// Forgets an actor. One DeleteItem.
    pub async fn forget_actor(&self, id: &str) -> Result<()> {
        let delete = self.dynamodb().delete_item().table_name(self.table());
        delete.set_key(Some(key::remote(id).item())).send().await.map_err(call("DeleteItem"))?;
        Ok(())
    }

    /// The actor id that a handle (`acct:…`) stood for: one GetItem.
    pub async fn remote_handle(&self, acct: &str) -> Result<Option<CachedLookup<String>>> {
        let Some(item) = self.get_item(&key::remote(acct)).await? else { return Ok(None) };
        let result = match item.get_s("w") {
            Some(why) => Err(LookupFailure::read(why)),
            None => Ok(item.need_s("a")?.to_owned()),
        };
        Ok(Some(CachedLookup { fetched_ms: item.need_n("f")?, result }))
    }

    /// Keeps the actor id that a handle stands for. One PutItem.
    pub async fn keep_handle(&self, acct: &str, copy: &CachedLookup<String>) -> Result<()> {
        let mut item = start(&key::remote(acct), copy);
        if let Ok(actor) = &copy.result {
            item.insert("a".to_owned(), s(actor));
        }
        self.put_copy(item).await
    }

    async fn put_copy(&self, item: Item) -> Result<()> {
        let put = self.dynamodb().put_item().table_name(self.table()).set_item(Some(item));
        put.send().await.map_err(call("PutItem"))?;
        Ok(())
    }
}

fn start<T>(key: &key::ItemKey, copy: &CachedLookup<T>) -> Item {
    let mut item = key.item();
    item.insert("f".to_owned(), n(copy.fetched_ms));
    let ttl = copy.fetched_ms.div_euclid(1000).saturating_add(KEPT_SECONDS);
    item.insert("ttl".to_owned(), n(ttl));
    if let Err(silence) = &copy.result {
        item.insert("w".to_owned(), s(silence.text()));
    }
    item
}

fn copy(id: &str, item: &Item) -> Result<CachedLookup<RemoteActor>> {
    let fetched_ms = item.need_n("f")?;
    if let Some(why) = item.get_s("w") {
        return Ok(CachedLookup { fetched_ms, result: Err(LookupFailure::read(why)) });
    }
    let keys = item.get("p").and_then(|v| v.as_m().ok()).into_iter().flatten();
    let keys = keys.filter_map(|(id, pem)| Some((id.clone(), pem.as_s().ok()?.clone())));
    let actor = RemoteActor {
        id: id.to_owned(),
        inbox: item.need_s("i")?.to_owned(),
        key_packages: item.get_s("k").map(str::to_owned),
        keys: keys.collect(),
    };
    Ok(CachedLookup { fetched_ms, result: Ok(actor) })
}
