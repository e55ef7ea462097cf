//! Tests of fair shares.

use super::*;
use crate::content::tests::repeatable;

fn user(server: &str, n: usize) -> String {
    format!("https://{server}/user/user_{n}")
}

/// Returns the users who have room for one thing each in one look, if they come in this order.
fn chosen(most: usize, order: &[String], seed: u64) -> Vec<String> {
    let (environment, mut shares) = (repeatable(seed), Shares::new(most));
    for actor in order {
        shares.put((), Party::of(actor), actor.clone(), &environment);
    }
    shares.into_things().collect()
}

/// A domain has one share, whatever servers, ports and users it has. A server of it has one of that.
#[test]
fn domains_share_before_servers_and_servers_before_users() {
    let crowd = (0..40).map(|n| user(&format!("s{n}.m.example:{}", 8_000 + n), 0));
    let order: Vec<String> = crowd.chain((0..2).map(|n| user("honest.example", n))).collect();
    let flood = (0..40).map(|n| user("s0.m.example", n));
    let same: Vec<String> = flood.chain([user("s1.m.example", 0)]).collect();
    for seed in 0..8 {
        let (far, near) = (chosen(4, &order, seed), chosen(4, &same, seed));
        assert_eq!(far.iter().filter(|actor| actor.contains("honest")).count(), 2, "{far:?}");
        assert!(near.contains(&user("s1.m.example", 0)), "{near:?}");
    }
}

/// No name and no place in the order keeps a user out for ever.
#[test]
fn each_user_of_a_server_has_a_turn() {
    let order: Vec<String> = (0..9).map(|n| user("one.example", n)).collect();
    for actor in &order {
        let turns = (0..64).filter(|seed| chosen(8, &order, *seed).contains(actor)).count();
        assert!((40..64).contains(&turns), "{actor}: {turns}");
    }
}

/// Many claims of one member take no room from the one claim of another.
#[test]
fn those_who_say_something_share_before_those_of_whom_it_is_said() {
    for seed in 0..8 {
        let (environment, mut shares) = (repeatable(seed), Shares::new(8));
        for n in 0..40 {
            let of = user(&format!("a{n}.example"), n);
            shares.put((), Party::of(&user("one.example", 0)).about(&of), of, &environment);
        }
        let of = user("z.example", 0);
        shares.put((), Party::of(&user("one.example", 1)).about(&of), of.clone(), &environment);
        assert!(shares.into_things().any(|it| it == of));
    }
}

#[test]
fn the_oldest_makes_room_where_all_have_as_much() {
    let one = |server: &str, count| (user(server, 0), count);
    assert_eq!(fullest(&[one("z.example", 1), one("a.example", 1)]), Some(&*user("z.example", 0)));
    assert_eq!(fullest(&[one("z.example", 1), one("a.example", 2)]), Some(&*user("a.example", 0)));
    let crowd = [one("good.example", 2), one("a.evil.example", 1), one("b.evil.example", 2)];
    assert_eq!(fullest(&crowd), Some(&*user("b.evil.example", 0)));
    assert_eq!(fullest(&[]), None);
}
