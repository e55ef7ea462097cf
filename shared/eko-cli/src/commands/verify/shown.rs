//! What is known of someone, for a person and for a script.

use eko_client::messenger::{Person, Trust, Verification};
use serde_json::{Value, json};

use crate::ask;
use crate::show;

/// Number, trust, devices and alarm. Of oneself there is no number to compare.
pub(super) fn text(who: &str, seen: &Verification, own: bool) -> String {
    let mut text = match own {
        true => format!("{who} is you"),
        false => format!("Your safety number with {who}\n{}", ask::lines(&seen.number.digits, 4)),
    };
    if !own {
        text.push_str(&format!("\n  trust    {}", trust(seen.trust)));
    }
    for (index, device) in seen.devices.iter().enumerate() {
        let head = if index == 0 { "devices" } else { "" };
        text.push_str(&format!("\n  {head:7}  {}", device.rsplit('/').next().unwrap_or(device)));
    }
    if seen.trust == Trust::Reset {
        text.push_str(&format!(
            "\n\nBEWARE: all devices of {who} were replaced at once: they lost them all, or somebody takes their place.\n\
             BEWARE: nothing is sent to them until you have compared this number, or accept them without."
        ));
    }
    if let Some(alarm) = &seen.alarm {
        text.push_str(&format!("\n\nBEWARE: {}: {}.", show::clock(alarm.raised_ms), alarm.why));
        if !own {
            text.push_str("\nBEWARE: the number above is of what was known before.");
        }
    }
    text
}

fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::FirstUse => {
            "first use: they are whoever their server showed first; the numbers were not compared"
        }
        Trust::Verified => "verified: you have compared the numbers",
        Trust::Reset => "NONE: their devices were all replaced",
    }
}

/// The same as an object.
pub(super) fn object(person: &Person, seen: &Verification) -> Value {
    let alarm = seen.alarm.as_ref();
    let alarm = alarm.map(|alarm| json!({ "what": alarm.why, "at": show::instant(alarm.raised_ms) }));
    json!({
        "type": "verification", "actor": person.actor(), "handle": person.handle().to_string(),
        "number": seen.number.digits, "scannable": hex::encode(&seen.number.scannable), "trust": word(seen.trust),
        "devices": seen.devices, "nodes": seen.length, "alarm": alarm,
    })
}

/// Someone of whom nothing is known any more.
pub(super) fn forgotten(person: &Person) -> Value {
    json!({
        "type": "verification", "actor": person.actor(), "handle": person.handle().to_string(), "trust": "forgotten",
    })
}

/// How far someone is trusted, as a word.
pub(in crate::commands) fn word(trust: Trust) -> &'static str {
    match trust {
        Trust::FirstUse => "first-use",
        Trust::Verified => "verified",
        Trust::Reset => "reset",
    }
}
