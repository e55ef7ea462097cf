//! Properties of arbitrary chains.

use proptest::prelude::*;

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Tries random nodes in random order. The set of active devices follows a simple model, and a
    /// replay leads to the same state.
    #[test]
    fn chains_follow_the_model(steps in proptest::collection::vec((0u8..3, 0u64..6, 0u64..6), 1..14)) {
        let world = TestChain::new("alice");
        let (mut state, mut nodes) = (world.empty(), Vec::new());
        let (mut model, mut used) = (BTreeSet::new(), BTreeSet::new());
        for (what, subject, by) in steps {
            let by = if nodes.is_empty() || what == 2 { subject } else { by };
            let (node, allowed) = match what {
                0 => (world.add(&state, subject, by),
                !used.contains(&subject) && (nodes.is_empty() || model.contains(&by))),
                1 => (world.revoke(&state, subject, by), model.contains(&subject) && model.contains(&by)),
                _ => (world.reset(&state, subject, by), !nodes.is_empty() && !used.contains(&subject)),
            };
            let outcome = world.append(&state, &node);
            prop_assert_eq!(outcome.is_ok(), allowed, "{} {} by {}: {:?}", what, subject, by, outcome);
            let Ok(next) = outcome else { continue };
            match what {
                0 => { model.insert(subject); used.insert(subject); }
                1 => { model.remove(&subject); }
                _ => { model = BTreeSet::from([subject]); used.insert(subject); }
            }
            nodes.push(ChainNode::parse(&node).unwrap());
            state = next;
            prop_assert_eq!(active(&state), model.iter().map(|n| device(*n)).collect::<Vec<_>>());
        }
        prop_assert_eq!(ChainState::replay(&world.origin, &world.user, &nodes), Ok(state));
    }

    #[test]
    fn nodes_round_trip(new in 0u64..16000, by in 0u64..1000, what in 0u8..3) {
        let world = TestChain::new("alice");
        let two = world.two();
        let node = match what { 0 => world.add(&two, new, by), 1 => world.reset(&two, new, new),
        _ => world.revoke(&two, new, by) };
        let read = ChainNode::parse(&node).unwrap();
        prop_assert_eq!(read.to_value(), node);
        prop_assert_eq!(ChainNode::from_stored(&read.to_stored()), Ok(read));
    }
}
