//! The rows on the pages of an SQLite file, read without its trees, its schema, and its header.
//!
//! ```text
//! page        [100 bytes, on the first] kind 1 | freeblock 2 | count of cells 2 | start 2 | fragments 1
//!             | [child 4, inner pages] | offset 2 for each cell | … | cells
//! kind 13     a leaf of a table:  cell = length of the payload | row id | payload | [overflow page 4]
//! kind 10     a leaf of an index: cell = length of the payload | payload | [overflow page 4]
//! kind 2      an inner page of an index: child 4, and then the cell of a leaf
//! payload     length of the head | a type for each value | the values
//! overflow    the next page 4 | the rest of the payload
//! ```
//!
//! Lengths, row ids and types are SQLite's variable integers. A table without row ids is an index. What is
//! deleted is overwritten in a device's store, so that what is on a page is a row of today.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use rusqlite::types::Value;

/// The length of a page in every store of this library.
const PAGE_BYTES: u16 = 4096;
/// The number of bytes before the first page's own header.
const FILE_HEADER_BYTES: usize = 100;
/// The longest row that is read.
const MOST_BYTES: usize = 16 << 20;

/// A row that stands on a page.
#[derive(Debug, PartialEq)]
pub(super) struct PageRow {
    /// The row id, in a table that has them.
    pub(super) id: Option<i64>,
    /// The values in the order in which they are stored.
    pub(super) values: Vec<Value>,
}

/// A file of pages.
pub(super) struct PageFile {
    file: File,
    page_bytes: u16,
    pages: u32,
    /// True if the last page was cut.
    is_cut: bool,
}

/// The bytes that a page has which was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CutPage {
    /// Those that are in the file.
    Left,
    /// Those, and zeros for the others: so SQLite reads it.
    Zeroed,
}

