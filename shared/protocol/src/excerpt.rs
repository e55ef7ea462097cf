//! The beginning of a text that somebody else chose, so that what is kept or repeated of it has a
//! length.

/// Returns the beginning of a text: at most `most` bytes, and whole characters.
///
/// ```
/// use eko_protocol::excerpt::excerpt;
///
/// assert_eq!(excerpt("grün", 3), "gr");
/// assert_eq!(excerpt("grün", 4), "grü");
/// ```
pub fn excerpt(text: &str, most: usize) -> &str {
    text.get(..text.floor_char_boundary(most)).unwrap_or_default()
}

/// Returns the beginning of an RFC 6901 pointer: at most `most` bytes, and whole reference tokens,
/// so that it points to the innermost member around the place whose pointer is short enough.
///
/// ```
/// use eko_protocol::excerpt::pointer_excerpt;
///
/// assert_eq!(pointer_excerpt("/object/to", 10), "/object/to");
/// assert_eq!(pointer_excerpt("/object/to", 9), "/object");
/// assert_eq!(pointer_excerpt("/object/to", 3), "");
/// ```
pub fn pointer_excerpt(pointer: &str, most: usize) -> &str {
    if pointer.len() <= most {
        return pointer;
    }
    // One byte more: if it is the separator, all tokens before it fit.
    excerpt(pointer, most.saturating_add(1)).rsplit_once('/').map_or("", |(around, _)| around)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_excerpt_is_a_beginning_of_the_length(text in "\\PC{0,40}", most in 0..50_usize) {
            let cut = excerpt(&text, most);
            prop_assert!(text.starts_with(cut) && cut.len() <= most);
            prop_assert!(cut == text || cut.len() + 4 > most, "no more is left out than a character");
        }

        #[test]
        fn the_excerpt_of_a_pointer_ends_at_a_token(pointer in "(/[a-zü~01]{0,9}){0,6}", most in 0..60_usize) {
            let cut = pointer_excerpt(&pointer, most);
            prop_assert!(pointer.starts_with(cut) && cut.len() <= most);
            prop_assert!(cut == pointer || pointer[cut.len()..].starts_with('/'));
        }
    }
}
