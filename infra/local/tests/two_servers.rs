//! Two real servers over loopback HTTP, as two processes that share nothing: the demo plays every row of section
//! 5 of `docs/protocol.md` across them, kills each once with a message under way, and fails at the first thing
//! that is not as it must be.

use std::process::Command;

#[test]
fn the_demo_of_two_servers_plays_to_its_end() {
    let output = Command::new(env!("CARGO_BIN_EXE_eko-local"))
        .args(["demo", "--two-servers"])
        .output()
        .expect("the demo runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    for line in
        ["PartialDelivery", "Reject", "Confirm", "Delivered", "Nothing is left behind", "all as expected"]
    {
        assert!(said.contains(line), "{line} is missing:\n{said}");
    }
}
