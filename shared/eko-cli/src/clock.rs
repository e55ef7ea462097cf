//! The difference between this machine's clock and the server's, in words.

use crate::context::HttpMessenger;

/// The remedy of a wrong clock.
pub(crate) const REMEDY: &str =
    "set this machine's clock right; if it is right, tell whoever runs that server";

/// The next step of a person whose message is kept until the clock is right.
pub(crate) const KEPT: &str = "set this machine's clock right, and then eko listen, which sends it; if the clock \
                               is right, tell whoever runs that server";

/// Returns the warning that this machine's clock differs from the server's, or `None` if it does not, or if
/// the server has not said its time yet.
pub(crate) fn warning(client: &HttpMessenger) -> Option<String> {
    let difference = client.device().clock_difference().filter(|difference| difference.is_told())?;
    Some(format!("BEWARE: {difference}. Next: {REMEDY}."))
}

/// True if the clock differs so much that this device misjudges the age of what it knows.
pub(crate) fn misleads(client: &HttpMessenger) -> bool {
    client.device().clock_difference().is_some_and(|difference| difference.misleads())
}
