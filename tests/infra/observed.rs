//! The logs, metrics and alarms of the deployment template: what they show, and what they must not.

use std::collections::BTreeSet;

use eko_testkit::template::{Template, referred};
use serde_json::Value;

use crate::{read, root};

/// The variables of API Gateway that access logs may have. No path, header, address or connection is
/// among them: a log must show no token, and not who writes to whom.
const LOGGED: [&str; 10] = [
    "error.message",
    "eventType",
    "integrationErrorMessage",
    "integrationLatency",
    "requestId",
    "requestTime",
    "responseLatency",
    "responseLength",
    "routeKey",
    "status",
];

#[test]
fn access_logs_show_neither_tokens_nor_people() {
    let template = Template::read();
    let stages = template.resources("AWS::ApiGatewayV2::Stage");
    assert_eq!(stages.len(), 2);
    for (name, stage) in stages {
        let format = stage["AccessLogSettings"]["Format"].as_str().unwrap();
        let line: Value = serde_json::from_str(format).unwrap();
        for value in line.as_object().unwrap().values() {
            let variable = value.as_str().unwrap().strip_prefix("$context.").unwrap();
            assert!(LOGGED.contains(&variable), "{name} logs {variable}");
        }
        assert!(stage["DefaultRouteSettings"]["ThrottlingRateLimit"].is_object(), "{name}");
    }
}

/// A filter of a function's log looks for a message that the code logs, where its lines have it.
#[test]
fn filters_look_for_what_is_logged() {
    let template = Template::read();
    assert!(read("shared/service/src/telemetry.rs").contains(".json().flatten_event(true)"));
    let mut code = String::new();
    for folder in ["functions", "shared"] {
        collect(&root().join(folder), &mut code);
    }
    for (name, filter) in template.resources("AWS::Logs::MetricFilter") {
        let looked_for = filter["FilterPattern"].as_str().unwrap();
        let message = looked_for.strip_prefix("{ $.message = ");
        match message.and_then(|rest| rest.strip_suffix(" }")) {
            Some(message) => assert!(code.contains(message), "{name}: nobody logs {message}"),
            None => {
                let stages = template.resources("AWS::ApiGatewayV2::Stage").into_iter();
                let formats = stages.map(|(_, stage)| stage["AccessLogSettings"]["Format"].as_str().unwrap());
                let formats: String = formats.collect();
                for member in ["route", "status"] {
                    assert!(looked_for.contains(&format!("$.{member}")), "{name}");
                    assert!(formats.contains(&format!("\"{member}\":")), "{name}: {member} is not logged");
                }
            }
        }
    }
}

/// Every alarm tells the operator, is explained on the page for operators, and looks at a metric
/// that exists.
#[test]
fn every_alarm_is_explained() {
    let template = Template::read();
    let page = read("docs/operate.md");
    let filters = template.resources("AWS::Logs::MetricFilter").into_iter();
    let counted: BTreeSet<&str> = filters
        .flat_map(|(_, filter)| filter["MetricTransformations"].as_array().unwrap())
        .map(|made| made["MetricName"].as_str().unwrap())
        .collect();
    let (_, dashboard) = template.only("AWS::CloudWatch::Dashboard");
    let dashboard = dashboard["DashboardBody"]["Fn::Sub"][0].as_str().unwrap();
    let own: Vec<&str> = counted.iter().copied().filter(|name| !dashboard.contains(name)).collect();
    assert!(own.is_empty(), "not on the dashboard: {own:?}");
    let mut seen = BTreeSet::new();
    for (name, alarm) in template.resources("AWS::CloudWatch::Alarm") {
        assert!(page.contains(&format!("\n| `{name}` |")), "{name} is not explained");
        assert_eq!(referred(&alarm["AlarmActions"][0]), "AlarmTopic", "{name}");
        let metrics =
            alarm["Metrics"].as_array().into_iter().flatten().map(|one| &one["MetricStat"]["Metric"]);
        for metric in metrics.chain([alarm]) {
            if metric["Namespace"]["Ref"] == "AWS::StackName" {
                let metric = metric["MetricName"].as_str().unwrap();
                assert!(counted.contains(metric), "{name}: nobody counts {metric}");
                seen.insert(metric);
            }
        }
    }
    assert_eq!(seen, counted, "counted, and no alarm looks at it");
}

/// Alarms about what anybody can cause at will look at its share of a least number.
#[test]
fn what_strangers_cause_counts_by_its_share() {
    let template = Template::read();
    for name in ["ApiErrorsAlarm", "ConnectsRefusedAlarm", "PushRefusedAlarm"] {
        let alarm = template.resource("AWS::CloudWatch::Alarm", name);
        let (mut computed, mut measured) = (Vec::new(), BTreeSet::new());
        for metric in alarm["Metrics"].as_array().unwrap() {
            match metric["Expression"].as_str() {
                Some(expression) => computed.push(expression),
                None => drop(measured.insert(metric["Id"].as_str().unwrap())),
            }
        }
        let [share] = computed[..] else { panic!("{name}: {computed:?}") };
        let words = share.split(|c: char| !c.is_ascii_alphabetic());
        let named: BTreeSet<&str> =
            words.filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase())).collect();
        assert_eq!(named, measured, "{name}");
        assert!(
            share.starts_with("IF(") && share.contains(" >= ") && share.contains(" / "),
            "{name}: {share}"
        );
    }
}

fn collect(folder: &std::path::Path, found: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}
