//! The addresses that may be connected to.
//!
//! Documents of strangers name the hosts that this server asks, and the strangers' DNS gives the
//! addresses of those hosts. The guard therefore checks the address itself. It refuses the blocks
//! of the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890, RFC 8190), multicast and
//! reserved space. It also refuses blocks that the registries call globally reachable (AS112, AMT),
//! because no federated server is there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A block of IPv4 addresses.
#[derive(Debug, Clone, Copy)]
struct Ipv4Block {
    /// The first address of the block.
    first: Ipv4Addr,
    /// The number of leading bits that all addresses of the block share, 1 to 32.
    bits: u32,
}

impl Ipv4Block {
    const fn new(first: [u8; 4], bits: u32) -> Self {
        let [a, b, c, d] = first;
        Self { first: Ipv4Addr::new(a, b, c, d), bits }
    }

    fn contains(self, address: Ipv4Addr) -> bool {
        (address.to_bits() ^ self.first.to_bits()) >> (32 - self.bits) == 0
    }
}

/// A block of IPv6 addresses.
#[derive(Debug, Clone, Copy)]
struct Ipv6Block {
    /// The first address of the block.
    first: Ipv6Addr,
    /// The number of leading bits that all addresses of the block share, 1 to 128.
    bits: u32,
}

impl Ipv6Block {
    /// Creates a block from the first three groups of its first address; the other groups are 0.
    const fn new([a, b, c]: [u16; 3], bits: u32) -> Self {
        Self { first: Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), bits }
    }

    fn contains(self, address: Ipv6Addr) -> bool {
        (address.to_bits() ^ self.first.to_bits()) >> (128 - self.bits) == 0
    }
}

/// Every block of IPv4 that is not ordinary unicast on the Internet.
const REFUSED_V4: &[Ipv4Block] = &[
    Ipv4Block::new([0, 0, 0, 0], 8), // this network (RFC 791); 0.0.0.0 reaches this machine
    Ipv4Block::new([10, 0, 0, 0], 8), // private (RFC 1918)
    Ipv4Block::new([100, 64, 0, 0], 10), // shared, carrier-grade NAT (RFC 6598)
    Ipv4Block::new([127, 0, 0, 0], 8), // loopback (RFC 1122); the Lambda Runtime API
    Ipv4Block::new([169, 254, 0, 0], 16), // link-local (RFC 3927); metadata of EC2, ECS and EKS
    Ipv4Block::new([172, 16, 0, 0], 12), // private (RFC 1918)
    Ipv4Block::new([192, 0, 0, 0], 24), // IETF protocol assignments (RFC 6890)
    Ipv4Block::new([192, 0, 2, 0], 24), // documentation (RFC 5737)
    Ipv4Block::new([192, 31, 196, 0], 24), // AS112 (RFC 7535)
    Ipv4Block::new([192, 52, 193, 0], 24), // AMT (RFC 7450)
    Ipv4Block::new([192, 88, 99, 0], 24), // 6to4 relays (RFC 7526)
    Ipv4Block::new([192, 168, 0, 0], 16), // private (RFC 1918)
    Ipv4Block::new([192, 175, 48, 0], 24), // AS112, direct delegation (RFC 7534)
    Ipv4Block::new([198, 18, 0, 0], 15), // benchmarking (RFC 2544)
    Ipv4Block::new([198, 51, 100, 0], 24), // documentation (RFC 5737)
    Ipv4Block::new([203, 0, 113, 0], 24), // documentation (RFC 5737)
    Ipv4Block::new([224, 0, 0, 0], 4), // multicast (RFC 5771)
    Ipv4Block::new([240, 0, 0, 0], 4), // reserved (RFC 1112), limited broadcast (RFC 8190)
];

/// The only space from which IANA assigns global unicast addresses. Outside of it are `::`, `::1`,
/// IPv4-mapped, NAT64 (64:ff9b::/96), unique local, link-local, site-local and multicast addresses.
const GLOBAL_V6: Ipv6Block = Ipv6Block::new([0x2000, 0, 0], 3);

/// The special blocks within [`GLOBAL_V6`].
const REFUSED_V6: &[Ipv6Block] = &[
    Ipv6Block::new([0x2001, 0, 0], 23), // IETF (RFC 2928): Teredo, benchmarking, ORCHID, …
    Ipv6Block::new([0x2001, 0xdb8, 0], 32), // documentation (RFC 3849)
    Ipv6Block::new([0x2002, 0, 0], 16), // 6to4 (RFC 3056): contains an IPv4 address
    Ipv6Block::new([0x2620, 0x4f, 0x8000], 48), // AS112, direct delegation (RFC 7534)
    Ipv6Block::new([0x3fff, 0, 0], 20), // documentation (RFC 9637)
];

