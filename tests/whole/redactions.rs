//! Redactions for snapshots: values that differ between runs, or whose bytes tell a reader nothing.

use insta::Settings;
use insta::internals::SettingsBindDropGuard;

/// Replaces, in the snapshots of this test from here on, keys, signatures, tokens, the issuer and
/// the ids of requests.
///
/// Redactions last as long as the returned guard.
pub(crate) fn redacted() -> SettingsBindDropGuard {
    let mut settings = Settings::clone_current();
    for (replacement, members) in [
        ("[key]", &["identityKey", "signedPreKey", "preKey", "kyberPreKey", "publicKeyPem"][..]),
        ("[signature]", &["signedPreKeySignature", "kyberPreKeySignature", "possession", "proofValue"]),
        ("[MAC]", &["joiningMac", "approvalMac"]),
        ("[token]", &["accessToken", "refreshToken"]),
        ("[issuer]", &["issuer"]),
        ("[request id]", &["instance"]),
    ] {
        for member in members {
            settings.add_redaction(&format!(".**.{member}"), replacement);
        }
    }
    settings.bind_to_scope()
}
