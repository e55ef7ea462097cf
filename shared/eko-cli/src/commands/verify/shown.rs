//! The state of trust in someone, as text for a person and as JSON for a script.

use eko_client::messenger::{DeviceChanges, Person, Trust, Verification};
use serde_json::{Value, json};

use crate::ask;
use crate::show;

/// Returns the safety number, the trust, the devices and the alarm as text. For the user's own
/// account the number and the trust are left out, since there is nothing to compare.
pub(super) fn text(who: &str, seen: &Verification, own: bool) -> String {
    let mut text = match own {
        true => format!("{who} is you"),
        false => format!("Your safety number with {who}\n{}", ask::lines(&seen.number.digits)),
    };
    if !own {
        text.push_str(&format!("\n  trust    {}", trust(seen)));
    }
    for (index, device) in seen.devices.iter().enumerate() {
        let head = if index == 0 { "devices" } else { "" };
        text.push_str(&format!("\n  {head:7}  {}", device.rsplit('/').next().unwrap_or(device)));
    }
    if seen.trust == Trust::Reset {
        text.push_str(&format!(
            "\n\nBEWARE: all devices of {who} were replaced at once: they lost them all, or somebody takes their place.\n\
             BEWARE: nothing is sent to them until you have compared this number, or have accepted the new devices."
        ));
    }
    if let Some(warning) = alarm(seen, own) {
        text.push_str(&format!("\n\n{warning}"));
    }
    text
}

/// Returns the alarm as text, if there is one.
pub(super) fn alarm(seen: &Verification, own: bool) -> Option<String> {
    let alarm = seen.alarm.as_ref()?;
    let mut text = format!("BEWARE: {}: {}.", show::clock(alarm.raised_ms), alarm.why);
    if !own {
        text.push_str("\nBEWARE: the number belongs to the devices that were known before.");
    }
    Some(text)
}

fn trust(seen: &Verification) -> String {
    match (seen.trust, &seen.since_compared) {
        (Trust::FirstUse, _) => {
            "first use: their server showed these devices first; the numbers were not compared".to_owned()
        }
        (Trust::Accepted, _) => "accepted after a reset, without comparing numbers".to_owned(),
        (Trust::Verified, Some(DeviceChanges { added, removed }))
            if !(added.is_empty() && removed.is_empty()) =>
        {
            format!(
                "verified: you have compared numbers with devices of theirs, and not with those of today. One of \
                 their devices has since signed that they have {}",
                show::added_and_removed(added, removed)
            )
        }
        (Trust::Verified, _) if seen.own_changed => {
            "verified: you have compared numbers, and their devices are still the same. The number differs from the \
             one that you compared, because your devices have changed"
                .to_owned()
        }
        (Trust::Verified, _) => {
            "verified: you have compared numbers, and their devices are still the same".to_owned()
        }
        (Trust::Reset, _) => "NONE: their devices were all replaced".to_owned(),
    }
}

/// Returns the state of trust as a JSON object of the type `verification`.
pub(super) fn object(person: &Person, seen: &Verification) -> Value {
    let alarm = seen.alarm.as_ref();
    let since = seen.since_compared.as_ref();
    let since = since.map(|since| json!({ "added": since.added, "removed": since.removed }));
    let alarm = alarm.map(|alarm| json!({ "what": alarm.why, "at": show::instant(alarm.raised_ms) }));
    json!({
        "type": "verification", "actor": person.actor(), "handle": person.handle().to_string(),
        "number": seen.number.digits, "scannable": hex::encode(&seen.number.scannable), "trust": word(seen.trust),
        "sinceCompared": since, "ownChanged": seen.own_changed, "devices": seen.devices, "nodes": seen.set.length, "alarm": alarm,
    })
}

/// Returns the JSON object for someone whose devices were forgotten.
pub(super) fn forgotten(person: &Person) -> Value {
    json!({
        "type": "verification", "actor": person.actor(), "handle": person.handle().to_string(), "trust": "forgotten",
    })
}

/// True if the number that is shown was not compared: nobody has, or devices have changed since.
pub(super) fn is_to_be_compared(seen: &Verification) -> bool {
    let changed = |since: &DeviceChanges| !(since.added.is_empty() && since.removed.is_empty());
    seen.trust != Trust::Verified || seen.own_changed || seen.since_compared.as_ref().is_some_and(changed)
}

/// Returns the word for a state of trust.
pub(in crate::commands) fn word(trust: Trust) -> &'static str {
    match trust {
        Trust::FirstUse => "first-use",
        Trust::Accepted => "accepted",
        Trust::Verified => "verified",
        Trust::Reset => "reset",
    }
}
