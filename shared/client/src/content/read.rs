//! Reading activities from JSON.

use std::collections::BTreeMap;

use eko_protocol::block::BlockedParty;
use eko_protocol::device_set::DeviceSetRef;
use eko_protocol::json::{has_type, list, only, optional, optional_text, shape, text};
use eko_protocol::limits::MAX_SAFE_INTEGER;
use eko_protocol::{Invalid, timestamp};
use serde_json::Value;

use super::member::{actor, number, parsed, required};
use super::{
    Activity, ActivityContent, ActivityId, GroupRef, MAX_ATTACHMENTS, MAX_DEVICE_SETS, MoveEvidence, Note,
    NoteId, decision, head, number_range, receipt,
};
use crate::attachment::Attachment;
use crate::group::{GroupControl, GroupId, MAX_EPOCH};
use crate::sealed::StateKeys;

/// Reads an activity.
pub(super) fn activity(value: &Value) -> Result<Activity, Invalid> {
    let header = ActivityHeader::read(value)?;
    let content = content(value, &header)?;
    // A control signs its device set together with everything else.
    let device_set = match content {
        ActivityContent::Control(_) => None,
        _ => head::read(value)?,
    };
    let ActivityHeader { id, actor, to, published_ms, group } = header;
    let sequence = number(value, "eko:sequence", 1)?;
    Ok(Activity {
        id,
        actor,
        to,
        published_ms,
        sequence,
        void: number_range::read(value, sequence)?,
        device_set,
        device_sets_hash: optional_text(value, "eko:deviceSetsHash")?
            .map(hash)
            .transpose()
            .map_err(|fault| fault.under("/eko:deviceSetsHash"))?,
        device_sets: device_sets(value)?,
        group,
        content,
    })
}

/// The members that every activity has.
pub(crate) struct ActivityHeader {
    pub(crate) id: ActivityId,
    pub(crate) actor: String,
    pub(crate) to: String,
    pub(crate) published_ms: i64,
    pub(crate) group: Option<GroupRef>,
}

impl ActivityHeader {
    pub(crate) fn read(value: &Value) -> Result<Self, Invalid> {
        if !value.is_object() {
            return Err(Invalid::whole("must be an object"));
        }
        let group = optional(value, "eko:group")?.map(group).transpose();
        let group = group.map_err(|fault| fault.under("/eko:group"))?;
        Ok(Self {
            id: parsed(value, "id", ActivityId::parse)?,
            actor: parsed(value, "actor", actor)?,
            to: to(text(value, "to")?, group.as_ref()).map_err(|fault| fault.under("/to"))?,
            published_ms: parsed(value, "published", timestamp::parse)?,
            group,
        })
    }
}

fn group(value: &Value) -> Result<GroupRef, Invalid> {
    let epoch = required(value, "epoch", 1)?;
    if epoch > MAX_EPOCH {
        return Err(Invalid::at("/epoch", "is beyond 2^32"));
    }
    Ok(GroupRef { id: parsed(value, "id", GroupId::parse)?, epoch, state: parsed(value, "state", hash)? })
}

/// Checks a SHA-256 in hex.
pub(crate) fn hash(text: &str) -> Result<String, Invalid> {
    let is_hash = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hash { Ok(text.to_owned()) } else { Err(Invalid::whole("must be 64 lower-case hex digits")) }
}

/// Checks `to`: one group or one actor. An activity belongs to one conversation.
fn to(to: &str, group: Option<&GroupRef>) -> Result<String, Invalid> {
    match group {
        None => actor(to),
        Some(group) if group.id.as_str() == to => Ok(to.to_owned()),
        Some(_) => Err(Invalid::whole("must be the group of eko:group")),
    }
}

