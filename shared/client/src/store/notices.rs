//! Notices that are kept until the user was told of them.

use eko_protocol::device_set::DeviceSetRef;
use rusqlite::{OptionalExtension as _, Row, params};

use super::{DeviceStoreError, Transaction};
use crate::shares::{Party, first_of_fullest};

/// The greatest number of notices that are kept. Beyond it one of the least weight is deleted: the last
/// one of the domain, the server of it, and the actor with the most.
pub const MOST_NOTICES: i64 = 200;
/// The greatest number of security notices of one kind that are kept of one actor. Later ones replace
/// those of which the user was told, and are not kept if there is none.
const MOST_OF_ACTOR: i64 = 8;
/// The greatest number of other notices of one kind that are kept of one actor.
const MOST_NEWS_OF_ACTOR: i64 = 20;

/// The kind of notices about envelopes that were made up, as `notices.kind` numbers it.
const FORGED: i64 = 1;
/// The kind of notices about views of chains.
const CONTRADICTION: i64 = 2;
/// The kind of notices about two stories of one author.
const TWO_STORIES: i64 = 3;
/// The kind of notices about contradictions that servers show.
const DISTRUSTED: i64 = 4;
/// The kind of notices about admins of whom this device has not seen how they became admins.
const UNSEEN_ADMIN: i64 = 5;
/// The kind of notices about changes of groups that were undone.
const UNDONE: i64 = 6;
/// The kind of notices about messages that somebody has not received.
const MISSED: i64 = 7;
/// The kind of notices about a message that somebody could not decrypt.
const NOT_READ: i64 = 8;
/// The kind of notices about members who could not be told of a change of a group.
const NOT_TOLD: i64 = 9;
/// The kind of notices about somebody who has moved to another account.
const MOVED: i64 = 10;
/// The kind of notices about moves that both chains do not prove.
const FALSE_MOVE: i64 = 11;
/// The kind of notices about pinned chains that were lost with a part of the store.
const PIN_LOST: i64 = 12;

/// The kind of notices that the server could not be told of everybody whom the user knows.
const KNOWN_UNTOLD: i64 = 13;
/// The kind of notices that the server keeps no more group records.
const RECORDS_FULL: i64 = 14;

/// The weight of a notice where too many are kept. The least one makes room first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum NoticeWeight {
    /// The user was told.
    Told,
    /// The notice warns of nobody.
    News,
    /// The notice is a warning that is somebody's word.
    Stated,
    /// The notice is a warning of what this device has seen itself.
    Seen,
}

impl NoticeWeight {
    fn of(kind: i64, told: bool) -> Self {
        match kind {
            _ if told => Self::Told,
            UNDONE | MISSED | NOT_READ | NOT_TOLD | KNOWN_UNTOLD | RECORDS_FULL => Self::News,
            FORGED | CONTRADICTION | FALSE_MOVE => Self::Stated,
            _ => Self::Seen,
        }
    }
}

/// A notice that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeptNotice {
    /// The actor got so many envelopes in the name of this device that it has not sent.
    Forged(u64),
    /// The actor has seen this device set of a user, which the pinned chain lacks.
    Contradiction(String, DeviceSetRef),
    /// The actor tells members of this group different things.
    TwoStories(String),
    /// A server contradicts what is known of the actor's devices: the contradiction, as JSON.
    Distrusted(String),
    /// The actor changes this group as an admin, and this device has not seen how the actor became one.
    UnseenAdmin(String),
    /// The actor's change of a group has undone one of this user: the notice, as JSON.
    Undone(String),
    /// The actor has not received messages of this user: a JSON array of the ids.
    Missed(String),
    /// The actor could not decrypt the message with this id.
    NotRead(String),
    /// The actor could not be told of the last change of this group.
    NotTold(String),
    /// The actor has moved to the account of this actor id, and this device has followed.
    Moved(String),
    /// The actor is said to have moved to the account of this handle, and both chains do not prove it.
    FalseMove {
        /// The handle of the other account.
        to: String,
        /// The reason, in words.
        why: String,
    },
    /// The pinned chain of the actor, or its end, was lost with a part of the store.
    PinLost {
        /// True if the user had compared safety numbers with the actor.
        was_verified: bool,
    },
    /// The server could not be told of everybody whom the user knows.
    KnownUntold,
    /// The server keeps no more group records. So many of those that it keeps cannot be read.
    RecordsFull(u64),
}

