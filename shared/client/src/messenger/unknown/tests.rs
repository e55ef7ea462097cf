//! Tests of the turns that unknown senders take.

use eko_protocol::Invalid;
use serde_json::Value;

use super::*;

fn put(later: &mut LaterEntries, server: &str, user: usize) {
    let content = EntryContent::Unreadable(Invalid::at("", "is not read here"));
    let entry = MailboxEntry { address: String::new(), received_ms: 0, content, activity: Value::Null };
    later.put(Person::of(&format!("https://{server}/user/user_{user}")).unwrap(), entry);
}

/// Returns the number of senders of each domain.
fn counts(later: &LaterEntries) -> Vec<(&str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (sender, _) in &later.senders {
        *counts.entry(domain(sender)).or_default() += 1;
    }
    counts.into_iter().collect()
}

#[test]
fn the_senders_of_one_domain_make_room_for_those_of_others() {
    let mut later = LaterEntries::default();
    for user in 0..20 {
        put(&mut later, &format!("server{user}.crowd.example"), user);
    }
    assert_eq!(counts(&later), [("crowd.example", READ_FOR_SENDERS)]);
    for (server, expected) in [
        ("one.example", vec![("crowd.example", 4), ("one.example", 4)]),
        ("two.example", vec![("crowd.example", 3), ("one.example", 3), ("two.example", 2)]),
    ] {
        for user in 0..20 {
            put(&mut later, &format!("{}{server}", ["", "sub."][user % 2]), user);
        }
        assert_eq!(counts(&later), expected);
    }
    // The first ones of each stay.
    let first = later.senders.iter().map(|(sender, _)| sender.user.to_string()).take(3);
    assert_eq!(first.collect::<Vec<_>>(), ["user_0", "user_1", "user_2"]);
}

#[test]
fn one_sender_has_so_many_entries_read() {
    let mut later = LaterEntries::default();
    for _ in 0..2 * ENTRIES_AT_ONCE {
        put(&mut later, "one.example", 0);
    }
    assert_eq!(later.senders[0].1.len(), ENTRIES_AT_ONCE);
}
