//! Groups and sites of servers, and what each may cause.

/// A group of servers, whose waits are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerGroup {
    /// The servers of which no actor was verified lately.
    Strangers,
    /// The servers of which an actor was verified in the last seven days.
    Known,
}

/// The bounds of what is counted in one window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowBounds {
    /// The length of the window, in milliseconds.
    pub window_ms: i64,
    /// The most of all servers of the group together.
    pub together: u64,
    /// The most of one site.
    pub each: u64,
}

impl ServerGroup {
    /// Returns the bounds of the waits that begin in one window. A wait that is given back is not
    /// counted.
    pub const fn waits(self) -> WindowBounds {
        match self {
            Self::Strangers => WindowBounds { window_ms: 4_000, together: 4, each: 2 },
            Self::Known => WindowBounds { window_ms: 4_000, together: 6, each: 3 },
        }
    }

    /// Returns the bounds of the fetches that are planned in one window.
    pub const fn fetches(self) -> WindowBounds {
        WindowBounds { window_ms: 60_000, together: 60, each: 10 }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Strangers => "strangers",
            Self::Known => "known",
        }
    }
}

/// Returns the site of a server: the last two labels of its name, or the authority of a server of
/// local mode.
pub fn site(authority: &str) -> &str {
    let name = authority.split(':').next().unwrap_or_default();
    match name.rmatch_indices('.').nth(1) {
        Some((dot, _)) => name.get(dot.saturating_add(1)..).unwrap_or(name),
        None if name.contains('.') => name,
        None => authority,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_under_a_domain_are_one_site() {
        for (authority, expected) in [
            ("b.example", "b.example"),
            ("b.example:8443", "b.example"),
            ("x.b.example", "b.example"),
            ("y.x.b.example:8443", "b.example"),
            ("localhost:8081", "localhost:8081"),
            ("localhost:8082", "localhost:8082"),
        ] {
            assert_eq!(site(authority), expected, "{authority}");
        }
    }
}