/// A notice in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredNotice {
    /// The number of the notice.
    pub(crate) row: i64,
    /// The actor that it is about.
    pub(crate) actor: String,
    /// The content.
    pub(crate) notice: KeptNotice,
    /// True if the chain was read again since an actor had another view of it.
    pub(crate) settled: bool,
    /// True if the user was told.
    pub(crate) told: bool,
}

impl KeptNotice {
    /// Returns the kind, and what the notice is about besides its actor. There is one notice of an
    /// actor with both.
    fn key(&self) -> (i64, &str) {
        match self {
            Self::Forged(_) => (FORGED, ""),
            Self::Contradiction(of, _) => (CONTRADICTION, of),
            Self::TwoStories(group) => (TWO_STORIES, group),
            Self::Distrusted(_) => (DISTRUSTED, ""),
            Self::UnseenAdmin(group) => (UNSEEN_ADMIN, group),
            Self::Undone(undone) => (UNDONE, undone),
            Self::Missed(ids) => (MISSED, ids),
            Self::NotRead(id) => (NOT_READ, id),
            Self::NotTold(group) => (NOT_TOLD, group),
            Self::Moved(to) => (MOVED, to),
            Self::FalseMove { to, .. } => (FALSE_MOVE, to),
            Self::PinLost { .. } => (PIN_LOST, ""),
            Self::KnownUntold => (KNOWN_UNTOLD, ""),
            Self::RecordsFull(_) => (RECORDS_FULL, ""),
        }
    }

    /// Returns the greatest number of notices of this kind that are kept of one actor.
    fn most_of_actor(&self) -> i64 {
        match self {
            Self::Forged(_)
            | Self::Contradiction(..)
            | Self::TwoStories(_)
            | Self::Distrusted(_)
            | Self::UnseenAdmin(_)
            | Self::Moved(_)
            | Self::FalseMove { .. }
            | Self::PinLost { .. }
            | Self::KnownUntold
            | Self::RecordsFull(_) => MOST_OF_ACTOR,
            Self::Undone(_) | Self::Missed(_) | Self::NotRead(_) | Self::NotTold(_) => MOST_NEWS_OF_ACTOR,
        }
    }
}

/// The columns that [`read`] reads.
pub(super) const COLUMNS: &str = "SELECT row, actor, kind, about, number, head, settled, told FROM notices";

