//! Tests of the sign-in at an issuer: at the development issuer over TCP, and at issuers with false
//! answers.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is how a test fails")]

mod browser;
mod discovery;
mod mix_up;
mod test_issuer;