/// True if an address belongs to the public Internet. A connection to such an address reaches no
/// service that trusts this machine because of its place in a network.
///
/// ```
/// use eko_federation::address_guard::is_public;
///
/// assert!(is_public([93, 184, 215, 14].into()));
/// assert!(!is_public([169, 254, 169, 254].into()));
/// assert!(!is_public("::ffff:127.0.0.1".parse().unwrap()));
/// ```
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !REFUSED_V4.iter().any(|block| block.contains(address)),
        IpAddr::V6(address) => {
            GLOBAL_V6.contains(address) && !REFUSED_V6.iter().any(|block| block.contains(address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn public(address: &str) -> bool {
        is_public(address.parse().unwrap())
    }

    #[test]
    fn the_edges_of_ipv4_blocks() {
        // The last public address before a block, its first and last address, the first public one
        // after it.
        for (before, first, last, after) in [
            ("", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
            ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
            ("100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"),
            ("126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"),
            ("169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"),
            ("172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"),
            ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
            ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
            ("192.31.195.255", "192.31.196.0", "192.31.196.255", "192.31.197.0"),
            ("192.52.192.255", "192.52.193.0", "192.52.193.255", "192.52.194.0"),
            ("192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"),
            ("192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"),
            ("192.175.47.255", "192.175.48.0", "192.175.48.255", "192.175.49.0"),
            ("198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"),
            ("198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"),
            ("203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"),
            ("223.255.255.255", "224.0.0.0", "239.255.255.255", ""),
            ("", "240.0.0.0", "255.255.255.255", ""),
        ] {
            assert!(before.is_empty() || public(before), "{before}");
            assert!(!public(first), "{first}");
            assert!(!public(last), "{last}");
            assert!(after.is_empty() || public(after), "{after}");
        }
    }

    #[test]
    fn the_edges_of_ipv6_blocks() {
        for (before, first, last, after) in [
            ("", "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"),
            (
                "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001::",
                "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:200::",
            ),
            (
                "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
                "2001:db9::",
            ),
            (
                "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2002::",
                "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "2003::",
            ),
            (
                "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff",
                "2620:4f:8000::",
                "2620:4f:8000:ffff:ffff:ffff:ffff:ffff",
                "2620:4f:8001::",
            ),
            (
                "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "3fff::",
                "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
                "",
            ),
            (
                "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "4000::",
                "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
                "",
            ),
        ] {
            assert!(before.is_empty() || public(before), "{before}");
            assert!(!public(first), "{first}");
            assert!(!public(last), "{last}");
            assert!(after.is_empty() || public(after), "{after}");
        }
    }

    #[test]
    fn well_known_addresses() {
        for address in ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001::8a"] {
            assert!(public(address), "{address}");
        }
        for address in [
            "169.254.169.254",      // EC2 metadata
            "169.254.170.2",        // ECS credentials
            "169.254.170.23",       // EKS credentials
            "fd00:ec2::254",        // EC2 metadata over IPv6
            "fd00:ec2::23",         // EKS credentials over IPv6
            "::1",                  // loopback
            "::ffff:127.0.0.1",     // IPv4-mapped
            "::ffff:93.184.215.14", // IPv4-mapped, even of a public address
            "::ffff:0:127.0.0.1",   // IPv4-translated
            "::127.0.0.1",          // IPv4-compatible
            "64:ff9b::7f00:1",      // NAT64
            "64:ff9b:1::a00:1",     // NAT64, local use
            "100::1",               // discard-only
            "2001:0:7f00:1::",      // Teredo
            "2002:7f00:1::",        // 6to4
            "5f00::1",              // segment routing
            "fc00::1",              // unique local
            "fe80::1",              // link-local
            "fec0::1",              // site-local
            "ff02::1",              // multicast
        ] {
            assert!(!public(address), "{address}");
        }
    }

    proptest! {
        #[test]
        fn no_address_the_standard_library_calls_special_is_public(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            if address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_multicast()
                || address.is_unspecified()
            {
                prop_assert!(!is_public(address.into()));
            }
        }

        #[test]
        fn every_address_of_a_block_is_refused(
            block in prop::sample::select(REFUSED_V4),
            host: u32,
        ) {
            let address = Ipv4Addr::from_bits(block.first.to_bits() | (host & (u32::MAX >> block.bits)));
            prop_assert!(!is_public(address.into()), "{}", address);
        }

        #[test]
        fn an_ipv4_address_within_ipv6_is_never_public(bits: u32) {
            let address = u128::from(bits);
            for embedded in [
                Ipv6Addr::from_bits(address),
                Ipv4Addr::from_bits(bits).to_ipv6_mapped(),
                Ipv6Addr::from_bits(0x64_ff9b << 96 | address),
                Ipv6Addr::from_bits(0x2002 << 112 | address << 80),
                Ipv6Addr::from_bits(0x2001 << 112 | address << 64),
            ] {
                prop_assert!(!is_public(embedded.into()), "{}", embedded);
            }
        }

        #[test]
        fn a_public_ipv6_address_is_global_unicast(bits: u128) {
            let address = Ipv6Addr::from_bits(bits);
            if is_public(address.into()) {
                prop_assert_eq!(address.segments()[0] >> 13, 1);
            }
        }
    }
}
