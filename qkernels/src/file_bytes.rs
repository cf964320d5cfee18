//! The bytes of a file, in memory of their own or mapped, and parts of them that share it.

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};
use std::sync::Arc;

use memmap2::{Mmap, MmapMut, MmapOptions};

/// A whole file as `&[u8]`, whose first byte lies at the beginning of a page.
#[derive(Debug)]
pub struct FileBytes(Memory);

#[derive(Debug)]
enum Memory {
    /// Of an empty file, which cannot be mapped on every system.
    Empty,
    Owned(MmapMut),
    Mapped(Mmap),
}

impl FileBytes {
    /// Reads `file` into memory that belongs to this process alone, a large one on several threads.
    ///
    /// # Errors
    /// If it cannot be read, or there is not enough memory.
    pub fn read(file: &File) -> io::Result<Self> {
        let len = usize::try_from(file.metadata()?.len()).map_err(io::Error::other)?;
        if len == 0 {
            return Ok(Self(Memory::Empty));
        }
        let mut memory = MmapOptions::new().len(len).map_anon()?;
        // Large pages, where the system has them: most of the time goes into the first touch of each page.
        #[cfg(target_os = "linux")]
        let _ = memory.advise(memmap2::Advice::HugePage);
        read_all(file, &mut memory)?;
        Ok(Self(Memory::Owned(memory)))
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
            return Ok(Self(Memory::Empty));
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
            Memory::Empty => &[],
            Memory::Owned(memory) => memory,
            Memory::Mapped(map) => map,
        }
    }
}

/// Fills `bytes` with those at the beginning of `file`.
#[cfg(unix)]
fn read_all(file: &File, bytes: &mut [u8]) -> io::Result<()> {
    use std::os::unix::fs::FileExt;

    /// Fewer bytes are not worth a thread.
    const PART: usize = 4 << 20;
    let threads = crate::threads::num_threads().min(bytes.len() / PART);
    if threads < 2 {
        return file.read_exact_at(bytes, 0);
    }
    let part = bytes.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let mut readers = Vec::new();
        for (bytes, index) in bytes.chunks_mut(part).zip(0_u64..) {
            let read = move || file.read_exact_at(bytes, index * part as u64);
            readers.push(std::thread::Builder::new().spawn_scoped(scope, read)?);
        }
        let panicked = || io::Error::other("a thread that reads the file has panicked");
        readers.into_iter().try_for_each(|reader| reader.join().unwrap_or_else(|_| Err(panicked())))
    })
}

#[cfg(not(unix))]
fn read_all(mut file: &File, bytes: &mut [u8]) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(bytes)
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
