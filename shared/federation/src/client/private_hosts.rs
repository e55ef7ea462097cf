//! The hosts in the operator's own network that may be asked.

use std::sync::Arc;

use url::Host;

/// A list of hosts that may be at private addresses: names and IP addresses. An entry with a port
/// allows that port only.
///
/// ```
/// use eko_federation::client::PrivateHosts;
///
/// let hosts = PrivateHosts::list("ntfy.lan:8443, 10.0.0.7")?;
/// assert!(hosts.contains("ntfy.lan", 8443) && !hosts.contains("ntfy.lan", 443));
/// assert!(hosts.contains("10.0.0.7", 443) && !hosts.contains("x.ntfy.lan", 8443));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrivateHosts(Arc<[PrivateHost]>);

/// An entry of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PrivateHost {
    /// The host in the form that a URL has it.
    host: String,
    /// The only port that is allowed; all of them if there is none.
    port: Option<u16>,
}

impl PrivateHosts {
    /// Reads a list with commas between. An entry is `host` or `host:port`; an IPv6 address has
    /// brackets.
    ///
    /// # Errors
    /// A text for the operator that names the entry that is no host.
    pub fn list(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let read = |entry| PrivateHost::parse(entry).ok_or_else(|| format!("{entry} is not a host"));
        Ok(Self(entries.map(read).collect::<Result<Vec<_>, _>>()?.into()))
    }

    /// True if the host, in the form that a URL has it, is in the list, and with this port.
    pub fn contains(&self, host: &str, port: u16) -> bool {
        self.0.iter().any(|entry| entry.host == host && entry.port.is_none_or(|listed| listed == port))
    }
}

impl PrivateHost {
    fn parse(entry: &str) -> Option<Self> {
        let (host, port) = match entry.rsplit_once(':') {
            // The last colon of an IPv6 address is in its brackets.
            Some((host, port)) if !port.ends_with(']') => {
                let is_number = port.bytes().all(|digit| digit.is_ascii_digit());
                let port = port.parse().ok().filter(|port| is_number && *port > 0)?;
                (host, Some(port))
            }
            _ => (entry, None),
        };
        // The normal form is that of a URL's host, with which it is compared.
        Some(Self { host: Host::parse(host).ok()?.to_string(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_have_a_host_and_maybe_a_port() {
        for (list, host, allowed, other) in [
            ("NTFY.lan", "ntfy.lan", [443, 8443], None),
            ("a.lan, ntfy.lan:443", "ntfy.lan", [443, 443], Some(8443)),
            ("[fd00::1]", "[fd00::1]", [443, 1], None),
            ("[fd00:0::1]:65535", "[fd00::1]", [65535, 65535], Some(443)),
            ("10.0.0.7:1,10.0.0.7:2", "10.0.0.7", [1, 2], Some(3)),
        ] {
            let hosts = PrivateHosts::list(list).unwrap();
            assert!(allowed.iter().all(|port| hosts.contains(host, *port)), "{list}");
            assert!(other.is_none_or(|port| !hosts.contains(host, port)), "{list}");
        }
        for bad in
            ["ntfy.lan:", ":443", "ntfy.lan:0", "ntfy.lan:65536", "ntfy.lan:+1", "fd00::1", "a b", "x:y"]
        {
            assert_eq!(PrivateHosts::list(bad), Err(format!("{bad} is not a host")));
        }
    }
}
