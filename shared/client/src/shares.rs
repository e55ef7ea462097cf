//! Fair shares of what is bounded: the chains that one look reads, and what the store keeps of others.
//!
//! Names cost nothing. Whoever has a domain has every server under it, on every port, and a server has
//! as many users as it likes. So room is shared between domains, then between the servers of one
//! domain, and then between the users of one server. Nobody gets more by a name, by being early, or by
//! being late.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

use eko_protocol::address::Origin;

use crate::Environment;

/// The parties that something comes from, the widest first: a domain, a server of it, a user of that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Party(Vec<String>);

impl Party {
    /// Returns the parties that a user belongs to. Names that are no actor ids are of one server.
    pub(crate) fn of(actor: &str) -> Self {
        let origin = Origin::of(actor);
        let host = origin.as_ref().map(Origin::host).unwrap_or_default();
        let server = origin.as_ref().map(Origin::as_str).unwrap_or_default();
        Self([domain(host), server, actor].map(str::to_owned).into())
    }

    /// Returns the parties behind what this one says about a user.
    pub(crate) fn about(mut self, actor: &str) -> Self {
        self.0.extend(Self::of(actor).0);
        self
    }

    fn name(&self, level: usize) -> &str {
        self.0.get(level).map(String::as_str).unwrap_or_default()
    }
}

/// Room for so many things in one look, each with a rank. Those of the last rank make room first, and
/// of these those of the party with the most. Between parties with as many the lot decides, which is
/// drawn for each look, so that each has its turn in some look.
pub(crate) struct Shares<R, T> {
    most: usize,
    /// The random bytes that decide, once that is needed.
    lot: Option<[u8; 16]>,
    /// Items that have room, the newest first.
    places: VecDeque<(R, Party, T)>,
}

impl<R: Copy + Ord, T> Shares<R, T> {
    /// Returns room for `most` things.
    pub(crate) const fn new(most: usize) -> Self {
        Self { most, lot: None, places: VecDeque::new() }
    }

    /// Gives room to a thing. If there is too little room, it or another one is dropped.
    pub(crate) fn put(&mut self, rank: R, party: Party, thing: T, environment: &Environment) {
        self.places.push_front((rank, party, thing));
        if self.places.len() <= self.most {
            return;
        }
        let lot = *self.lot.get_or_insert_with(|| environment.bytes());
        let Some(last) = self.places.iter().map(|(rank, ..)| *rank).max() else { return };
        let of_last = self.places.iter().enumerate().filter(|(_, (rank, ..))| *rank == last);
        let (at, parties): (Vec<usize>, Vec<&Party>) = of_last.map(|(at, (_, party, _))| (at, party)).unzip();
        let counts = parties.into_iter().map(|party| (party, 1));
        let dropped = makes_room(counts, |name, _| drawn(&lot, name)).and_then(|dropped| at.get(dropped));
        if let Some(dropped) = dropped.copied() {
            self.places.remove(dropped);
        }
    }

    /// Returns what has room, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.places.iter().rev().map(|(.., thing)| thing)
    }

    /// Returns what has room, to be changed.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.iter_mut().rev().map(|(.., thing)| thing)
    }

    /// Returns what has room, oldest first.
    pub(crate) fn into_things(self) -> impl Iterator<Item = T> {
        self.places.into_iter().rev().map(|(.., thing)| thing)
    }
}

/// Returns the user of whom one thing makes room for another, given how much is kept of each user. The
/// first is the one of whom the oldest thing is kept, and makes room before others with as much.
pub(crate) fn fullest(counts: &[(String, i64)]) -> Option<&str> {
    let parties: Vec<(Party, i64)> = counts.iter().map(|(actor, count)| (Party::of(actor), *count)).collect();
    let at = first_of_fullest(parties.iter().map(|(party, count)| (party, *count)))?;
    counts.get(at).map(|(actor, _)| actor.as_str())
}

/// Returns the place of what makes room: the first thing of the party with the most. Between parties
/// with as much it is that of the first thing.
pub(crate) fn first_of_fullest<'a>(kept: impl Iterator<Item = (&'a Party, i64)>) -> Option<usize> {
    makes_room(kept, |_, first| Reverse(first))
}

/// Returns the place of the first thing of the party with the most: of the fullest domain, the fullest
/// server, and of that the fullest user. `tie` orders parties with as much, by the name and the place
/// of the first thing: the greatest makes room.
fn makes_room<'a, K: Ord>(
    kept: impl Iterator<Item = (&'a Party, i64)>,
    tie: impl Fn(&str, usize) -> K,
) -> Option<usize> {
    let mut left: Vec<(usize, &Party, i64)> =
        kept.enumerate().map(|(at, (party, count))| (at, party, count)).collect();
    let depth = left.iter().map(|(_, party, _)| party.0.len()).max().unwrap_or(0);
    for level in 0..depth {
        let mut parties: BTreeMap<&str, (i64, usize)> = BTreeMap::new();
        for (at, party, count) in &left {
            let of_all = &mut parties.entry(party.name(level)).or_insert((0, *at)).0;
            *of_all = of_all.saturating_add(*count);
        }
        let fullest = parties.into_iter().max_by(|(name, (count, first)), (other, (most, before))| {
            count.cmp(most).then_with(|| tie(name, *first).cmp(&tie(other, *before)))
        });
        let fullest = fullest.map(|(name, _)| name);
        left.retain(|(_, party, _)| Some(party.name(level)) == fullest);
    }
    left.first().map(|(at, ..)| *at)
}

/// Returns the last two labels of a server's name. For some domains this takes several parties for
/// one, which share the room of one domain.
fn domain(host: &str) -> &str {
    host.rmatch_indices('.')
        .nth(1)
        .and_then(|(at, dot)| host.get(at.saturating_add(dot.len())..))
        .unwrap_or(host)
}

/// Returns the place of a name in a random order, which the lot determines.
fn drawn(lot: &[u8; 16], name: &str) -> Vec<u8> {
    let bytes = [lot, name.as_bytes()].concat();
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &bytes).as_ref().to_vec()
}

#[cfg(test)]
mod tests;
