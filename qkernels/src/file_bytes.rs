//! The bytes of a file, in memory of their own or mapped, and parts of them that share it.

use std::fs::File;
use std::io::{self, Read};
use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::Mmap;

/// Where the first byte of a file lies: at a multiple of a cache line, as in a map.
const ALIGNMENT: usize = 64;

/// A whole file as `&[u8]`, whose first byte lies at a multiple of 64 bytes.
#[derive(Debug)]
pub struct FileBytes(Memory);

#[derive(Debug)]
enum Memory {
    /// The file follows `start` bytes that are not part of it.
    Owned {
        bytes: Vec<u8>,
        start: usize,
    },
    Mapped(Mmap),
}

impl FileBytes {
    /// Reads `file` from where it stands into memory that belongs to this process alone.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(mut file: &File) -> io::Result<Self> {
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        let mut bytes: Vec<u8> = Vec::new();
        let capacity = len.checked_add(ALIGNMENT).ok_or(io::ErrorKind::OutOfMemory)?;
        bytes.try_reserve_exact(capacity).map_err(|_| io::ErrorKind::OutOfMemory)?;
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        bytes.resize(start, 0);
        // No more than there is room for: growing would move the bytes to another address.
        file.by_ref().take(len as u64).read_to_end(&mut bytes)?;
        Ok(Self(Memory::Owned { bytes, start }))
    }

    /// Maps `file`, so that the operating system reads it on demand, and once for all processes that map it.
    ///
    /// The file must stay as it is while it is mapped: a process that truncates it makes a later read of its bytes
    /// kill this one (SIGBUS), and one that writes to it changes what the slice shows. Map only files that are
    /// replaced by renaming.
    ///
    /// # Errors
    /// If the file cannot be mapped.
    pub fn map(file: &File) -> io::Result<Self> {
        if file.metadata()?.len() == 0 {
            // An empty file cannot be mapped on every system.
            return Self::read(file);
        }
        // SAFETY: the map is private to this process and read-only, and `Mmap` keeps it alive as
        // long as the slices borrowed from it. What remains is the operating system's own caveat, a
        // concurrent writer, which the documentation above passes on to the caller.
        let map = unsafe { Mmap::map(file)? };
        Ok(Self(Memory::Mapped(map)))
    }
}

impl Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Memory::Owned { bytes, start } => &bytes[*start..],
            Memory::Mapped(map) => map,
        }
    }
}

/// A part of a file's bytes, which it keeps in memory.
#[derive(Clone, Debug)]
pub struct SharedBytes {
    file: Arc<FileBytes>,
    range: Range<usize>,
}

impl SharedBytes {
    /// The bytes of `file` in `range`; `None` if the file is shorter.
    pub fn new(file: Arc<FileBytes>, range: Range<usize>) -> Option<Self> {
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

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.file[self.range.clone()]
    }
}
