//! Sign-in at an issuer: the development issuer's own code over TCP, and issuers that say what they should not.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod browser;
mod discovery;
mod test_issuer;
