//! A file mapped read-only into memory, as a byte slice, and parts of it.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

/// A whole file as `&[u8]`, read by the operating system on demand.
///
/// The file must not be changed while it is mapped: see the note at [`MappedFile::open`].
#[derive(Debug)]
pub struct MappedFile {
    /// `None` for an empty file, which cannot be mapped on every system.
    map: Option<Mmap>,
}

impl MappedFile {
    /// Maps the file at `path`; an empty file gives an empty slice.
    ///
    /// As with every memory map, another process that truncates the file while it is in use makes
    /// a later read fault, and one that writes to it changes what the slice shows. Open only files
    /// that are replaced by renaming, as model files are.
    ///
    /// # Errors
    /// If the file cannot be opened or mapped.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Self { map: None });
        }
        // SAFETY: the map is private to this process and read-only, and `Mmap` keeps it alive as
        // long as the slices borrowed from it. What remains is the operating system's own caveat, a
        // concurrent writer, which the documentation above passes on to the caller.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self { map: Some(map) })
    }
}

impl Deref for MappedFile {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.map.as_deref().unwrap_or_default()
    }
}

/// A part of a mapped file, which it keeps open.
#[derive(Clone, Debug)]
pub struct MappedBytes {
    file: Arc<MappedFile>,
    range: Range<usize>,
}

impl MappedBytes {
    /// The bytes of `file` in `range`; `None` if the file is shorter.
    pub fn new(file: Arc<MappedFile>, range: Range<usize>) -> Option<Self> {
        file.get(range.clone())?;
        Some(Self { file, range })
    }

    /// The first `len` bytes and the rest; `None` if there are not as many.
    pub fn split_at(&self, len: usize) -> Option<[Self; 2]> {
        let middle = self.range.start.checked_add(len).filter(|&middle| middle <= self.range.end)?;
        let part = |range| Self { file: Arc::clone(&self.file), range };
        Some([part(self.range.start..middle), part(middle..self.range.end)])
    }
}

impl Deref for MappedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.file[self.range.clone()]
    }
}

impl AsRef<[u8]> for MappedFile {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