impl Transaction<'_> {
    /// Keeps a notice, in place of another one of the same actor about the same. Envelopes that were
    /// made up are added to those that the user was not told of. Of another view of the same chain the
    /// user is not told again, nor of the same contradiction, nor of a false move to the same account. Returns false if the notice is not kept,
    /// because there are too many of the actor or of all.
    pub(crate) fn keep_notice(&self, actor: &str, notice: &KeptNotice) -> Result<bool, DeviceStoreError> {
        let ((kind, about), most) = (notice.key(), notice.most_of_actor());
        let sql = "SELECT number, head, told FROM notices WHERE actor = ?1 AND kind = ?2 AND about = ?3";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let before: Option<(u64, String, bool)> =
            self.inner.query_row(sql, params![actor, kind, about], read).optional()?;
        let (number, head) = match notice {
            KeptNotice::Forged(count) => {
                (before.as_ref().map_or(0, |(number, ..)| *number).saturating_add(*count), "")
            }
            KeptNotice::Contradiction(_, set) => (set.length, set.head.as_str()),
            KeptNotice::PinLost { was_verified } => (u64::from(*was_verified), ""),
            KeptNotice::RecordsFull(unreadable) => (*unreadable, ""),
            KeptNotice::TwoStories(_)
            | KeptNotice::UnseenAdmin(_)
            | KeptNotice::Undone(_)
            | KeptNotice::Missed(_)
            | KeptNotice::NotRead(_)
            | KeptNotice::NotTold(_)
            | KeptNotice::Moved(_)
            | KeptNotice::KnownUntold => (0, ""),
            KeptNotice::Distrusted(why) | KeptNotice::FalseMove { why, .. } => (0, why.as_str()),
        };
        // Whoever says so again says nothing new, whatever their reason is.
        if kind == FALSE_MOVE && before.is_some() {
            return Ok(true);
        }
        let is_same = before.as_ref().is_some_and(|(was, of, _)| (*was, of.as_str()) == (number, head));
        if is_same && matches!(kind, CONTRADICTION | DISTRUSTED) {
            return Ok(true);
        }
        let told = kind == CONTRADICTION && before.is_some_and(|(.., told)| told);
        self.delete_notice(actor, notice)?;
        let sql = "DELETE FROM notices WHERE row = (SELECT row FROM notices WHERE actor = ?1 AND kind = ?2 \
                   AND told = 1 AND kind <> ?4 ORDER BY row LIMIT 1) \
                   AND (SELECT count(*) FROM notices WHERE actor = ?1 AND kind = ?2) >= ?3";
        self.inner.execute(sql, params![actor, kind, most, FALSE_MOVE])?;
        let sql = "INSERT INTO notices (actor, kind, about, number, head, told) \
                   SELECT ?1, ?2, ?3, ?4, ?5, ?7 WHERE \
                   (SELECT count(*) FROM notices WHERE actor = ?1 AND kind = ?2) < ?6";
        let is_kept = self.inner.execute(sql, params![actor, kind, about, number, head, most, told])? > 0;
        if !is_kept {
            return Ok(false);
        }
        let row = self.inner.last_insert_rowid();
        Ok(self.make_room_for_notice()? != Some(row))
    }

    /// Deletes a notice if too many are kept, and returns its row. Whoever tells most loses first, so that
    /// no crowd pushes out what one has told. The warning of a contradiction in somebody's devices stays,
    /// and takes no place.
    fn make_room_for_notice(&self) -> Result<Option<i64>, DeviceStoreError> {
        let sql = "SELECT count(*) FROM notices WHERE kind != ?1";
        let count: i64 = self.inner.query_row(sql, [DISTRUSTED], |row| row.get(0))?;
        if count <= MOST_NOTICES {
            return Ok(None);
        }
        // Of what is left out an actor has one at most, and is a contact or a member of a group.
        let sql = "SELECT row, actor, kind, told FROM notices WHERE kind != ?1 ORDER BY row DESC";
        let mut statement = self.inner.prepare_cached(sql)?;
        let read = |row: &Row<'_>| {
            let (number, actor): (i64, String) = (row.get(0)?, row.get(1)?);
            Ok((number, Party::of(&actor), NoticeWeight::of(row.get(2)?, row.get(3)?)))
        };
        let mut kept = statement.query_map([DISTRUSTED], read)?.collect::<Result<Vec<_>, _>>()?;
        let least = kept.iter().map(|(.., weight)| *weight).min();
        kept.retain(|(.., weight)| Some(*weight) == least);
        let at = first_of_fullest(kept.iter().map(|(_, party, _)| (party, 1)));
        let row = at.and_then(|at| kept.get(at)).map(|(row, ..)| *row);
        if let Some(row) = row {
            self.drop_notice(row)?;
        }
        Ok(row)
    }

    /// Returns all kept notices, oldest first, also those that the user was told of.
    pub(crate) fn kept_notices(&self) -> Result<Vec<StoredNotice>, DeviceStoreError> {
        let mut statement = self.inner.prepare_cached(&format!("{COLUMNS} ORDER BY row"))?;
        let notices = statement.query_map([], read)?.collect::<Result<Vec<_>, _>>()?;
        notices.into_iter().map(|notice| notice.ok_or(DeviceStoreError::Corrupt("notice"))).collect()
    }

    /// Deletes a notice.
    pub(crate) fn drop_notice(&self, row: i64) -> Result<(), DeviceStoreError> {
        self.inner.execute("DELETE FROM notices WHERE row = ?1", [row])?;
        Ok(())
    }

    /// Records that the user was told of a notice. It is deleted, unless it must not be told again.
    /// Envelopes that were made up since stay.
    pub(crate) fn note_notice_told(&self, actor: &str, notice: &KeptNotice) -> Result<(), DeviceStoreError> {
        let (kind, about) = notice.key();
        match notice {
            KeptNotice::Contradiction(..) | KeptNotice::FalseMove { .. } => {
                let sql = "UPDATE notices SET told = 1 WHERE actor = ?1 AND kind = ?2 AND about = ?3";
                self.inner.execute(sql, params![actor, kind, about])?;
                return Ok(());
            }
            KeptNotice::Distrusted(why) => {
                let sql = "UPDATE notices SET told = 1 WHERE actor = ?1 AND kind = ?2 AND head = ?3";
                self.inner.execute(sql, params![actor, kind, why])?;
                return Ok(());
            }
            KeptNotice::Forged(_)
            | KeptNotice::TwoStories(_)
            | KeptNotice::UnseenAdmin(_)
            | KeptNotice::Undone(_)
            | KeptNotice::Missed(_)
            | KeptNotice::NotRead(_)
            | KeptNotice::NotTold(_)
            | KeptNotice::Moved(_)
            | KeptNotice::PinLost { .. }
            | KeptNotice::KnownUntold
            | KeptNotice::RecordsFull(_) => {}
        }
        let told = if let KeptNotice::Forged(count) = notice { *count } else { 0 };
        let sql = "DELETE FROM notices WHERE actor = ?1 AND kind = ?2 AND about = ?3 AND (kind <> ?4 OR number <= ?5)";
        self.inner.execute(sql, params![actor, kind, about, FORGED, told])?;
        Ok(())
    }

    fn delete_notice(&self, actor: &str, notice: &KeptNotice) -> Result<(), DeviceStoreError> {
        let (kind, about) = notice.key();
        let sql = "DELETE FROM notices WHERE actor = ?1 AND kind = ?2 AND about = ?3";
        self.inner.execute(sql, params![actor, kind, about])?;
        Ok(())
    }

    /// Deletes the notice about what contradicted the chain of a user, who has settled that.
    pub(crate) fn drop_distrust(&self, actor: &str) -> Result<(), DeviceStoreError> {
        self.delete_notice(actor, &KeptNotice::Distrusted(String::new()))
    }

    /// Returns the users of whose chains others have seen more than was there when they were last
    /// read, each after an actor who has seen it.
    pub(crate) fn unsettled_views(&self) -> Result<Vec<(String, String)>, DeviceStoreError> {
        let sql = "SELECT notices.actor, about FROM notices JOIN chains ON chains.actor = about \
                   WHERE kind = ?1 AND settled = 0 AND number > length ORDER BY row";
        let mut statement = self.inner.prepare_cached(sql)?;
        let views = statement.query_map([CONTRADICTION], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(views.collect::<Result<_, _>>()?)
    }

    /// Records that the chain of a user was read again since others had another view of it.
    pub(crate) fn settle_views(&self, of: &str) -> Result<(), DeviceStoreError> {
        let sql = "UPDATE notices SET settled = 1 WHERE kind = ?1 AND about = ?2";
        self.inner.execute(sql, params![CONTRADICTION, of])?;
        Ok(())
    }

    /// Deletes the notices about views of the chain of a user.
    pub(crate) fn drop_views(&self, of: &str) -> Result<(), DeviceStoreError> {
        self.inner
            .execute("DELETE FROM notices WHERE kind = ?1 AND about = ?2", params![CONTRADICTION, of])?;
        Ok(())
    }
}

