//! Writing a file such that a reader finds the old one or the new one, never half of it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::NamedTempFile;

use super::foreign;
use crate::{Error, Result};

/// Temporary files that nobody has touched for this long belong to a process that died.
const ABANDONED: Duration = Duration::from_secs(60);
/// As many symbolic links as Linux follows.
const MAX_LINKS: usize = 40;
/// How the names of temporary files end.
const SUFFIX: &str = ".tmp";

/// [`std::fs::write`], but atomic: whoever reads the file finds the old one or the new one, complete, even if the
/// process is killed or the machine loses power. All that this crate saves is written so.
///
/// The bytes go to a temporary file beside it, named after it with a point in front and `.tmp` behind, which is synced and
/// then renamed over it. Symbolic links are followed, and the permissions and the owner of an existing file kept where the
/// system lets us. What a killed process left behind is removed by the next one that writes the file, after a minute.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("scales.json");
/// qcore::write_file(&path, "{}")?;
/// assert_eq!(std::fs::read_to_string(&path)?, "{}");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When the directory is not there or cannot be written, or `path` is a directory, a pipe, a socket or a device.
pub fn write_file(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) -> Result<()> {
    let path = path.as_ref();
    replace_with(path, |file| file.write_all(bytes.as_ref()).map_err(|error| Error::io(path, error)))
}

/// [`write_file`] with bytes that `write` gives.
pub(crate) fn replace_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<()>) -> Result<()> {
    let failed = |error| Error::io(path, error);
    let (target, existing) = resolve(path)?;
    let folder = match target.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let prefix = prefix(target.file_name().unwrap_or(OsStr::new("")));
    sweep(folder, &prefix);
    let temporary = temporary(folder, &prefix, existing.as_ref()).map_err(failed)?;
    // Whoever sweeps sees that it is in use. There are file systems without locks.
    let _ = temporary.as_file().try_lock();
    let mut buffer = BufWriter::new(temporary.as_file());
    write(&mut buffer)?;
    buffer.flush().map_err(failed)?;
    drop(buffer);
    if let Some(existing) = &existing {
        keep_ownership(temporary.as_file(), existing);
    }
    temporary.as_file().sync_all().map_err(failed)?;
    temporary.persist(&target).map_err(|error| failed(error.error))?;
    // The new name, too; there are file systems whose directories cannot be synced.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// The file behind symbolic links, and what is known of it if it is there.
fn resolve(path: &Path) -> Result<(PathBuf, Option<Metadata>)> {
    let mut target = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::symlink_metadata(&target) {
            Ok(metadata) if metadata.is_symlink() => {
                let link = fs::read_link(&target).map_err(|error| Error::io(path, error))?;
                target.pop();
                target.push(link);
            }
            Ok(metadata) if metadata.is_file() => return Ok((target, Some(metadata))),
            Ok(metadata) => return Err(Error::file(path, foreign::irregular(&target, &metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((target, None)),
            Err(error) => return Err(Error::io(path, error)),
        }
    }
    Err(Error::file(path, format!("is a chain of more than {MAX_LINKS} symbolic links")))
}

/// How the names of the temporary files of `name` begin.
fn prefix(name: &OsStr) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(name);
    prefix.push(".");
    prefix
}

/// Removes the temporary files of processes that died.
fn sweep(folder: &Path, prefix: &OsStr) {
    let is_temporary = |name: &OsStr| {
        let name = name.as_encoded_bytes();
        name.starts_with(prefix.as_encoded_bytes()) && name.ends_with(SUFFIX.as_bytes())
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !is_temporary(&entry.file_name()) || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let Ok(file) = File::open(entry.path()) else { continue };
        let modified = file.metadata().and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|modified| modified.elapsed().ok());
        if age.is_some_and(|age| age > ABANDONED) && file.try_lock().is_ok() {
            // Somebody else may have swept it.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A new file in `folder`, which only its owner reads if it is to have the permissions of another one.
#[cfg(unix)]
fn temporary(folder: &Path, prefix: &OsStr, existing: Option<&Metadata>) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    let mode = if existing.is_some() { 0o600 } else { 0o666 };
    let permissions = fs::Permissions::from_mode(mode);
    tempfile::Builder::new().prefix(prefix).suffix(SUFFIX).permissions(permissions).tempfile_in(folder)
}

#[cfg(not(unix))]
fn temporary(folder: &Path, prefix: &OsStr, _: Option<&Metadata>) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(prefix).suffix(SUFFIX).tempfile_in(folder)
}

/// Gives `file` owner, group and permissions of an existing one, where that is allowed.
#[cfg(unix)]
fn keep_ownership(file: &File, existing: &Metadata) {
    use std::os::unix::fs::{MetadataExt, fchown};
    // Of the two the group may be changed by more users. Permissions last: a change of the owner takes some away.
    let _ = fchown(file, None, Some(existing.gid()));
    let _ = fchown(file, Some(existing.uid()), None);
    let _ = file.set_permissions(existing.permissions());
}

#[cfg(not(unix))]
fn keep_ownership(file: &File, existing: &Metadata) {
    let _ = file.set_permissions(existing.permissions());
}
