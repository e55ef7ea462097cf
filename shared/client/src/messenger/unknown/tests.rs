//! Tests of the turns that unknown senders take.

use eko_protocol::Invalid;
use serde_json::Value;

use super::*;
use crate::content::tests::repeatable;

fn put(later: &mut LaterEntries, server: &str, user: usize) {
    let content = EntryContent::Unreadable(Invalid::at("", "is not read here"));
    let entry = MailboxEntry { address: String::new(), received_ms: 0, content, activity: Value::Null };
    let person = Person::of(&format!("https://{server}/user/user_{user}")).unwrap();
    later.put(person, SenderRank::Stranger, entry, &repeatable(1));
}

/// Returns the number of senders of each domain.
fn counts(later: &LaterEntries) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for sender in later.senders.iter() {
        let labels: Vec<&str> = sender.person.origin.host().rsplit('.').take(2).collect();
        *counts.entry(format!("{}.{}", labels[1], labels[0])).or_default() += 1;
    }
    counts.into_iter().collect()
}

#[test]
fn the_senders_of_one_domain_make_room_for_those_of_others() {
    let mut later = LaterEntries::default();
    for user in 0..20 {
        put(&mut later, &format!("server{user}.crowd.example"), user);
    }
    assert_eq!(counts(&later), [("crowd.example".to_owned(), READ_FOR_SENDERS)]);
    // The lot decides which of three domains has one place less.
    for (server, expected) in [("one.example", vec![4, 4]), ("two.example", vec![2, 3, 3])] {
        for user in 0..20 {
            put(&mut later, &format!("{}{server}", ["", "sub."][user % 2]), user);
        }
        let mut places: Vec<usize> = counts(&later).into_iter().map(|(_, count)| count).collect();
        places.sort_unstable();
        assert_eq!(places, expected);
    }
}

#[test]
fn one_sender_has_so_many_entries_read() {
    let mut later = LaterEntries::default();
    for _ in 0..2 * ENTRIES_AT_ONCE {
        put(&mut later, "one.example", 0);
    }
    assert_eq!(later.senders.iter().next().unwrap().entries.len(), ENTRIES_AT_ONCE);
}

/// Returns the servers of the senders who are read in one look, if the messages came in this
/// order.
fn read(order: &[(String, SenderRank)], seed: u64) -> Vec<String> {
    let (environment, mut later) = (repeatable(seed), LaterEntries::default());
    for (server, rank) in order {
        let person = Person::of(&format!("https://{server}/user/bob")).unwrap();
        let content = EntryContent::Unreadable(Invalid::whole("is not read here"));
        let activity = serde_json::Value::Null;
        let entry = MailboxEntry { address: server.clone(), received_ms: 0, content, activity };
        later.put(person, *rank, entry, &environment);
    }
    later.senders.iter().map(|sender| sender.person.origin.authority().to_owned()).collect()
}

fn strangers(servers: impl Iterator<Item = String>) -> Vec<(String, SenderRank)> {
    servers.map(|server| (server, SenderRank::Stranger)).collect()
}

#[test]
fn the_ports_of_one_domain_take_one_place_together() {
    let many = (1..=20).map(|n| format!("s{n}.m.example:{}", 8_000 + n));
    let honest = ["b.example".to_owned(), "c.example:8443".to_owned()];
    for seed in 0..8 {
        let before = read(&strangers(honest.iter().cloned().chain(many.clone())), seed);
        let after = read(&strangers(many.clone().chain(honest.iter().cloned())), seed);
        for read in [before, after] {
            assert_eq!(read.len(), READ_FOR_SENDERS);
            assert!(honest.iter().all(|server| read.contains(server)), "{read:?}");
        }
    }
}

#[test]
fn contacts_and_members_are_read_before_strangers() {
    let mut order = strangers((1..=20).map(|n| format!("m{n}.example")));
    order.push(("member.example".to_owned(), SenderRank::Member));
    order.push(("contact.example".to_owned(), SenderRank::Contact));
    order.extend((1..=20).map(|n| (format!("puppet{n}.example"), SenderRank::Member)));
    let read = read(&order, 1);
    assert!(read.contains(&"contact.example".to_owned()), "{read:?}");
    assert!(read.iter().all(|server| !server.starts_with('m') || server == "member.example"), "{read:?}");
}

/// Eight domains that are always there first do not keep a ninth one out.
#[test]
fn each_domain_has_its_turn() {
    let order = strangers((1..=READ_FOR_SENDERS + 1).map(|n| format!("m{n}.example")));
    let ninth = &order[READ_FOR_SENDERS].0;
    let turns = (0..64).filter(|seed| read(&order, *seed).contains(ninth)).count();
    assert!((40..64).contains(&turns), "{turns}");
}
