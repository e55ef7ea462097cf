//! Notices that must not be lost. They are stored with what they are about, and stay until the user was
//! told.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::contact::HeadComparison;
use super::controls::event;
use super::receipts::MISSED;
use super::{Distrust, GroupEvent, Messenger, Notice};
use crate::group::{GroupChange, GroupDifference, GroupId, Remedy};
use crate::store::{DeviceStoreError, KeptNotice, StoredNotice, Transaction};
use crate::{SignalSessions, Transport};

/// A [`GroupEvent::Undone`], as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredUndone {
    group: String,
    change: GroupChange,
    remedy: Remedy,
    holds: Option<GroupDifference>,
    difference: GroupDifference,
}

/// The time at which a stored notice is told.
enum Timeliness {
    /// The notice is told now.
    Due,
    /// The subject of the notice may turn out otherwise.
    Early,
    /// There is nothing to tell any more.
    Settled,
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Moves the notices that must not be lost into the store, from where [`Messenger::kept_notices`]
    /// returns them.
    pub(super) fn keep_notices(
        &self,
        tx: &Transaction<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<(), DeviceStoreError> {
        let mut left = Vec::new();
        for notice in notices.drain(..) {
            let is_kept = match kept(&notice) {
                Some((actor, kept)) => tx.keep_notice(&actor, &kept)?,
                None => false,
            };
            if !is_kept {
                left.push(notice);
            }
        }
        *notices = left;
        Ok(())
    }

    /// Returns the stored notices that this process has not returned, and that none of `shown` says.
    /// They stay stored until [`Messenger::note_told`].
    pub(super) fn kept_notices(&self, shown: &[Notice]) -> Result<Vec<Notice>, DeviceStoreError> {
        self.store.write(|tx| {
            let mut notices = Vec::new();
            let kept = tx.kept_notices()?;
            let members = if kept.is_empty() { BTreeSet::new() } else { self.fellow_members(tx)? };
            for stored in kept {
                let Some(notice) = self.judged(tx, &stored, &members)? else { continue };
                if stored.told || shown.iter().any(|shown| says(shown, &notice)) {
                    continue;
                }
                let mut returned = self.returned_notices.lock().unwrap_or_else(PoisonError::into_inner);
                if returned.insert(stored.row) {
                    notices.push(notice);
                }
            }
            Ok(notices)
        })
    }

    /// Returns a stored notice, or `None` if there is nothing to tell, or nothing yet. A view that the
    /// pinned chain has come to share is no contradiction. What somebody has received since is not missed,
    /// and what is sent again not yet.
    fn judged(
        &self,
        tx: &Transaction<'_>,
        stored: &StoredNotice,
        members: &BTreeSet<String>,
    ) -> Result<Option<Notice>, DeviceStoreError> {
        let notice = read(stored)?;
        let timeliness = match (&stored.notice, &notice) {
            // What was withheld may have come meanwhile.
            (KeptNotice::UnseenAdmin(group), _) if !tx.has_conflict(group, &stored.actor)? => {
                Timeliness::Settled
            }
            (_, Notice::Missed { actor, ids }) => self.judge_missed(tx, actor, ids)?,
            (KeptNotice::Contradiction(of, set), _) => {
                let compared =
                    self.compared_contact(tx, of, members)?.map(|contact| contact.compare_head(set));
                match compared {
                    Some(HeadComparison::Later) if !stored.settled => Timeliness::Early,
                    Some(HeadComparison::Other | HeadComparison::Later) => Timeliness::Due,
                    Some(HeadComparison::Same) | None => Timeliness::Settled,
                }
            }
            _ => Timeliness::Due,
        };
        match timeliness {
            Timeliness::Due => return Ok(Some(notice)),
            Timeliness::Early => {}
            Timeliness::Settled => tx.drop_notice(stored.row)?,
        }
        Ok(None)
    }

    /// Judges the notice that somebody has not received messages: it is due if they lack one still, and none of
    /// them is being sent again.
    fn judge_missed(
        &self,
        tx: &Transaction<'_>,
        actor: &str,
        ids: &[String],
    ) -> Result<Timeliness, DeviceStoreError> {
        for id in ids {
            if tx.is_resent(id, actor, self.now_ms())? {
                return Ok(Timeliness::Early);
            }
        }
        let mut is_missed = false;
        for id in ids {
            is_missed |= tx.note_missing(id, actor, MISSED)?;
        }
        Ok(if is_missed { Timeliness::Due } else { Timeliness::Settled })
    }

    /// Records that a notice was shown. [`Notice::DevicesChanged`], [`Notice::KeyCopied`],
    /// [`Notice::Forged`], [`Notice::Contradiction`], [`Notice::Distrusted`], [`Notice::Missed`],
    /// [`Notice::NotRead`], [`Notice::Moved`], [`Notice::KnownUntold`], [`Notice::RecordsFull`],
    /// [`GroupEvent::TwoStories`], [`GroupEvent::NotTold`], [`GroupEvent::UnseenAdmin`] and
    /// [`GroupEvent::Undone`] are returned again, by the next process, until then.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be written.
    pub fn note_told(&self, notice: &Notice) -> Result<(), DeviceStoreError> {
        if let Notice::DevicesChanged { actor, length, .. } = notice {
            return self.store.write(|tx| tx.note_told(actor, *length));
        }
        if let Notice::KeyCopied { length, .. } = notice {
            return self.store.write(|tx| tx.note_told(&self.device.actor(), *length));
        }
        let told = match notice {
            Notice::Contradiction { seen_by, of } => {
                let nothing = eko_protocol::device_set::DeviceSetRef { length: 0, head: String::new() };
                Some((seen_by.clone(), KeptNotice::Contradiction(of.clone(), nothing)))
            }
            Notice::Distrusted { actor, why: Distrust::FalseMove { to, why } }
            | Notice::Refused { actor, why: Distrust::FalseMove { to, why } } => {
                Some((actor.clone(), KeptNotice::FalseMove { to: to.clone(), why: why.clone() }))
            }
            Notice::Distrusted { actor, why: Distrust::Lost { verified } } => {
                Some((actor.clone(), KeptNotice::PinLost { was_verified: *verified }))
            }
            Notice::Distrusted { actor, why } | Notice::Refused { actor, why } => {
                let why = serde_json::to_string(why).map_err(|_| DeviceStoreError::Corrupt("notice"))?;
                Some((actor.clone(), KeptNotice::Distrusted(why)))
            }
            Notice::KnownUntold => Some((self.device.actor(), KeptNotice::KnownUntold)),
            Notice::RecordsFull { .. } => Some((self.device.actor(), KeptNotice::RecordsFull(0))),
            other => kept(other),
        };
        match told {
            Some((actor, notice)) => self.store.write(|tx| tx.note_notice_told(&actor, &notice)),
            None => Ok(()),
        }
    }
}

/// True if a stored notice can be told.
pub(super) fn is_readable(stored: &StoredNotice) -> bool {
    read(stored).is_ok()
}

/// Reads the texts of a stored notice.
fn read(stored: &StoredNotice) -> Result<Notice, DeviceStoreError> {
    let actor = stored.actor.clone();
    let of_group = |group: &str, said| Ok(event(&group_id(group)?, &stored.actor, said));
    Ok(match &stored.notice {
        KeptNotice::Forged(count) => {
            Notice::Forged { actor, count: usize::try_from(*count).unwrap_or(usize::MAX) }
        }
        KeptNotice::TwoStories(group) => return of_group(group, GroupEvent::TwoStories),
        KeptNotice::NotTold(group) => return of_group(group, GroupEvent::NotTold),
        KeptNotice::UnseenAdmin(group) => return of_group(group, GroupEvent::UnseenAdmin),
        KeptNotice::Undone(undone) => {
            let StoredUndone { group, change, remedy, holds, difference } = json(undone)?;
            let event = GroupEvent::Undone { change, remedy, holds };
            Notice::Group { id: group_id(&group)?, by: actor, event, difference }
        }
        KeptNotice::Missed(ids) => Notice::Missed { actor, ids: json(ids)? },
        KeptNotice::NotRead(id) => Notice::NotRead { actor, id: id.clone() },
        KeptNotice::Moved(to) => Notice::Moved { actor, to: to.clone() },
        KeptNotice::KnownUntold => Notice::KnownUntold,
        KeptNotice::RecordsFull(unreadable) => {
            Notice::RecordsFull { unreadable: usize::try_from(*unreadable).unwrap_or(usize::MAX) }
        }
        KeptNotice::FalseMove { to, why } => {
            Notice::Distrusted { actor, why: Distrust::FalseMove { to: to.clone(), why: why.clone() } }
        }
        KeptNotice::PinLost { was_verified } => {
            Notice::Distrusted { actor, why: Distrust::Lost { verified: *was_verified } }
        }
        KeptNotice::Distrusted(why) => Notice::Distrusted { actor, why: json(why)? },
        KeptNotice::Contradiction(of, _) => Notice::Contradiction { seen_by: actor, of: of.clone() },
    })
}

fn json<V: DeserializeOwned>(text: &str) -> Result<V, DeviceStoreError> {
    serde_json::from_str(text).map_err(|_| DeviceStoreError::Corrupt("notice"))
}

fn group_id(text: &str) -> Result<GroupId, DeviceStoreError> {
    GroupId::parse(text).map_err(|_| DeviceStoreError::Corrupt("notice"))
}

/// True if a notice says what a stored one does: the refusal of a message names the contradiction.
fn says(shown: &Notice, kept: &Notice) -> bool {
    match (shown, kept) {
        (Notice::Refused { actor, why }, Notice::Distrusted { actor: of, why: kept }) => {
            (actor, why) == (of, kept)
        }
        _ => false,
    }
}

/// Returns the actor and the stored form of a notice that must not be lost. A contradiction is stored
/// where it is found.
fn kept(notice: &Notice) -> Option<(String, KeptNotice)> {
    match notice {
        Notice::Forged { actor, count } => {
            Some((actor.clone(), KeptNotice::Forged(u64::try_from(*count).unwrap_or(u64::MAX))))
        }
        Notice::Group { id, by, event: GroupEvent::TwoStories, .. } => {
            Some((by.clone(), KeptNotice::TwoStories(id.to_string())))
        }
        Notice::Group { id, by, event: GroupEvent::NotTold, .. } => {
            Some((by.clone(), KeptNotice::NotTold(id.to_string())))
        }
        Notice::Group { id, by, event: GroupEvent::UnseenAdmin, .. } => {
            Some((by.clone(), KeptNotice::UnseenAdmin(id.to_string())))
        }
        Notice::Group { id, by, event: GroupEvent::Undone { change, remedy, holds }, difference } => {
            let (holds, difference) = (holds.clone(), difference.clone());
            let undone =
                StoredUndone { group: id.to_string(), change: *change, remedy: *remedy, holds, difference };
            Some((by.clone(), KeptNotice::Undone(serde_json::to_string(&undone).ok()?)))
        }
        Notice::Missed { actor, ids } => {
            Some((actor.clone(), KeptNotice::Missed(serde_json::json!(ids).to_string())))
        }
        Notice::NotRead { actor, id } => Some((actor.clone(), KeptNotice::NotRead(id.clone()))),
        Notice::Moved { actor, to } => Some((actor.clone(), KeptNotice::Moved(to.clone()))),
        _ => None,
    }
}
