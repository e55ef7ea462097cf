//! File names that are safe to save under, made from names that anybody may have chosen.
//!
//! No crate for this removes hidden files, options of commands and characters that reorder text as
//! well, so the rules are all here. A property test checks them.

/// The greatest length of a name in bytes. The stem of a longer name is cut. File systems allow
/// 255; the rest is for programs that add a suffix, such as a number.
const MAX_BYTES: usize = 200;

/// The greatest length of an extension, with its dot, that stays when the stem is cut.
const MAX_EXTENSION_BYTES: usize = 16;

pub(super) fn file_name(name: &str) -> String {
    let visible: String = name.chars().filter(|c| !is_invisible(*c)).map(plain).collect();
    let words = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    let kept = words.trim_start_matches(['.', ' ']).trim_end_matches(['.', ' ']);
    let kept = if kept.is_empty() { "attachment" } else { kept };
    // The prefix keeps the name from being an option of a command, a home folder or a device.
    let prefix = if kept.starts_with(['-', '~']) || is_device(kept) { "_" } else { "" };
    shorten(&format!("{prefix}{kept}"))
}

/// Replaces a character that some system reserves: separators of folders, drives and streams,
/// wildcards, quotes, control characters.
fn plain(c: char) -> char {
    if c.is_control() || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|') { '_' } else { c }
}

/// True for characters that are invisible or that reorder text: `invoice\u{202e}fdp.exe` would look
/// like a PDF. The joiners that emoji and Persian need are not among them.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// True if Windows opens a device by this name. It ignores what follows the first dot.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |kind: &str| {
        stem.strip_prefix(kind).is_some_and(|rest| {
            let mut rest = rest.chars();
            matches!((rest.next(), rest.next()), (Some('0'..='9' | '¹' | '²' | '³'), None))
        })
    };
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered("COM")
        || numbered("LPT")
}

fn shorten(name: &str) -> String {
    if name.len() <= MAX_BYTES {
        return name.to_owned();
    }
    let extension = name.rfind('.').and_then(|at| name.get(at..));
    let extension = extension.filter(|extension| extension.len() <= MAX_EXTENSION_BYTES).unwrap_or_default();
    let room = MAX_BYTES.saturating_sub(extension.len());
    let stem = name.get(..name.floor_char_boundary(room)).unwrap_or_default();
    format!("{}{extension}", stem.trim_end_matches(['.', ' ']))
}
