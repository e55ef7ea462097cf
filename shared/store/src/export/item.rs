//! One exported item: a document made of an item's attributes by the rules of its kind.

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_protocol::address::Origin;
use eko_protocol::timestamp;
use serde_json::{Map, Value, json};

use super::rules::{Form, ItemKind, KINDS, Rule, SortKey};
use crate::attribute::{Item, ReadItem, corrupt};
use crate::mailbox::{AUTHOR, whole};
use crate::resources::{PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE};
use crate::{Result, StoreError};

/// An item as its owner gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedItem {
    /// The type of the document.
    pub kind: &'static str,
    /// The members, without the type.
    pub members: Map<String, Value>,
}

impl ExportedItem {
    /// Returns the item that lists a device.
    pub(super) fn listed_device() -> Self {
        Self { kind: "ListedDevice", members: Map::new() }
    }
}

/// Returns the document of an item.
///
/// # Errors
/// [`StoreError::Corrupt`] if there is no rule for the item or for an attribute. So no export is
/// incomplete in silence, and none shows what nobody has looked at.
pub(super) fn exported(item: &Item) -> Result<ExportedItem> {
    let (partition, sort) = (item.need_s(PARTITION_KEY)?, item.need_s(SORT_KEY)?);
    let kind = kind_of(partition, sort)?;
    let mut members = Map::new();
    if let (SortKey::Shown, Some(rest)) = (kind.sort_key, sort.strip_prefix(kind.prefix)) {
        members.insert("key".to_owned(), json!(rest));
    }
    // In the order of their names, so that equal items make equal documents.
    let mut names: Vec<&String> = item.keys().collect();
    names.sort();
    for name in names {
        if name == PARTITION_KEY || name == SORT_KEY {
            continue;
        }
        let value = item.get(name).ok_or_else(|| unknown(kind, name))?;
        if name == TTL_ATTRIBUTE {
            members.insert("expires".to_owned(), form(Form::Seconds, value, item)?);
        } else if let Some(rule) = kind.rules.iter().find(|rule| rule.attribute == name) {
            if rule.form != Form::Withheld {
                members.insert(rule.member.to_owned(), form(rule.form, value, item)?);
            }
        } else {
            let rule = kind.families.iter().find(|rule| name.starts_with(rule.attribute));
            let rule = rule.ok_or_else(|| unknown(kind, name))?;
            let rest = name.strip_prefix(rule.attribute).unwrap_or_default();
            let pair = json!({ "key": rest, "value": form(rule.form, value, item)? });
            let list = members.entry(rule.member).or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut().ok_or_else(|| unknown(kind, name))?.push(pair);
        }
    }
    Ok(ExportedItem { kind: kind.name, members })
}

/// Returns the kind of the item with this key.
fn kind_of(partition: &str, sort: &str) -> Result<&'static ItemKind> {
    let is_kind = |kind: &&ItemKind| {
        partition.starts_with(kind.partition)
            && if kind.sort_key == SortKey::Fixed {
                sort == kind.prefix
            } else {
                sort.starts_with(kind.prefix)
            }
    };
    let kind = KINDS.iter().find(is_kind);
    kind.ok_or_else(|| StoreError::Corrupt(format!("no rule for the export of an item {sort}")))
}

fn unknown(kind: &ItemKind, attribute: &str) -> StoreError {
    StoreError::Corrupt(format!("no rule for the export of {attribute} in {}", kind.name))
}

/// Returns the value of an attribute in this form.
fn form(form: Form, value: &AttributeValue, item: &Item) -> Result<Value> {
    let wrong = || StoreError::Corrupt(format!("an attribute is not {form:?}"));
    let number = || value.as_n().ok().and_then(|n| n.parse::<i64>().ok()).ok_or_else(wrong);
    let text = || value.as_s().map_err(|_| wrong());
    let bytes = || value.as_b().map(AsRef::as_ref).map_err(|_| wrong());
    Ok(match form {
        Form::Plain => plain(value)?,
        Form::Milliseconds => json!(timestamp::format(number()?)),
        Form::Seconds => json!(timestamp::format(number()?.saturating_mul(1000))),
        Form::Mark => json!(number()? == 1),
        Form::Json => serde_json::from_slice(bytes()?).map_err(corrupt)?,
        Form::Id => json!(whole(item.need_s(AUTHOR)?, text()?)),
        Form::Origin => json!(Origin::of(text()?).map(|origin| origin.to_string())),
        Form::Count => json!(count(value).ok_or_else(wrong)?),
        Form::Each(rules) => each(rules, value.as_m().map_err(|_| wrong())?, item)?,
        Form::Withheld => Value::Null,
    })
}

