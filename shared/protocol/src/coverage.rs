//! Coverage: an envelope's devices compared with the recipient's device set (`docs/protocol.md`,
//! section 5).

use std::collections::BTreeSet;

use crate::id::DeviceId;

/// The coverage of an envelope. It decides the answer to the sender, and which ciphertexts are
/// queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coverage {
    /// Every active device has a ciphertext. All ciphertexts are queued.
    All,
    /// These active devices, in order, have no ciphertext. The ciphertexts that are there are
    /// queued, and the rest is awaited.
    Missing(Vec<DeviceId>),
    /// The envelope names devices that are not active. Nothing is queued.
    Stale {
        /// The active devices without a ciphertext, in order.
        missing: Vec<DeviceId>,
        /// The named devices that are not active (revoked or unknown), in order; never empty.
        stale: Vec<DeviceId>,
    },
}

/// Compares the devices of an envelope with the recipient's active devices.
///
/// * `active`: the recipient's device set; in a sync to one's own devices, without the sending
///   device.
/// * `named`: the devices that have a ciphertext in this request.
/// * `accepted_before`: the devices whose ciphertexts were accepted earlier for the same envelope
///   id. If one of them was revoked since, it is neither missing nor stale.
///
/// ```
/// use std::collections::BTreeSet;
///
/// use eko_protocol::coverage::{self, Coverage};
/// use eko_protocol::id::DeviceId;
///
/// let phone = DeviceId::parse("0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11")?;
/// let laptop = DeviceId::parse("0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a12")?;
/// let both = BTreeSet::from([phone.clone(), laptop.clone()]);
/// let only_phone = BTreeSet::from([phone]);
/// let none = BTreeSet::new();
///
/// assert_eq!(coverage::check(&both, &both, &none), Coverage::All);
/// assert_eq!(coverage::check(&both, &only_phone, &none), Coverage::Missing(vec![laptop.clone()]));
/// let stale = Coverage::Stale { missing: vec![], stale: vec![laptop] };
/// assert_eq!(coverage::check(&only_phone, &both, &none), stale);
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
pub fn check(
    active: &BTreeSet<DeviceId>,
    named: &BTreeSet<DeviceId>,
    accepted_before: &BTreeSet<DeviceId>,
) -> Coverage {
    let missing: Vec<DeviceId> =
        active.iter().filter(|id| !named.contains(*id) && !accepted_before.contains(*id)).cloned().collect();
    let stale: Vec<DeviceId> = named.difference(active).cloned().collect();
    match (missing.is_empty(), stale.is_empty()) {
        (_, false) => Coverage::Stale { missing, stale },
        (true, true) => Coverage::All,
        (false, true) => Coverage::Missing(missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn device(n: u8) -> DeviceId {
        DeviceId::parse(&format!("00000000-0000-4000-8000-0000000000{n:02x}")).unwrap()
    }

    fn devices(ns: &[u8]) -> BTreeSet<DeviceId> {
        ns.iter().copied().map(device).collect()
    }

    fn listed(ns: &[u8]) -> Vec<DeviceId> {
        ns.iter().copied().map(device).collect()
    }

    #[test]
    fn table() {
        let stale =
            |missing: &[u8], stale: &[u8]| Coverage::Stale { missing: listed(missing), stale: listed(stale) };
        let missing = |ns: &[u8]| Coverage::Missing(listed(ns));
        type CoverageRow = (&'static str, &'static [u8], &'static [u8], &'static [u8], Coverage);
        #[rustfmt::skip]
        let cases: [CoverageRow; 11] = [
            ("all covered",                        &[1, 2],    &[1, 2], &[],     Coverage::All),
            ("one missing",                        &[1, 2],    &[1],    &[],     missing(&[2])),
            ("the rest arrives",                   &[1, 2],    &[2],    &[1],    Coverage::All),
            ("the rest arrives, one was added",    &[1, 2, 3], &[2],    &[1],    missing(&[3])),
            ("sent again as it was",               &[1, 2],    &[1],    &[1],    missing(&[2])),
            ("one stale",                          &[1],       &[1, 2], &[],     stale(&[], &[2])),
            ("stale and missing",                  &[1, 3],    &[1, 2], &[],     stale(&[3], &[2])),
            ("accepted before, revoked since",     &[2],       &[2],    &[1],    Coverage::All),
            ("named again after it was revoked",   &[2],       &[1, 2], &[1, 2], stale(&[], &[1])),
            ("a user without devices",             &[],        &[1],    &[],     stale(&[], &[1])),
            ("nobody to reach",                    &[],        &[],     &[],     Coverage::All),
        ];
        for (name, active, named, before, expected) in cases {
            assert_eq!(check(&devices(active), &devices(named), &devices(before)), expected, "{name}");
        }
    }

    fn set() -> impl Strategy<Value = BTreeSet<DeviceId>> {
        proptest::collection::btree_set((0u8..24).prop_map(device), 0..16)
    }

    proptest! {
        #[test]
        fn coverage_tells_the_truth(active in set(), named in set(), before in set()) {
            let reached: BTreeSet<_> = named.union(&before).cloned().collect();
            match check(&active, &named, &before) {
                Coverage::All => {
                    prop_assert!(named.is_subset(&active));
                    prop_assert!(active.is_subset(&reached));
                }
                Coverage::Missing(missing) => {
                    prop_assert!(!missing.is_empty());
                    prop_assert!(named.is_subset(&active));
                    prop_assert!(missing.iter().all(|id| active.contains(id) && !reached.contains(id)));
                }
                Coverage::Stale { missing, stale } => {
                    prop_assert!(!stale.is_empty());
                    prop_assert!(stale.iter().all(|id| named.contains(id) && !active.contains(id)));
                    prop_assert!(missing.iter().all(|id| active.contains(id) && !reached.contains(id)));
                }
            }
        }

        #[test]
        fn naming_what_is_missing_completes_it(active in set(), before in set()) {
            let Coverage::Missing(missing) = check(&active, &BTreeSet::new(), &before) else { return Ok(()) };
            prop_assert_eq!(check(&active, &missing.into_iter().collect(), &before), Coverage::All);
        }

        #[test]
        fn a_retry_gets_the_same_coverage(active in set(), named in set(), before in set()) {
            let first = check(&active, &named, &before);
            if !matches!(first, Coverage::Stale { .. }) {
                let after: BTreeSet<_> = before.union(&named).cloned().collect();
                prop_assert_eq!(check(&active, &named, &after), first);
            }
        }
    }
}
