//! Files: what is read is a regular file that names what it is, what is written replaces the old file at once.

mod foreign;
mod header;
mod replace;

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use qkernels::file_bytes::FileBytes;

use crate::{Error, Result};

pub(crate) use header::{TensorEntry, TensorHeader, TensorInfo, write_header};
pub(crate) use replace::replace_with;
pub use replace::write_file;

/// The longest header that is read unless told otherwise: 16 MB. Those of checkpoints with a thousand tensors take 0.1 MB.
pub(crate) const HEADER_LIMIT: usize = 16 << 20;

/// How the file of a converted model is read.
///
/// ```no_run
/// # fn main() -> qcore::Result<()> {
/// use qcore::{Loaders, LoadOptions, Network};
///
/// let network = Network::load_with("net.int8.safetensors", &Loaders::new(), LoadOptions::mapped())?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Whether the weights stay in a map of the file in place of memory of their own; false if not set.
    ///
    /// A map is shared by all processes that load the file, and pages that are never used are never read. In return
    /// nobody may write to the file while the model lives: whoever truncates it kills the process (SIGBUS), whoever
    /// copies another model over it changes the weights. The owner of the file has to replace it by renaming another
    /// one over it, as saving does. A run of a model whose file has another size or another time of modification than
    /// when it was loaded is an error, which catches what was done before the run, but not during it.
    pub mapped: bool,
    /// The most bytes that the file's header, and the description of the graph, may take; 16 MB if not set.
    pub header_limit: usize,
}

impl LoadOptions {
    /// With the weights in a map of the file.
    pub const fn mapped() -> Self {
        Self { mapped: true, header_limit: HEADER_LIMIT }
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { mapped: false, header_limit: HEADER_LIMIT }
    }
}

/// An open file that is neither a directory nor a device nor a pipe, and its state when it was opened.
#[derive(Debug)]
pub(crate) struct RegularFile {
    path: PathBuf,
    file: File,
    len: u64,
    modified: Option<SystemTime>,
    /// Who reads moves the position of the file, which all share.
    position: Mutex<()>,
}

impl RegularFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let failed = |error| Error::io(path, error);
        // Before it is opened: that of a pipe waits for a writer.
        let metadata = fs::metadata(path).map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::file(path, foreign::irregular(path, &metadata)));
        }
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(Error::file(path, foreign::irregular(path, &metadata)));
        }
        let (len, modified) = (metadata.len(), metadata.modified().ok());
        Ok(Self { path: path.to_owned(), file, len, modified, position: Mutex::new(()) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes in `range`, which are inside the file.
    pub(crate) fn read(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let failed = |error| Error::io(&self.path, error);
        let len = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).map_err(|_| failed(ErrorKind::OutOfMemory.into()))?;
        {
            let _position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
            let mut file = &self.file;
            file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
            file.take(len as u64).read_to_end(&mut bytes).map_err(failed)?;
        }
        if bytes.len() < len {
            return Err(self.changed());
        }
        self.check_unchanged()?;
        Ok(bytes)
    }

    /// All of it, read or mapped.
    pub(crate) fn bytes(&self, mapped: bool) -> Result<FileBytes> {
        let failed = |error| Error::io(&self.path, error);
        let _position = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = if mapped { FileBytes::map(&self.file) } else { FileBytes::read(&self.file) };
        let bytes = bytes.map_err(failed)?;
        if bytes.len() as u64 != self.len {
            return Err(self.changed());
        }
        self.check_unchanged()?;
        Ok(bytes)
    }

    /// An error if somebody has written to the file since it was opened.
    pub(crate) fn check_unchanged(&self) -> Result<()> {
        let metadata = self.file.metadata().map_err(|error| Error::io(&self.path, error))?;
        match metadata.len() == self.len && metadata.modified().ok() == self.modified {
            true => Ok(()),
            false => Err(self.changed()),
        }
    }

    fn changed(&self) -> Error {
        let message =
            "somebody has written to it since it was opened; a new file has to be renamed over the old one";
        Error::file(&self.path, message)
    }
}

/// Reads a file of JSON of at most `limit` bytes.
pub(crate) fn read_json(path: &Path, limit: usize) -> Result<Vec<u8>> {
    let file = RegularFile::open(path)?;
    if file.len > limit as u64 {
        return Err(Error::file(path, format!("has {} bytes, at most {limit} are read", file.len)));
    }
    let text = file.read(0..file.len)?;
    match text.trim_ascii_start().first() {
        Some(b'{') => Ok(text),
        _ => {
            let beginning = &text[..text.len().min(foreign::BEGINNING as usize)];
            Err(Error::file(path, foreign::describe("JSON", path, file.len, beginning)))
        }
    }
}

/// An open safetensors file, whose header has been checked against its length.
#[derive(Debug)]
pub(crate) struct TensorFile {
    file: RegularFile,
    header: TensorHeader,
    /// Where the tensors begin.
    data_start: u64,
}

impl TensorFile {
    /// Opens a file and reads its header, the bytes of which `inspect` sees, with the length in front.
    pub(crate) fn open(path: &Path, header_limit: usize, inspect: impl FnOnce(&[u8])) -> Result<Self> {
        let file = RegularFile::open(path)?;
        let fail = |message: String| Error::file(path, message);
        let beginning = file.read(0..file.len.min(foreign::BEGINNING))?;
        let header_len = match beginning.split_first_chunk() {
            // A header is a JSON object.
            Some((len, [b'{', ..])) => u64::from_le_bytes(*len),
            _ => return Err(fail(foreign::describe("safetensors", path, file.len, &beginning))),
        };
        let rest = file.len - size_of::<u64>() as u64;
        if header_len > rest {
            return Err(fail(format!(
                "is not a complete safetensors file: its header takes {header_len} bytes, {rest} are there"
            )));
        }
        if header_len > header_limit as u64 {
            return Err(fail(format!(
                "has a header of {header_len} bytes, at most {header_limit} are read (`header_limit`)"
            )));
        }
        let data_start = size_of::<u64>() as u64 + header_len;
        let bytes = file.read(0..data_start)?;
        let header = TensorHeader::parse(&bytes[size_of::<u64>()..])
            .map_err(|message| fail(format!("is not a complete safetensors file: {message}")))?;
        let (expected, found) = (header.data_len, file.len - data_start);
        if expected != found {
            return Err(fail(format!(
                "is not a complete safetensors file: its tensors take {expected} bytes, {found} are there"
            )));
        }
        inspect(&bytes);
        Ok(Self { file, header, data_start })
    }

    pub(crate) fn file(&self) -> &RegularFile {
        &self.file
    }

    pub(crate) fn into_file(self) -> RegularFile {
        self.file
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(crate) fn header(&self) -> &TensorHeader {
        &self.header
    }

    /// Where the bytes of a tensor are in the file.
    pub(crate) fn range(&self, info: &TensorInfo) -> Range<u64> {
        self.data_start + info.begin..self.data_start + info.end
    }

    /// Reads the bytes of a tensor.
    pub(crate) fn read(&self, info: &TensorInfo) -> Result<Vec<u8>> {
        self.file.read(self.range(info))
    }
}
