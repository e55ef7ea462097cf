//! The capacity that messages consume is the one in `docs/figures/costs.json`. A change that
//! consumes more or less writes new figures (`cargo xtask measure`).

use eko_bench::costs;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn consumption_is_as_documented() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/figures/costs.json");
    let documented: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let measured = json!(costs::measure().await.unwrap());
    // The milliseconds are left out: how many calls overlap depends on the scheduler.
    let consumed = |ways: &Value| -> Vec<(Value, Value, Value)> {
        let steps = ways.as_array().unwrap().iter().flat_map(|way| way["steps"].as_array().unwrap());
        steps
            .map(|s| (s["name"].clone(), s["work"]["api_requests"].clone(), s["work"]["consumed"].clone()))
            .collect()
    };
    assert_eq!(consumed(&measured), consumed(&documented["ways"]));
}
