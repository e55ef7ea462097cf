//! The published chain, `testdata/device-chain.json`, which the documentation uses too.

use serde_json::{Value, json};

use super::*;

const PUBLISHED: &str = include_str!("../../../../testdata/device-chain.json");

#[test]
fn the_published_chain_is_what_is_made_here() {
    let chain = TestChain::new("alice");
    let (zero, two) = (chain.empty(), chain.two());
    let one = chain.append(&zero, &chain.add(&zero, 1, 1)).unwrap();
    let made = json!([chain.add(&zero, 1, 1), chain.add(&one, 2, 1), chain.revoke(&two, 1, 2)]);
    assert_eq!(serde_json::from_str::<Value>(PUBLISHED).unwrap(), made, "{made:#}");
}
