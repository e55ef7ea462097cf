//! The news of moves, which the new account sends or somebody else passes on.

use eko_protocol::chain::{ChainNode, ChainState};

use super::contact::Contact;
use super::incoming::ActivitySource;
use super::{Messenger, Trust};
use crate::content::MoveEvidence;
use crate::shares::{Party, first_of_fullest};
use crate::store::{DeviceStoreError, MoveNews, PinnedChain, Transaction};
use crate::{SignalSessions, Transport};

/// The greatest number of news of one move that are kept with nodes missing before them. Nothing of them is proven.
pub const MOST_GAPS: usize = 4;
/// The reason for which nodes are not followed that contradict the pinned chain.
const CONTRADICTED: &str = "it contradicts the devices that you know of them";

/// The relation of nodes that somebody sends to the pinned chain of the same user.
enum Extension {
    /// They go on from it, or are in it. Holds the whole chain.
    Whole(Vec<ChainNode>),
    /// There are nodes in between.
    Gap,
    /// They contradict it.
    Conflict,
}

/// The outcome of an attempt to follow the news of a move.
enum NewsOutcome {
    /// This device goes on with the new account.
    Followed,
    /// The news cannot be judged yet.
    Open,
    /// The news is not right, or nothing speaks for it.
    Refused,
}

impl Contact {
    /// Compares nodes with this chain.
    fn extended(&self, nodes: &[ChainNode]) -> Extension {
        let mut whole = self.pinned.nodes.clone();
        for node in nodes {
            let at = usize::try_from(node.seq()).unwrap_or(usize::MAX);
            match whole.get(at) {
                Some(known) if known.hash() == node.hash() => {}
                Some(_) => return Extension::Conflict,
                None if at == whole.len() => whole.push(node.clone()),
                None => return Extension::Gap,
            }
        }
        match ChainState::replay(&self.person.origin, &self.person.user, &whole) {
            Ok(_) => Extension::Whole(whole),
            Err(_) => Extension::Conflict,
        }
    }
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Takes the news that the author has moved here from another account, whose chain proves it, or that
    /// somebody else has. It counts if this device knows the old account, and follows the same rules as a move
    /// that its server shows. What somebody passes on counts only if it goes on from the pinned chain, and
    /// nothing that does was heard before: nobody else's word takes the place of the mover's. News with nodes
    /// missing before it proves nothing, and anybody can make it up. So it takes the place of nobody else's.
    pub(super) fn keep_move(
        &self,
        tx: &Transaction<'_>,
        evidence: &MoveEvidence,
        whence: &ActivitySource<'_>,
    ) -> Result<(), DeviceStoreError> {
        let old = evidence.old_actor();
        if whence.standing.is_in_doubt() || old == self.device.actor() || self.is_stranger(tx, old)? {
            return Ok(());
        }
        let known = self.kept_contact(tx, old)?.zip(self.kept_contact(tx, whence.actor)?);
        let Some((left, author)) = known else { return Ok(()) };
        if tx.kept_move(old)?.is_some_and(|kept| kept.is_followed) {
            return Ok(());
        }
        let is_passed_on = evidence.new_actor() != whence.actor;
        let (to, nodes) = (evidence.new_actor().to_owned(), evidence.nodes().to_vec());
        let news = MoveNews { to, nodes, is_passed_on };
        let is_whole = |news: &MoveNews| matches!(left.extended(&news.nodes), Extension::Whole(_));
        // The old server is asked first, and shows what this device has not read yet: a revocation of the
        // device that has signed, or what is missing in between.
        match left.extended(&news.nodes) {
            Extension::Whole(_) => {
                let mut kept = tx.move_news(old)?;
                let is_first = !kept.iter().any(is_whole);
                if is_passed_on && !(is_first && self.counts(tx, whence)?) {
                    return Ok(());
                }
                if is_first {
                    // The attempts so far were for what nobody may have signed.
                    tx.forget_open_move(old)?;
                }
                kept.retain(|kept| kept.to != news.to && !is_whole(kept));
                kept.insert(0, news);
                tx.put_move_news(old, &kept)
            }
            Extension::Gap if !is_passed_on => {
                let (whole, mut others): (Vec<_>, Vec<_>) =
                    tx.move_news(old)?.into_iter().partition(is_whole);
                if whole.iter().any(|kept| kept.to == news.to) {
                    return Ok(());
                }
                others.retain(|kept| kept.to != news.to);
                others.push(news);
                if others.len() > MOST_GAPS {
                    let strangers =
                        others.iter().map(|one| self.is_stranger(tx, &one.to)).collect::<Result<_, _>>()?;
                    make_room(&mut others, strangers);
                }
                tx.put_move_news(old, &[whole, others].concat())
            }
            Extension::Conflict if !is_passed_on => {
                self.tell_false_move(tx, old, &author.person, CONTRADICTED)
            }
            Extension::Gap | Extension::Conflict => Ok(()),
        }
    }

