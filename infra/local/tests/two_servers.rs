//! Runs `eko-local demo --two-servers`: two servers in processes of their own, over loopback HTTP.
//! The demo plays every report of `docs/protocol.md` between them, and kills each once with a
//! message under way.

use std::process::Command;

#[test]
fn the_demo_of_two_servers_plays_to_its_end() {
    let output = Command::new(env!("CARGO_BIN_EXE_eko-local"))
        .args(["demo", "--two-servers"])
        .output()
        .expect("the demo runs");
    let (output_text, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{output_text}\n{errors}");
    for line in [
        "PartialDelivery",
        "Reject",
        "Confirm",
        "Delivered",
        "Nothing is left behind",
        "on its socket",
        "all as expected",
    ] {
        assert!(output_text.contains(line), "{line} is missing:\n{output_text}");
    }
}
