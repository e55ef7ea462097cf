//! The content of the other side's QR code, as a scanner program has written it.

use std::io::Read;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::failure::{CommandFailure, Exit, FileUse};

/// The longest file that is read. A code holds 74 bytes.
const MAX_BYTES: u64 = 4 << 10;

/// Returns the bytes that a file, or standard input (`-`), contains as hex or base64.
pub(super) fn read(file: &Path) -> Result<Vec<u8>, CommandFailure> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(MAX_BYTES).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_BYTES).read_to_string(&mut text))
    };
    read.map_err(|error| CommandFailure::of_named_file("cannot read", FileUse::Read, file, &error))?;
    decoded(&text).ok_or_else(|| {
        let what = format!("there is neither hex nor base64 in {}", file.display());
        CommandFailure::new(what).next("give the code's bytes, as hex or base64").exit(Exit::Usage)
    })
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    // Hex is tried first: the base64 of a code has characters that hex does not have.
    let bytes = hex::decode(&bare).ok().or_else(|| STANDARD.decode(&bare).ok())?;
    (!bytes.is_empty()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_and_base64() {
        let bytes: Vec<u8> = (180..254).collect();
        for text in [hex::encode(&bytes), hex::encode_upper(&bytes), STANDARD.encode(&bytes)] {
            assert_eq!(decoded(&text).as_deref(), Some(&bytes[..]));
            let (a, b) = text.split_at(50);
            assert_eq!(decoded(&format!(" {a}\n{b}\r\n")).as_deref(), Some(&bytes[..]));
        }
        for text in ["", " \n", "no code", "€", "abc"] {
            assert_eq!(decoded(text), None, "{text:?}");
        }
    }
}
