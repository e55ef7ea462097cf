//! Separates the code of a Rust file from its comments and from the contents of its literals.

/// One line of a Rust file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct LexedLine {
    /// The code, with a space in place of every character of a comment or of a literal's content.
    pub(super) code: String,
    /// The comment that begins in this line with `//`, up to the end of the line.
    pub(super) comment: Option<String>,
    /// True if the line begins inside a string or a block comment that an earlier line opened.
    pub(super) continues: bool,
}

/// The construct that the lexer is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Code,
    /// A block comment. Rust's block comments nest; this is the depth.
    BlockComment(usize),
    /// A string with escapes.
    String,
    /// A raw string that ends with a quote and this number of `#`.
    RawString(usize),
}

/// Splits the text of a Rust file into lines of code and comments.
pub(super) fn lex(text: &str) -> Vec<LexedLine> {
    let mut inside = Inside::Code;
    text.lines().map(|line| lex_line(line, &mut inside)).collect()
}

fn lex_line(line: &str, inside: &mut Inside) -> LexedLine {
    let characters: Vec<char> = line.chars().collect();
    let mut lexed = LexedLine { continues: *inside != Inside::Code, ..LexedLine::default() };
    let mut at = 0;
    while let Some(&character) = characters.get(at) {
        let next = characters.get(at + 1).copied();
        let taken = match *inside {
            Inside::Code if character == '/' && next == Some('/') => {
                lexed.comment = Some(characters.iter().skip(at).collect());
                return lexed;
            }
            Inside::Code => lex_code(&characters, at, inside),
            Inside::BlockComment(depth) => match (character, next) {
                ('/', Some('*')) => {
                    *inside = Inside::BlockComment(depth + 1);
                    2
                }
                ('*', Some('/')) => {
                    *inside = if depth > 1 { Inside::BlockComment(depth - 1) } else { Inside::Code };
                    2
                }
                _ => 1,
            },
            Inside::String if character == '\\' => 2,
            Inside::String => {
                if character == '"' {
                    *inside = Inside::Code;
                }
                1
            }
            Inside::RawString(hashes) => {
                let closes =
                    character == '"' && (1..=hashes).all(|offset| characters.get(at + offset) == Some(&'#'));
                if closes {
                    *inside = Inside::Code;
                }
                if closes { hashes + 1 } else { 1 }
            }
        };
        let is_code = taken == 1 && *inside == Inside::Code && character != '"';
        lexed.code.push(if is_code { character } else { ' ' });
        lexed.code.extend((1..taken).map(|_| ' '));
        at += taken;
    }
    lexed
}

/// Returns the number of characters that belong together at a place of the code, and enters strings
/// and block comments.
fn lex_code(characters: &[char], at: usize, inside: &mut Inside) -> usize {
    let after = |offset: usize| characters.get(at + offset).copied();
    let follows_word = at > 0 && characters.get(at - 1).is_some_and(|c| c.is_alphanumeric() || *c == '_');
    match characters.get(at) {
        Some('/') if after(1) == Some('*') => {
            *inside = Inside::BlockComment(1);
            2
        }
        Some('"') => {
            *inside = Inside::String;
            1
        }
        // r"…", r#"…"#, br"…", cr"…". A raw identifier such as r#type has no quote.
        Some('r') if !follows_word || matches!(characters.get(at - 1), Some('b' | 'c')) => {
            let hashes = characters.iter().skip(at + 1).take_while(|c| **c == '#').count();
            if after(hashes + 1) != Some('"') {
                return 1;
            }
            *inside = Inside::RawString(hashes);
            hashes + 2
        }
        // A character literal, not a lifetime: '\…' up to its quote, or 'x'.
        Some('\'') if after(1) == Some('\\') => {
            let content = characters.iter().skip(at + 3).take_while(|c| **c != '\'').count();
            content + 4
        }
        Some('\'') if after(2) == Some('\'') => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        lex(text).into_iter().map(|line| line.code.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    }

    #[test]
    fn literals_are_blank() {
        assert_eq!(code(r#"let a = "struct B"; let c = 'x';"#), ["let a = ; let c = ;"]);
        assert_eq!(code(r#"let a = "a \" b"; c"#), ["let a = ; c"]);
        assert_eq!(code(r"let q = '\''; let w = '\u{1F600}'; d"), ["let q = ; let w = ; d"]);
    }

    #[test]
    fn raw_strings_span_lines() {
        let lines = lex("let a = r#\"x\n// \"no comment\nend\"#; b");
        assert_eq!(lines.iter().map(|line| line.continues).collect::<Vec<_>>(), [false, true, true]);
        assert!(lines.iter().all(|line| line.comment.is_none()));
        assert_eq!(code("let a = r#\"x\n\"y\nend\"#; b"), ["let a =", "", "; b"]);
        assert_eq!(code("let r#type = bar;"), ["let r#type = bar;"]);
    }

    #[test]
    fn lifetimes_are_code() {
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), ["fn f<'a>(x: &'a str) {}"]);
    }

    #[test]
    fn comments_are_apart() {
        let lines = lex("a // b \" c\n/* d /* e */ f\n*/ g");
        assert_eq!(lines[0].comment.as_deref(), Some("// b \" c"));
        assert_eq!(code("a // b \" c\n/* d /* e */ f\n*/ g"), ["a", "", "g"]);
    }
}