/// Returns a map as an object, by the rules of its members.
fn each(rules: &[Rule], map: &Item, item: &Item) -> Result<Value> {
    let mut members = Map::new();
    for (name, value) in map {
        let rule = rules.iter().find(|rule| rule.attribute == name);
        let rule = rule.ok_or_else(|| StoreError::Corrupt(format!("no rule for the export of {name}")))?;
        if rule.form != Form::Withheld {
            members.insert(rule.member.to_owned(), form(rule.form, value, item)?);
        }
    }
    Ok(Value::Object(members))
}

/// Returns the number of elements of a set or a map.
fn count(value: &AttributeValue) -> Option<usize> {
    match value {
        AttributeValue::Bs(set) => Some(set.len()),
        AttributeValue::Ss(set) => Some(set.len()),
        AttributeValue::M(map) => Some(map.len()),
        _ => None,
    }
}

/// Returns a value as it is: bytes in base64, and a map as a sorted list of pairs, because its keys are
/// no terms of a vocabulary.
fn plain(value: &AttributeValue) -> Result<Value> {
    Ok(match value {
        AttributeValue::S(text) => json!(text),
        AttributeValue::N(number) => json!(number.parse::<i64>().map_err(corrupt)?),
        AttributeValue::B(bytes) => json!(STANDARD.encode(bytes)),
        AttributeValue::Ss(texts) => {
            let mut texts = texts.clone();
            texts.sort();
            json!(texts)
        }
        AttributeValue::Bs(set) => json!(set.len()),
        AttributeValue::M(map) => {
            let mut pairs = Vec::with_capacity(map.len());
            let mut names: Vec<(&String, &AttributeValue)> = map.iter().collect();
            names.sort_by_key(|(name, _)| *name);
            for (name, value) in names {
                pairs.push(json!({ "key": name, "value": plain(value)? }));
            }
            Value::Array(pairs)
        }
        _ => return Err(StoreError::Corrupt("an attribute of a type that is not exported".to_owned())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribute::{b, n, s, ss};

    fn item(pk: &str, sk: &str, attributes: &[(&str, AttributeValue)]) -> Item {
        let keys = [(PARTITION_KEY, s(pk)), (SORT_KEY, s(sk))];
        keys.iter().chain(attributes).map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    #[test]
    fn an_entry_is_metadata() {
        let entry = item(
            "D#bob#1",
            "M#00000000000a-0",
            &[
                ("a", s("https://a.example/user/alice")),
                ("e", s("/message/1")),
                ("f", s("/user/alice/device/2")),
                ("c", b([1, 2, 3])),
                ("z", n(3)),
                ("ttl", n(60)),
                ("p", n(1_000)),
                ("q", n(1)),
            ],
        );
        let ExportedItem { kind, members } = exported(&entry).unwrap();
        assert_eq!(kind, "MailboxEntry");
        assert_eq!(
            Value::Object(members),
            json!({
                "key": "00000000000a-0", "author": "https://a.example/user/alice",
                "envelope": "https://a.example/message/1",
                "sender": "https://a.example/user/alice/device/2",
                "size": 3, "expires": "1970-01-01T00:01:00Z", "published": "1970-01-01T00:00:01Z",
                "quiet": true,
            })
        );
    }

    #[test]
    fn counters_are_pairs() {
        let counter = item("L#bob", "12", &[("n", n(2)), ("sx", n(1)), ("ttl", n(60))]);
        assert_eq!(
            Value::Object(exported(&counter).unwrap().members),
            json!({
                "key": "12", "expires": "1970-01-01T00:01:00Z",
                "counts": [{ "key": "n", "value": 2 }, { "key": "sx", "value": 1 }],
            })
        );
    }

    #[test]
    fn what_has_no_rule_is_an_error() {
        for item in [
            item("U#bob", "NEW", &[]),
            item("U#bob", "PROFILE", &[("new", n(1))]),
            item("D#bob#1", "S#00", &[("new", ss(["x"]))]),
            item("Z#bob", "PROFILE", &[]),
            item("U#bob", "PROFILE", &[("at", s("x"))]),
        ] {
            assert!(matches!(exported(&item), Err(StoreError::Corrupt(_))), "{item:?}");
        }
    }
}
