//! Coverage: devices that are active, named, and accepted before, and what comes of it.

use std::collections::BTreeSet;

use eko_protocol::coverage::{Coverage, check};
use eko_protocol::id::DeviceId;
use serde_json::{Value, json};

fn devices(numbers: &[u8]) -> BTreeSet<DeviceId> {
    let device =
        |number: &u8| DeviceId::parse(&format!("00000000-0000-4000-8000-0000000000{number:02x}")).unwrap();
    numbers.iter().map(device).collect()
}

/// A case: what it is about, and the active devices, the named ones and those accepted before, by
/// number.
type CoverageCase = (&'static str, &'static [u8], &'static [u8], &'static [u8]);

pub(super) fn vectors() -> Value {
    let cases: [CoverageCase; 8] = [
        ("all devices", &[1, 2], &[1, 2], &[]),
        ("a device is missing", &[1, 2], &[1], &[]),
        ("the missing device comes under the same envelope id", &[1, 2], &[2], &[1]),
        ("a third device joined meanwhile", &[1, 2, 3], &[2], &[1]),
        ("a revoked device is named", &[1], &[1, 2], &[]),
        ("a revoked device is named, and another is missing", &[1, 3], &[1, 2], &[]),
        ("a device that was accepted before is revoked now", &[1], &[1], &[2]),
        ("a sync from device 1, which is not among the active here", &[2], &[2], &[]),
    ];
    let cases = cases.map(|(what, active, named, before)| {
        let (active, named, before) = (devices(active), devices(named), devices(before));
        let (missing, stale, status) = match check(&active, &named, &before) {
            Coverage::All => (Vec::new(), Vec::new(), 201),
            Coverage::Missing(missing) => (missing, Vec::new(), 207),
            Coverage::Stale { missing, stale } => (missing, stale, 409),
        };
        json!({
            "what": what, "active": active, "named": named, "acceptedBefore": before,
            "missing": missing, "stale": stale, "statusToDevice": status,
            "statusToServer": if status == 201 { 202 } else { status },
        })
    });
    json!({ "cases": cases })
}