impl PageFile {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let page_bytes = page_length(&file).unwrap_or(PAGE_BYTES);
        let length = file.metadata()?.len();
        let pages = u32::try_from(length.div_ceil(page_bytes.into())).unwrap_or(u32::MAX);
        let is_cut = !length.is_multiple_of(page_bytes.into());
        Ok(Self { file, page_bytes, pages, is_cut })
    }

    /// Passes on every row that can be read. Of the last page, which may be cut, those are left out that the
    /// file does not have to their end.
    ///
    /// # Errors
    /// Those of `take`.
    pub(super) fn rows<E>(&self, mut take: impl FnMut(PageRow) -> Result<(), E>) -> Result<(), E> {
        (1..=self.pages).flat_map(|number| self.rows_of(number, CutPage::Left)).try_for_each(&mut take)
    }

    /// Returns the rows of which the file has a part only, as SQLite reads them: with zeros for the rest.
    pub(super) fn cut_rows(&self) -> Vec<PageRow> {
        let mut cut = Vec::new();
        for number in (1..=self.pages).filter(|_| self.is_cut) {
            let left = self.rows_of(number, CutPage::Left);
            cut.extend(self.rows_of(number, CutPage::Zeroed).into_iter().filter(|row| !left.contains(row)));
        }
        cut
    }

    fn rows_of(&self, number: u32, cut: CutPage) -> Vec<PageRow> {
        let Some(page) = self.page(number, cut) else { return Vec::new() };
        let start = if number == 1 { FILE_HEADER_BYTES } else { 0 };
        let Some(kind) = page.get(start).copied().filter(|kind| matches!(kind, 2 | 10 | 13)) else {
            return Vec::new();
        };
        let offsets = start.saturating_add(if kind == 2 { 12 } else { 8 });
        let count = two_bytes(&page, start.saturating_add(3)).unwrap_or(0);
        let row = |cell: u16| {
            let offset = two_bytes(&page, offsets.saturating_add(usize::from(cell).saturating_mul(2)))?;
            self.row(&page, kind, offset.into(), cut)
        };
        (0..count).filter_map(row).collect()
    }

    /// Reads a page.
    fn page(&self, number: u32, cut: CutPage) -> Option<Vec<u8>> {
        let length = u64::from(self.page_bytes);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(u64::from(number.checked_sub(1)?).checked_mul(length)?)).ok()?;
        let mut page = Vec::new();
        file.take(length).read_to_end(&mut page).ok()?;
        if cut == CutPage::Zeroed {
            page.resize(self.page_bytes.into(), 0);
        }
        Some(page)
    }

    fn row(&self, page: &[u8], kind: u8, offset: usize, cut: CutPage) -> Option<PageRow> {
        let mut cell = Cursor { bytes: page, at: offset };
        if kind == 2 {
            cell.take(4)?;
        }
        let length = usize::try_from(cell.integer()?).ok().filter(|length| *length <= MOST_BYTES)?;
        let id = if kind == 13 { Some(cell.integer()?) } else { None };
        let values = values(&self.payload(&mut cell, kind, length, cut)?)?;
        Some(PageRow { id, values })
    }

    /// Reads a payload from its cell, and the rest from the pages into which it overflows.
    fn payload(&self, cell: &mut Cursor<'_>, kind: u8, length: usize, cut: CutPage) -> Option<Vec<u8>> {
        let usable = usize::from(self.page_bytes);
        let share = |part: usize| usable.saturating_sub(12).saturating_mul(part) / 255;
        let most = if kind == 13 { usable.checked_sub(35)? } else { share(64).checked_sub(23)? };
        if length <= most {
            return cell.take(length).map(<[u8]>::to_vec);
        }
        let least = share(32).checked_sub(23)?;
        let filled = least.saturating_add(length.checked_sub(least)? % usable.checked_sub(4)?);
        let mut payload = cell.take(if filled <= most { filled } else { least })?.to_vec();
        let mut next = u32::from_be_bytes(cell.take(4)?.try_into().ok()?);
        while payload.len() < length {
            let page = self.page(next, cut).filter(|_| next <= self.pages)?;
            let mut page = Cursor { bytes: &page, at: 0 };
            next = u32::from_be_bytes(page.take(4)?.try_into().ok()?);
            let rest = length.saturating_sub(payload.len()).min(usable.checked_sub(4)?);
            payload.extend_from_slice(page.take(rest)?);
        }
        Some(payload)
    }
}

/// Returns the length of a page that the file's header states.
fn page_length(mut file: &File) -> Option<u16> {
    let mut header = [0; 18];
    file.read_exact(&mut header).ok()?;
    let length = u16::from_be_bytes([header[16], header[17]]);
    (header.starts_with(b"SQLite format 3\0") && length.is_power_of_two() && length >= 512).then_some(length)
}

fn two_bytes(page: &[u8], at: usize) -> Option<u16> {
    Cursor { bytes: page, at }.take(2)?.try_into().ok().map(u16::from_be_bytes)
}

/// Reads the values of a payload.
fn values(payload: &[u8]) -> Option<Vec<Value>> {
    let mut head = Cursor { bytes: payload, at: 0 };
    let length = usize::try_from(head.integer()?).ok()?;
    let mut body = Cursor { bytes: payload, at: length };
    head.bytes = payload.get(..length)?;
    let mut values = Vec::new();
    while head.at < length {
        values.push(body.value(head.integer()?)?);
    }
    Some(values)
}

