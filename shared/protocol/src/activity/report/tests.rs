//! Reports: bodies, shapes of other servers, and faults.

use proptest::prelude::*;

use super::*;

const ALICE: &str = "https://a.example/user/alice";

fn origin() -> Origin {
    Origin::parse("https://b.example").unwrap()
}

fn bob() -> UserName {
    UserName::parse("bob").unwrap()
}

fn envelope_id() -> EnvelopeId {
    EnvelopeId::parse("urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11").unwrap()
}

fn device(n: u8) -> DeviceId {
    DeviceId::parse(&format!("00000000-0000-4000-8000-0000000000{n:02x}")).unwrap()
}

/// Returns the wire form with `X` for the UUID in its id.
fn written(report: &Report) -> Value {
    let mut value = report.to_value(&origin());
    let id = value["id"].as_str().unwrap();
    assert_eq!(id.strip_prefix("https://b.example/activity/").map(str::len), Some(36), "{id}");
    value["id"] = json!("https://b.example/activity/X");
    value
}

/// An id is that of one report, however often the report is written.
#[test]
fn an_id_follows_from_what_is_said() {
    let id = |report: &Report| report.to_value(&origin())["id"].clone();
    let delivered = Report::delivered(&origin(), &bob(), ALICE, &envelope_id());
    assert_eq!(id(&delivered), id(&delivered.clone()));
    let partial = |missing: &[DeviceId]| {
        Report::partial_delivery(&origin(), &bob(), ALICE, &envelope_id(), missing, None)
    };
    assert_ne!(id(&delivered), id(&partial(&[])));
    assert_ne!(id(&partial(&[device(1)])), id(&partial(&[device(2)])));
    // Of another server's report, the server that passes it on makes no id.
    assert_eq!(id(&Report::confirm(ALICE, ALICE, &envelope_id())), Value::Null);
}

#[test]
fn bodies_of_the_contract() {
    let set = DeviceSetRef::new(3, "ab".repeat(32)).unwrap();
    let package = "https://b.example/user/bob/keyPackage/00000000-0000-4000-8000-000000000001";
    let stale = "https://b.example/user/bob/device/00000000-0000-4000-8000-000000000002";
    let bob_url = "https://b.example/user/bob";
    let id = envelope_id();
    assert_eq!(
        written(&Report::partial_delivery(&origin(), &bob(), ALICE, &id, &[device(1)], Some(set.clone()))),
        json!({
            "type": ["Activity", "PartialDelivery"],
            "id": "https://b.example/activity/X", "actor": bob_url, "to": ALICE, "object": id,
            "eko:deviceSetOutOfDate": true, "missingKeyPackages": [package], "staleDevices": [],
            "eko:deviceSet": set,
        })
    );
    assert_eq!(
        written(&Report::stale(&origin(), &bob(), ALICE, &id, &[device(1)], &[device(2)], Some(set.clone()))),
        json!({
            "type": "Reject",
            "id": "https://b.example/activity/X", "actor": bob_url, "to": ALICE, "object": id,
            "eko:deviceSetOutOfDate": true, "missingKeyPackages": [package], "staleDevices": [stale],
            "eko:deviceSet": set,
        })
    );
    assert_eq!(
        written(&Report::undeliverable(&origin(), ALICE, &id, "b.example did not answer for 48 hours")),
        json!({
            "type": "Reject",
            "id": "https://b.example/activity/X", "actor": "https://b.example/actor", "to": ALICE,
            "object": id,
            "eko:deviceSetOutOfDate": false, "missingKeyPackages": [], "staleDevices": [],
            "summary": "b.example did not answer for 48 hours",
        })
    );
    assert_eq!(
        written(&Report::delivered(&origin(), &bob(), ALICE, &id)),
        json!({"type": ["Activity", "Delivered"],
        "id": "https://b.example/activity/X", "actor": bob_url, "to": ALICE, "object": id})
    );
}

#[test]
fn what_other_servers_write_is_read() {
    let value = json!({
        "type": "Accept", "actor": ALICE, "to": [ALICE], "object": {"type": "SignalEnvelope",
        "id": envelope_id()}, "deviceSetOutOfDate": true,
        "summary": "ö".repeat(1000), "evil": "x", "missingKeyPackages": "https://a.example/k/1",
        "staleDevices": null,
    });
    let report = Report::parse(&value).unwrap();
    assert_eq!((report.kind, report.device_set_out_of_date), (ReportKind::Confirm, true));
    assert_eq!(report.summary.as_ref().unwrap().len(), 1024);
    assert_eq!(report.missing_key_packages, ["https://a.example/k/1"]);
    assert!(report.to_value(&origin()).get("evil").is_none());
    for (id, kept) in [("https://a.example/r/1", true), ("https://b.example/r/1", false), ("x", false)] {
        let mut named = value.clone();
        named["id"] = json!(id);
        assert_eq!(Report::parse(&named).unwrap().id.is_some(), kept, "{id}");
    }
}

#[test]
fn other_shapes_are_refused() {
    let good = json!({"type": "Reject", "actor": ALICE, "to": ALICE, "object": envelope_id()});
    let urls: Vec<_> = (0..17).map(|n| format!("https://a.example/{n}")).collect();
    for (member, value, pointer) in [
        ("type", json!("Like"), "/type"),
        ("actor", json!([ALICE, ALICE]), "/actor"),
        ("actor", json!("x"), "/actor"),
        ("to", json!([ALICE, ALICE]), "/to"),
        ("object", json!("x"), "/object"),
        ("object", json!({"id": 1}), "/object"),
        ("object", json!({}), "/object"),
        ("object", json!(null), "/object"),
        ("missingKeyPackages", json!(urls), "/missingKeyPackages"),
        ("staleDevices", json!(urls), "/staleDevices"),
        ("staleDevices", json!(["x"]), "/staleDevices/0"),
        ("staleDevices", json!({}), "/staleDevices"),
        ("missingKeyPackages", json!(["https://other.example/k/1"]), "/missingKeyPackages/0"),
        ("staleDevices", json!("https://a.example:8443/d/1"), "/staleDevices/0"),
        ("eko:deviceSet", json!({"length": 0, "head": ""}), "/eko:deviceSet"),
        ("eko:deviceSet", json!({"length": "1"}), "/eko:deviceSet/length"),
    ] {
        let mut report = good.clone();
        report[member] = value;
        let fault = Report::parse(&report).unwrap_err();
        assert!(fault.pointer.starts_with(pointer), "{report}: {fault}");
    }
}

proptest! {
    #[test]
    fn round_trip(
        missing in proptest::collection::btree_set(any::<u8>(), 0..16),
        stale in proptest::collection::btree_set(any::<u8>(), 0..16),
        summary in proptest::option::of(".{0,100}"),
        kind in 0usize..3,
    ) {
        let [missing, stale] = [missing, stale].map(|ns| ns.into_iter().map(device).collect::<Vec<_>>());
        let id = envelope_id();
        let mut report = match kind {
            0 => Report::partial_delivery(&origin(), &bob(), ALICE, &id, &missing, None),
            1 => Report::stale(&origin(), &bob(), ALICE, &id, &missing, &stale, DeviceSetRef::new(1,
            "00".repeat(32)).ok()),
            _ => Report::delivered(&origin(), &bob(), ALICE, &id),
        };
        report.summary = summary;
        let read = Report::parse(&report.to_value(&origin())).unwrap();
        prop_assert_eq!(read.digest(), report.digest());
        prop_assert_eq!(Report { id: None, ..read }, report);
    }
}
