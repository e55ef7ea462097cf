//! The hosts in the operator's own network that may be asked.

use std::sync::Arc;

use url::Host;

/// A list of hosts that may be at private addresses: names and IP addresses, without ports.
///
/// ```
/// use eko_federation::client::PrivateHosts;
///
/// let hosts = PrivateHosts::list("ntfy.lan, 10.0.0.7")?;
/// assert!(hosts.contains("ntfy.lan") && !hosts.contains("x.ntfy.lan"));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PrivateHosts(Arc<[String]>);

impl PrivateHosts {
    /// Reads a list with commas between.
    ///
    /// # Errors
    /// A text for the operator that names the entry that is no host.
    pub fn list(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let host = |entry: &str| {
            // The normal form is that of a URL's host, with which it is compared.
            Host::parse(entry).map(|host| host.to_string()).map_err(|_| format!("{entry} is not a host"))
        };
        Ok(Self(entries.map(host).collect::<Result<Vec<_>, _>>()?.into()))
    }

    /// True if the host, in the form that a URL has it, is in the list.
    pub fn contains(&self, host: &str) -> bool {
        self.0.iter().any(|listed| listed == host)
    }
}
