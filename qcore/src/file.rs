//! Safetensors files: mapped into memory to read, replaced atomically to write.

use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qkernels::mapped_file::{MappedBytes, MappedFile};
use safetensors::tensor::{Metadata, TensorInfo, TensorView};
use safetensors::{Dtype, SafeTensors};

use crate::{Error, Result};

/// A safetensors file whose header has been checked against its length.
#[derive(Debug)]
pub(crate) struct TensorFile {
    path: PathBuf,
    bytes: Arc<MappedFile>,
    /// Length of the header, where the tensors begin.
    data_start: usize,
    metadata: Metadata,
}

impl TensorFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let bytes = MappedFile::open(path).map_err(|error| Error::io(path, error))?;
        let (header, metadata) = SafeTensors::read_metadata(&bytes)
            .map_err(|error| Error::file(path, format!("not a complete safetensors file: {error}")))?;
        Ok(Self { path: path.to_owned(), bytes: Arc::new(bytes), data_start: header + 8, metadata })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The tensor `name`, if there is one. Its bytes may begin at any address.
    pub(crate) fn tensor(&self, name: &str) -> Result<Option<TensorView<'_>>> {
        let Some(info) = self.metadata.info(name) else { return Ok(None) };
        let bytes = &self.bytes[self.range(name, info)?];
        TensorView::new(info.dtype, info.shape.clone(), bytes)
            .map(Some)
            .map_err(|error| self.broken(name, &error.to_string()))
    }

    /// The bytes of the tensor `name`, which stay in the map; `None` if it is of another type or not there.
    pub(crate) fn mapped(&self, name: &str, dtype: Dtype) -> Result<Option<MappedBytes>> {
        let Some(info) = self.metadata.info(name).filter(|info| info.dtype == dtype) else { return Ok(None) };
        Ok(MappedBytes::new(Arc::clone(&self.bytes), self.range(name, info)?))
    }

    /// Where the bytes of a tensor are in the file.
    fn range(&self, name: &str, info: &TensorInfo) -> Result<Range<usize>> {
        let (begin, end) = info.data_offsets;
        let range = self.data_start.checked_add(begin).zip(self.data_start.checked_add(end));
        range
            .map(|(begin, end)| begin..end)
            .filter(|range| self.bytes.get(range.clone()).is_some())
            .ok_or_else(|| self.broken(name, "its data lies outside the file"))
    }

    fn broken(&self, name: &str, message: &str) -> Error {
        Error::file(&self.path, format!("tensor `{name}`: {message}"))
    }
}

/// Writes `bytes` to `path` such that a reader sees the old file or the new one, never half of it.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let write = || -> std::io::Result<()> {
        let mut file = new_file().tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|error| Error::io(path, error))
}

/// Unlike other temporary files this one is to stay: it gets the permissions of any new file.
#[cfg(unix)]
fn new_file<'a>() -> tempfile::Builder<'a, 'a> {
    use std::os::unix::fs::PermissionsExt;
    let mut builder = tempfile::Builder::new();
    builder.permissions(std::fs::Permissions::from_mode(0o666));
    builder
}

#[cfg(not(unix))]
fn new_file<'a>() -> tempfile::Builder<'a, 'a> {
    tempfile::Builder::new()
}