/// A place in bytes that are read one after the other.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    /// Reads a variable integer: seven bits a byte while the highest one is set, and eight of the ninth.
    fn integer(&mut self) -> Option<i64> {
        let mut read: u64 = 0;
        for _ in 0..8 {
            let byte = *self.take(1)?.first()?;
            read = read << 7 | u64::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                return Some(read.cast_signed());
            }
        }
        Some((read << 8 | u64::from(*self.take(1)?.first()?)).cast_signed())
    }

    /// Reads a value of a type. Stores hold no real numbers.
    fn value(&mut self, kind: i64) -> Option<Value> {
        let length = match kind {
            0 => return Some(Value::Null),
            8 | 9 => return Some(Value::Integer(kind.saturating_sub(8))),
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 => 8,
            12.. => usize::try_from(kind.checked_sub(12)? / 2).ok()?,
            _ => return None,
        };
        let bytes = self.take(length)?;
        Some(match kind {
            ..12 => {
                let first = i64::from(bytes.first()?.cast_signed());
                let rest = bytes.iter().skip(1);
                Value::Integer(rest.fold(first, |number, byte| number << 8 | i64::from(*byte)))
            }
            _ if kind % 2 == 0 => Value::Blob(bytes.to_vec()),
            _ => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, params};

    use super::*;

    fn rows(path: &Path) -> Vec<PageRow> {
        let mut rows = Vec::new();
        let taken = PageFile::open(path).unwrap().rows(|row| {
            rows.push(row);
            Ok::<_, ()>(())
        });
        taken.unwrap();
        rows
    }

    /// Tables with and without row ids, whose rows lie on inner pages and in overflow too, are read as
    /// SQLite reads them.
    #[test]
    fn pages_have_the_rows_that_sqlite_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(
                "CREATE TABLE one (row INTEGER PRIMARY KEY, text TEXT, bytes BLOB);
                 CREATE TABLE two (id TEXT PRIMARY KEY, bytes BLOB, number INTEGER, last INTEGER) WITHOUT ROWID",
            )
            .unwrap();
        let numbers = [0, 1, -1, 127, -129, 40_000, -9_000_000, 1 << 40, i64::MAX, i64::MIN];
        for (index, number) in (0_usize..).zip(numbers.iter().cycle().take(400)) {
            let (text, bytes) = ("x".repeat(index * 7 % 2_000), vec![1_u8; index * 131 % 20_000]);
            connection
                .execute(
                    "INSERT INTO one VALUES (?1, ?2, ?3)",
                    params![number.wrapping_add(index as i64), text, bytes],
                )
                .ok();
            let id = format!("{index} {text}");
            connection
                .execute("INSERT INTO two VALUES (?1, ?2, ?3, NULL)", params![id, bytes, number])
                .unwrap();
        }
        let read = rows(&path);
        let mut statement = connection.prepare("SELECT row, text, bytes FROM one").unwrap();
        let expected = statement.query_map([], |row| {
            Ok(PageRow { id: row.get(0)?, values: vec![Value::Null, row.get(1)?, row.get(2)?] })
        });
        let mut count = 0;
        for row in expected.unwrap().map(Result::unwrap) {
            assert!(read.contains(&row), "{:?}", row.id);
            count += 1;
        }
        let mut statement = connection.prepare("SELECT id, bytes, number, last FROM two").unwrap();
        let expected = statement.query_map([], |row| {
            let values = (0..4).map(|index| row.get(index)).collect::<Result<_, _>>()?;
            Ok(PageRow { id: None, values })
        });
        for row in expected.unwrap().map(Result::unwrap) {
            assert!(read.contains(&row), "{:?}", row.values[0]);
            count += 1;
        }
        // The schema has two more.
        assert_eq!((count, read.len()), (count, count + 2));
        assert!(count > 700);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch("CREATE TABLE one (row INTEGER PRIMARY KEY, bytes BLOB)").unwrap();
        connection.execute("INSERT INTO one (bytes) VALUES (?1)", [vec![7_u8; 9_000]]).unwrap();
        drop(connection);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            if at % 61 == 0 || at < 120 || (4_096..4_120).contains(&at) {
                let mut bytes = whole.clone();
                bytes[at] = !bytes[at];
                bytes.truncate(whole.len() - at % 3_000);
                std::fs::write(&path, &bytes).unwrap();
                rows(&path);
            }
        }
        std::fs::write(&path, b"").unwrap();
        assert_eq!(rows(&path), []);
    }
}
