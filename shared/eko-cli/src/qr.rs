//! QR codes as characters on a terminal.

use qrcode::bits::Bits;
use qrcode::{Color, EcLevel, QrCode, Version};

/// The width of the light border around a code, in modules (ISO/IEC 18004, section 6.3.8).
const QUIET: usize = 4;
/// The largest version that is drawn. It has 57 modules a side and holds 271 bytes.
const MAX_VERSION: i16 = 10;
/// The escape sequence for black on white, from the part of the palette that themes do not change.
/// Scanners expect dark modules on a light ground.
const COLOURS: &str = "\u{1b}[38;5;16;48;5;231m";
const END: &str = "\u{1b}[0m";

/// Draws bytes as a code of version 10 at most, in byte mode, with two modules per character.
/// Returns `None` if the bytes do not fit.
pub(crate) fn drawn(bytes: &[u8]) -> Option<String> {
    let code = code(bytes)?;
    let (width, colours) = (code.width(), code.to_colors());
    let is_dark = |x: usize, y: usize| {
        let inside = x.checked_sub(QUIET).zip(y.checked_sub(QUIET)).filter(|(x, y)| *x < width && *y < width);
        inside.and_then(|(x, y)| colours.get(y * width + x)) == Some(&Color::Dark)
    };
    let side = width + 2 * QUIET;
    let line = |y: usize| {
        let half_blocks = (0..side).map(|x| match (is_dark(x, y), is_dark(x, y + 1)) {
            (false, false) => ' ',
            (true, false) => '▀',
            (false, true) => '▄',
            (true, true) => '█',
        });
        format!("{COLOURS}{}{END}\n", half_blocks.collect::<String>())
    };
    Some((0..side).step_by(2).map(line).collect())
}

fn code(bytes: &[u8]) -> Option<QrCode> {
    (1..=MAX_VERSION).find_map(|version| {
        let mut bits = Bits::new(Version::Normal(version));
        bits.push_byte_data(bytes).and_then(|()| bits.push_terminator(EcLevel::M)).ok()?;
        QrCode::with_bits(bits, EcLevel::M).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The side of a module in the image, in pixels.
    const SCALE: usize = 4;

    /// Returns the bytes that a scanner reads from a drawn code.
    fn scanned(drawn: &str) -> Vec<u8> {
        let rows: Vec<Vec<(bool, bool)>> = drawn.lines().map(row).collect();
        let side = rows[0].len();
        assert!(rows.iter().all(|row| row.len() == side));
        let is_dark = |x: usize, y: usize| {
            let (upper, lower) = rows[y / 2][x];
            if y.is_multiple_of(2) { upper } else { lower }
        };
        for near in 0..QUIET {
            let edges = (0..side)
                .flat_map(|at| [(at, near), (near, at), (at, side - 1 - near), (side - 1 - near, at)]);
            assert!(edges.into_iter().all(|(x, y)| !is_dark(x, y)), "the quiet zone");
        }
        let mut image = rqrr::PreparedImage::prepare_from_greyscale(side * SCALE, side * SCALE, |x, y| {
            if is_dark(x / SCALE, y / SCALE) { 0 } else { 255 }
        });
        let mut read = Vec::new();
        image.detect_grids()[0].decode_to(&mut read).unwrap();
        read
    }

    fn row(line: &str) -> Vec<(bool, bool)> {
        let blocks = line.strip_prefix(COLOURS).unwrap().strip_suffix(END).unwrap();
        let halves = |block| match block {
            ' ' => (false, false),
            '▀' => (true, false),
            '▄' => (false, true),
            '█' => (true, true),
            other => panic!("{other:?}"),
        };
        blocks.chars().map(halves).collect()
    }

    #[test]
    fn what_is_drawn_can_be_scanned() {
        let every: Vec<u8> = (0..=255).rev().take(200).collect();
        for bytes in [&b"0123456789"[..], &[0; 74], &[0x08, 0x02, 0x12, 0xff, 0x80], &every] {
            assert_eq!(scanned(&drawn(bytes).unwrap()), bytes);
        }
        assert_eq!(drawn(&[0; 272]), None);
    }
}
