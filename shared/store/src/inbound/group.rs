//! Groups and sites of servers, and what each may cause.

/// A group of servers, whose waits are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServerGroup {
    /// The servers of which no actor was verified lately.
    Strangers,
    /// The servers of which an actor was verified in the last seven days.
    Known,
    /// The servers of actors of whom there is a verified copy, which a fetch would renew.
    Renewals,
}

/// The bounds of the requests of a group that wait at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitBounds {
    /// The most of all servers of the group together.
    pub together: u64,
    /// The most of one site.
    pub each: u64,
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
    /// Returns the bounds of the requests that wait at the same time. Their sum leaves three of ten
    /// executions free.
    pub const fn waits(self) -> WaitBounds {
        match self {
            Self::Strangers => WaitBounds { together: 2, each: 1 },
            Self::Known => WaitBounds { together: 3, each: 2 },
            Self::Renewals => WaitBounds { together: 2, each: 1 },
        }
    }

    /// Returns the bounds of the fetches that are planned in one window.
    pub const fn fetches(self) -> WindowBounds {
        match self {
            Self::Strangers | Self::Known => WindowBounds { window_ms: 60_000, together: 60, each: 10 },
            Self::Renewals => WindowBounds { window_ms: 60_000, together: 30, each: 5 },
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Strangers => "strangers",
            Self::Known => "known",
            Self::Renewals => "renewals",
        }
    }
}
