//! Tests of who is told that somebody joins.

use super::*;
use crate::content::tests::repeatable;

#[test]
fn in_a_large_group_the_admins_alone_are_told_of_a_join() {
    for (count, told) in [(ALL_TOLD, ALL_TOLD), (ALL_TOLD + 1, 1)] {
        let members = (1..count).map(|n| format!("https://a.example/user/user_{n}"));
        let alice = "https://a.example/user/alice";
        let state = GroupState::create("Choir", members, alice, &repeatable(1)).unwrap();
        assert_eq!((state.members().len(), told_of_join(&state).len()), (count, told));
    }
}
