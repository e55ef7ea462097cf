//! The files of pieces. A file is written once, and its name says nothing about its piece.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;
use uuid::Uuid;

use super::store::Piece;
use crate::error::Error;
use crate::folder::{create_private, open_private};

/// The most bytes that are read at once.
const CHUNK: u64 = 64 * 1024;

/// The folder of the files.
pub(super) enum PieceFiles {
    /// A folder that is kept.
    Kept(PathBuf),
    /// A folder that is made for the first file, and removed with this value.
    Temporary(Mutex<Option<TempDir>>),
}

/// A file that is being written. It is removed if it is dropped before [`PieceWriter::keep`].
pub(super) struct PieceWriter {
    file: File,
    path: PathBuf,
    name: String,
    size: u64,
    digest: Sha256,
    is_kept: bool,
}

/// The bytes of a range of pieces, in chunks.
pub(super) struct PieceReader {
    /// The files with the number of bytes to read from each, in order of reading from the end.
    files: Vec<(File, u64)>,
}

impl PieceFiles {
    /// Returns a temporary folder.
    pub(super) fn temporary() -> Self {
        Self::Temporary(Mutex::default())
    }

    /// Opens a folder, or creates it. Removes the files that are not among `names`: those of requests
    /// that a killed process did not end.
    pub(super) fn open(dir: &Path, names: &BTreeSet<String>) -> Result<Self, Error> {
        let prepare = || {
            create_private(dir)?;
            for entry in std::fs::read_dir(dir)? {
                let entry = entry?;
                if !entry.file_name().to_str().is_some_and(|name| names.contains(name)) {
                    std::fs::remove_file(entry.path())?;
                }
            }
            Ok(())
        };
        prepare().map_err(|source| Error::Folder { path: dir.to_owned(), source })?;
        Ok(Self::Kept(dir.to_owned()))
    }

    fn dir(&self) -> io::Result<PathBuf> {
        match self {
            Self::Kept(dir) => Ok(dir.clone()),
            Self::Temporary(folder) => {
                let mut folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
                if folder.is_none() {
                    *folder = Some(TempDir::with_prefix("eko-blobs-")?);
                }
                Ok(folder.as_ref().map(|folder| folder.path().to_owned()).unwrap_or_default())
            }
        }
    }

    /// Makes a new file.
    pub(super) fn create(&self) -> io::Result<PieceWriter> {
        let name = Uuid::new_v4().simple().to_string();
        let path = self.dir()?.join(&name);
        let file = open_private(&path)?;
        Ok(PieceWriter { file, path, name, size: 0, digest: Sha256::new(), is_kept: false })
    }

    /// Opens the files that have a range of the bytes of pieces.
    pub(super) fn read(&self, pieces: &[Piece], range: Range<u64>) -> io::Result<PieceReader> {
        let dir = self.dir()?;
        let (mut files, mut begin) = (Vec::new(), 0_u64);
        for piece in pieces {
            let end = begin.saturating_add(piece.size);
            let (from, to) = (range.start.max(begin), range.end.min(end));
            if from < to {
                let mut file = File::open(dir.join(&piece.file))?;
                file.seek(SeekFrom::Start(from.saturating_sub(begin)))?;
                files.push((file, to.saturating_sub(from)));
            }
            begin = end;
        }
        files.reverse();
        Ok(PieceReader { files })
    }

    /// Removes files that belong to no piece any more. One that stays is removed when the folder is
    /// opened again.
    pub(super) fn remove(&self, names: &[String]) {
        let Ok(dir) = self.dir() else { return };
        for name in names {
            if let Err(error) = std::fs::remove_file(dir.join(name)) {
                tracing::warn!(%error, name, "the file of a blob stays");
            }
        }
    }
}

impl PieceWriter {
    /// Writes bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.digest.update(bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Returns the number of bytes that are written.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Returns the SHA-256 digest of the bytes that are written.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }

    /// Returns the piece that the file has, to be stored.
    pub(super) fn piece(&self) -> Piece {
        Piece { number: 1, file: self.name.clone(), size: self.size, digest: self.digest() }
    }

    /// Keeps the file.
    pub(super) fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for PieceWriter {
    fn drop(&mut self) {
        if !self.is_kept {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Iterator for PieceReader {
    type Item = io::Result<Bytes>;

    fn next(&mut self) -> Option<Self::Item> {
        let (file, left) = self.files.last_mut()?;
        let mut chunk = Vec::new();
        let read = match file.take((*left).min(CHUNK)).read_to_end(&mut chunk) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => Ok(read as u64),
            Err(error) => Err(error),
        };
        let read = match read {
            Ok(read) => read,
            Err(error) => {
                self.files.clear();
                return Some(Err(error));
            }
        };
        *left = left.saturating_sub(read);
        if *left == 0 {
            self.files.pop();
        }
        Some(Ok(chunk.into()))
    }
}