    /// Goes on with the new account of somebody by the nodes that were sent, after the old server was asked: it
    /// shows nothing that contradicts them, or nothing at all. What is refused is forgotten, and the move with
    /// the last of it.
    pub(super) fn follow_by_news(
        &self,
        old: &str,
        news: &[MoveNews],
        is_answered: bool,
    ) -> Result<(), DeviceStoreError> {
        self.store.write(|tx| {
            let mut kept = tx.move_news(old)?;
            for one in news {
                match self.follow_one(tx, old, one, is_answered)? {
                    NewsOutcome::Followed => return Ok(()),
                    NewsOutcome::Open => {}
                    NewsOutcome::Refused => kept.retain(|kept| kept != one),
                }
            }
            tx.put_move_news(old, &kept)
        })
    }

    /// Follows the news of a move if it is right. One that is contradicted is refused, and told, unless somebody
    /// else has passed it on. One with nodes that are missing is refused if the old server has answered.
    fn follow_one(
        &self,
        tx: &Transaction<'_>,
        old: &str,
        news: &MoveNews,
        is_answered: bool,
    ) -> Result<NewsOutcome, DeviceStoreError> {
        let known = self.kept_contact(tx, old)?.zip(self.kept_contact(tx, &news.to)?);
        let Some((left, new)) = known else { return Ok(NewsOutcome::Open) };
        let refused = |why: &str| {
            if !news.is_passed_on {
                self.tell_false_move(tx, old, &new.person, why)?;
            }
            Ok(NewsOutcome::Refused)
        };
        let nodes = match left.extended(&news.nodes) {
            Extension::Whole(nodes) => nodes,
            // The nodes in between are not there, so that nothing speaks for these.
            Extension::Gap if is_answered => return Ok(NewsOutcome::Refused),
            Extension::Gap => return Ok(NewsOutcome::Open),
            Extension::Conflict => return refused(CONTRADICTED),
        };
        let (before, person) = (left.active(), left.person.clone());
        let mut left = Contact::new(person, PinnedChain { nodes, ..left.pinned })?;
        if left.is_in_doubt() || left.hidden().is_some() || left.trust() == Trust::Reset {
            return Ok(NewsOutcome::Open);
        }
        if let Err(why) = self.carry_over(tx, &left, &new)? {
            return refused(&why);
        }
        for gone in before.difference(&left.active()) {
            tx.end_session(gone, self.now_ms())?;
        }
        if !before.is_subset(&left.active()) {
            tx.rekey_groups_of(old, left.state.position.length)?;
        }
        left.settle_proofs();
        tx.pin(old, &left.pinned)?;
        Ok(NewsOutcome::Followed)
    }
}

/// Drops one of the news of a move of which nodes are missing: a stranger's before anybody else's, of whoever has
/// sent most, and the latest one first. `strangers` says who has sent each.
fn make_room(news: &mut Vec<MoveNews>, strangers: Vec<bool>) {
    let has_stranger = strangers.contains(&true);
    let senders = news.iter().map(|one| Party::of(&one.to)).zip(strangers).enumerate().rev();
    let of_last = senders.filter(|(_, (_, is_stranger))| *is_stranger == has_stranger);
    let (places, parties): (Vec<usize>, Vec<Party>) = of_last.map(|(at, (party, _))| (at, party)).unzip();
    let dropped = first_of_fullest(parties.iter().map(|party| (party, 1)));
    if let Some(at) = dropped.and_then(|dropped| places.get(dropped)) {
        news.remove(*at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the senders of what is kept after news of the last one has come.
    fn kept(senders: [(&str, bool); MOST_GAPS + 1]) -> Vec<String> {
        let of = |(to, _): (&str, bool)| MoveNews {
            to: format!("https://{to}.example/user/eve"),
            nodes: Vec::new(),
            is_passed_on: false,
        };
        let mut news = senders.map(of).to_vec();
        make_room(&mut news, senders.map(|(_, is_stranger)| is_stranger).to_vec());
        news.into_iter().map(|one| one.to).collect()
    }

    fn without(senders: [(&str, bool); MOST_GAPS + 1], dropped: usize) -> Vec<String> {
        let mut left = senders.map(|(to, _)| format!("https://{to}.example/user/eve")).to_vec();
        left.remove(dropped);
        left
    }

    #[test]
    fn news_that_proves_nothing_makes_room_by_its_senders() {
        for (senders, dropped) in [
            // Nobody is displaced by somebody who comes later, or by a crowd of one domain.
            ([("a.one", true), ("b.one", true), ("c.one", true), ("d.two", true), ("e.three", true)], 2),
            ([("a.one", true), ("a.two", true), ("a.three", true), ("a.four", true), ("a.five", true)], 4),
            // A contact is never displaced by a stranger.
            ([("a.one", false), ("b.one", false), ("c.one", false), ("a.two", true), ("a.three", false)], 3),
            ([("a.one", false), ("b.one", false), ("c.one", false), ("a.two", false), ("a.three", true)], 4),
            (
                [("a.one", false), ("a.two", false), ("b.two", false), ("a.three", false), ("a.four", false)],
                2,
            ),
        ] {
            assert_eq!(kept(senders), without(senders, dropped), "{senders:?}");
        }
    }
}