fn device_sets(value: &Value) -> Result<BTreeMap<String, DeviceSetRef>, Invalid> {
    let fault = |detail: &str| Invalid::at("/eko:deviceSets", detail);
    let Some(member) = optional(value, "eko:deviceSets")? else { return Ok(BTreeMap::new()) };
    let members = member.as_object().ok_or_else(|| fault("must be an object"))?;
    if members.len() > MAX_DEVICE_SETS {
        return Err(fault("are of more actors than a conversation has"));
    }
    let set = |(name, set): (&String, &Value)| {
        let name = actor(name)?;
        let set = shape::<DeviceSetRef>(set)?;
        if set.length > MAX_SAFE_INTEGER {
            return Err(Invalid::at("/length", "is beyond 2^53 - 1"));
        }
        Ok((name, set))
    };
    // The error does not repeat the name of the wrong member, because that may be any text.
    members.iter().map(set).collect::<Result<_, Invalid>>().map_err(|error| fault(&error.to_string()))
}

fn content(value: &Value, head: &ActivityHeader) -> Result<ActivityContent, Invalid> {
    if has_type(value, "GroupControl") {
        return GroupControl::read(value, head).map(|control| ActivityContent::Control(Box::new(control)));
    }
    if has_type(value, "Read") {
        return parsed(value, "object", ActivityId::parse).map(ActivityContent::Read);
    }
    if has_type(value, "Typing") {
        return Ok(ActivityContent::Typing);
    }
    if has_type(value, "Delivered") {
        return receipt::read(value).map(ActivityContent::Receipt);
    }
    if has_type(value, "Join") {
        let id = parsed(value, "object", GroupId::parse)?;
        return match &head.group {
            Some(group) if group.id == id => Ok(ActivityContent::Join(id)),
            _ => Err(Invalid::at("/object", "must be the group of eko:group")),
        };
    }
    if has_type(value, "Announce") {
        let control = GroupControl::parse(only(value, "object")?).map_err(|fault| fault.under("/object"))?;
        return Ok(ActivityContent::Announce(Box::new(control)));
    }
    if has_type(value, "Block") {
        return parsed(value, "object", BlockedParty::parse).map(ActivityContent::Block);
    }
    if has_type(value, "Decisions") {
        return decision::read(value).map(ActivityContent::Decisions);
    }
    if has_type(value, "StateKeys") {
        return StateKeys::parse(value).map(ActivityContent::StateKeys);
    }
    if has_type(value, "Leave") {
        return parsed(value, "target", actor).map(ActivityContent::Leave);
    }
    if has_type(value, "Move") {
        return MoveEvidence::read(value).map(ActivityContent::Move);
    }
    match only(value, "object") {
        Ok(object) if has_type(value, "Undo") && has_type(object, "Block") => {
            let party = parsed(object, "object", BlockedParty::parse);
            party.map(ActivityContent::Unblock).map_err(|fault| fault.under("/object"))
        }
        Ok(object) if has_type(value, "Undo") && has_type(object, "Typing") => {
            Ok(ActivityContent::TypingEnded)
        }
        Ok(object) if has_type(value, "Create") && has_type(object, "Note") => {
            note(object).map(ActivityContent::Note).map_err(|fault| fault.under("/object"))
        }
        _ => Ok(ActivityContent::Other(value.clone())),
    }
}

fn note(object: &Value) -> Result<Note, Invalid> {
    // Without a media type, ActivityStreams would mean HTML. This protocol reads no HTML.
    if optional_text(object, "mediaType")?.is_some_and(|media_type| media_type != "text/plain") {
        return Err(Invalid::at("/mediaType", "must be text/plain"));
    }
    Ok(Note {
        id: parsed(object, "id", NoteId::parse)?,
        text: parsed(object, "content", |text| Ok(text.to_owned()))?,
        attachments: attachments(object).map_err(|fault| fault.under("/attachment"))?,
    })
}

fn attachments(object: &Value) -> Result<Vec<Attachment>, Invalid> {
    let items = list(object, "attachment");
    if items.len() > MAX_ATTACHMENTS {
        return Err(Invalid::whole(format!("are more than {MAX_ATTACHMENTS}")));
    }
    let item = |(index, item)| Attachment::parse(item).map_err(|fault| fault.under(format!("/{index}")));
    items.iter().enumerate().map(item).collect()
}
