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
    let consumed = |figures: &Value| -> Vec<[Value; 5]> {
        let of = |kind: &str| figures[kind].as_array().unwrap().clone();
        let steps = of("ways").into_iter().chain(of("months"));
        let steps = steps.flat_map(|way| way["steps"].as_array().unwrap().clone());
        let work = |step: Value| {
            let work = |name: &str| step["work"][name].clone();
            let times = step["times"].clone();
            [step["name"].clone(), times, work("api_requests"), work("socket_messages"), work("consumed")]
        };
        steps.map(work).collect()
    };
    assert_eq!(consumed(&measured), consumed(&documented));
}

/// The page for operators has the figures of the file.
#[test]
fn the_page_has_these_figures() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs");
    let figures: Value =
        serde_json::from_str(&std::fs::read_to_string(format!("{root}/figures/costs.json")).unwrap())
            .unwrap();
    let page = std::fs::read_to_string(format!("{root}/cost.md")).unwrap();
    let mut told = Vec::new();
    for way in figures["ways"].as_array().unwrap() {
        let sum = format!("{:.2}", way["dollars"].as_f64().unwrap());
        let steps = way["steps"].as_array().unwrap().iter();
        match way["name"].as_str().unwrap() {
            // Its steps are alternatives.
            "take" | "group state" | "account" => {
                told.extend(steps.map(|step| format!("{:.2}", step["dollars"].as_f64().unwrap())))
            }
            _ => told.push(sum),
        }
    }
    for month in figures["months"].as_array().unwrap() {
        told.push(format!("{:.3}", month["dollars"].as_f64().unwrap()));
    }
    told.push(format!("{:.0}", figures["break_even_messages"].as_f64().unwrap()));
    let page = page.replace(',', "");
    let missing: Vec<&String> = told.iter().filter(|figure| !page.contains(*figure)).collect();
    assert!(missing.is_empty(), "docs/cost.md lacks {missing:?}");
}