/// Reads a notice, or returns `None` if it is of no kind that this library knows.
pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Option<StoredNotice>> {
    let (kind, about, number): (i64, String, u64) = (row.get(2)?, row.get(3)?, row.get(4)?);
    let notice = match kind {
        FORGED => Some(KeptNotice::Forged(number)),
        CONTRADICTION => {
            let set = DeviceSetRef { length: number, head: row.get(5)? };
            Some(KeptNotice::Contradiction(about, set))
        }
        TWO_STORIES => Some(KeptNotice::TwoStories(about)),
        DISTRUSTED => Some(KeptNotice::Distrusted(row.get(5)?)),
        UNSEEN_ADMIN => Some(KeptNotice::UnseenAdmin(about)),
        UNDONE => Some(KeptNotice::Undone(about)),
        MISSED => Some(KeptNotice::Missed(about)),
        NOT_READ => Some(KeptNotice::NotRead(about)),
        NOT_TOLD => Some(KeptNotice::NotTold(about)),
        MOVED => Some(KeptNotice::Moved(about)),
        FALSE_MOVE => Some(KeptNotice::FalseMove { to: about, why: row.get(5)? }),
        PIN_LOST => Some(KeptNotice::PinLost { was_verified: number > 0 }),
        KNOWN_UNTOLD => Some(KeptNotice::KnownUntold),
        RECORDS_FULL => Some(KeptNotice::RecordsFull(number)),
        _ => None,
    };
    let (number, actor, settled, told) = (row.get(0)?, row.get(1)?, row.get(6)?, row.get(7)?);
    Ok(notice.map(|notice| StoredNotice { row: number, actor, notice, settled, told }))
}
