//! The WebSocket API of the deployment template: its domain, and what it tells clients.

use eko_testkit::template::{Template, pattern, referred};
use serde_json::{Value, json};

/// The domain of the sockets, which the HTTP API cannot share.
const LIVE_DOMAIN: &str = "live.${DomainName}";

#[test]
fn the_sockets_have_a_domain_of_their_own() {
    let template = Template::read();
    let domains = template.resources("AWS::ApiGatewayV2::DomainName");
    let of_live = |(_, domain): &&(&str, &Value)| domain["DomainName"] == json!({ "Fn::Sub": LIVE_DOMAIN });
    let (domain, properties) = domains.iter().find(of_live).unwrap();
    let (other, of_http) = domains.iter().find(|one| !of_live(one)).unwrap();
    assert_eq!(referred(&of_http["DomainName"]), "DomainName", "{other}");
    assert_eq!(domains.len(), 2);
    assert_eq!(properties["DomainNameConfigurations"], of_http["DomainNameConfigurations"]);

    let mappings = template.resources("AWS::ApiGatewayV2::ApiMapping").into_iter();
    let mut mappings = mappings.filter(|(_, mapping)| referred(&mapping["DomainName"]) == *domain);
    let (_, mapping) = mappings.next().unwrap();
    assert_eq!(referred(&mapping["ApiId"]), template.live_api());
    let stage = template.resource("AWS::ApiGatewayV2::Stage", referred(&mapping["Stage"]));
    assert_eq!(referred(&stage["ApiId"]), template.live_api());
    // A key would be a path behind the domain.
    assert!(mapping.get("ApiMappingKey").is_none());
    assert!(mappings.next().is_none());

    let (_, certificate) = template.only("AWS::CertificateManager::Certificate");
    assert_eq!(certificate["SubjectAlternativeNames"], json!([{ "Fn::Sub": LIVE_DOMAIN }]));
    let validated = certificate["DomainValidationOptions"].as_array().unwrap();
    let names: Vec<&Value> = validated.iter().map(|option| &option["DomainName"]).collect();
    assert_eq!(names, [&json!({ "Ref": "DomainName" }), &json!({ "Fn::Sub": LIVE_DOMAIN })]);

    let records = template.resources("AWS::Route53::RecordSet").into_iter();
    let records = records.filter(|(_, record)| record["Name"] == json!({ "Fn::Sub": LIVE_DOMAIN }));
    let mut kinds = Vec::new();
    for (name, record) in records {
        let target = json!({ "Fn::GetAtt": format!("{domain}.RegionalDomainName") });
        assert_eq!(record["AliasTarget"]["DNSName"], target, "{name}");
        kinds.push(record["Type"].as_str().unwrap());
    }
    assert_eq!(kinds, ["A", "AAAA"]);
}

/// The functions tell the domain. They post to connections at API Gateway's own address, which has
/// the stage and stays open.
#[test]
fn functions_know_both_addresses_of_the_sockets() {
    let template = Template::read();
    let address =
        format!("${{{}}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/live", template.live_api());
    let told = json!({ "Fn::If": [
        "HasDomain", { "Fn::Sub": format!("wss://{LIVE_DOMAIN}") }, { "Fn::Sub": format!("wss://{address}") },
    ] });
    for (_, name, function) in template.functions() {
        let variables = &function["Environment"]["Variables"];
        if let Some(url) = variables.get("LIVE_URL") {
            assert_eq!(*url, told, "{name}");
        }
        if let Some(url) = variables.get("SOCKETS_URL") {
            assert_eq!(pattern(url), format!("https://{address}"), "{name}");
        }
    }
    let api = template.resource("AWS::ApiGatewayV2::Api", template.live_api());
    assert_eq!(api["DisableExecuteApiEndpoint"], false);
}
