//! What a file is that is no safetensors file, and what to do about it.

use std::fs::{self, Metadata};
use std::path::Path;

/// The bytes from which a file is recognised.
pub(super) const BEGINNING: u64 = 4096;

/// Files that begin with these bytes, and what they are.
const MAGIC: [(&[u8], &str); 11] = [
    (b"GGUF", "a GGUF file, the weights of llama.cpp"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes it"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x1f\x8b", "compressed by gzip: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "compressed by zstd: unpack it first"),
    (b"\xfd7zXZ\0", "compressed by xz: unpack it first"),
    (b"BZh", "compressed by bzip2: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (b"\x7fELF", "a program or library (ELF)"),
    (b"%PDF-", "a PDF document"),
    (b"\0\0\0\0\0\0\0\0", "zeros at its beginning, as after a copy or a download that was cut off"),
];

/// Says what a file of `len` bytes is that begins with `beginning`, and no file of the `expected` format.
pub(super) fn describe(expected: &str, path: &Path, len: u64, beginning: &[u8]) -> String {
    let what = match recognise(path, len, beginning) {
        Some(what) => what,
        None if len < 10 => format!("{len} bytes, too few for a header"),
        None => "neither that nor another format that is known here".to_owned(),
    };
    format!("is no {expected} file, but {what}")
}

fn recognise(path: &Path, len: u64, beginning: &[u8]) -> Option<String> {
    let starts_with = |magic: &[u8]| beginning.starts_with(magic);
    if beginning.is_empty() {
        return Some("empty".into());
    }
    if starts_with(b"PK\x03\x04") {
        // The first entry of such an archive is `archive/data.pkl`.
        let is_pytorch = find(&beginning[..beginning.len().min(256)], b"data.pkl").is_some();
        let kind = if is_pytorch { "a checkpoint of `torch.save` (a zip archive)" } else { "a zip archive" };
        return Some(match is_pytorch {
            true => format!("{kind}. {}", in_python(path)),
            false => format!("{kind}. If `torch.load` reads it: {}", in_python(path)),
        });
    }
    if matches!(beginning, [0x80, 2..=5, ..]) {
        return Some(format!("a pickle, as `torch.save` wrote it before PyTorch 1.6. {}", in_python(path)));
    }
    if starts_with(b"version https://git-lfs.github.com/spec/") {
        return Some(format!(
            "the pointer of Git LFS to it ({len} bytes): fetch the file with `git lfs pull`"
        ));
    }
    if let Some((_, what)) = MAGIC.iter().find(|(magic, _)| starts_with(magic)) {
        return Some((*what).into());
    }
    if beginning.get(4..8) == Some(b"TFL3") {
        return Some("a TensorFlow Lite model".into());
    }
    if beginning.get(257..262) == Some(b"ustar") {
        return Some("a tar archive: unpack it first".into());
    }
    if is_onnx(path, beginning) {
        return Some("an ONNX model; save the PyTorch model that it was exported from".into());
    }
    text(path, beginning)
}

/// Protobuf's field 1, ONNX's `ir_version`, then one of the fields that exporters write next.
fn is_onnx(path: &Path, beginning: &[u8]) -> bool {
    let is_named_so = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"));
    matches!(beginning, [0x08, 1..=32, field, ..] if is_named_so || matches!(field, 0x12 | 0x1A | 0x3A | 0x42))
}

fn text(path: &Path, beginning: &[u8]) -> Option<String> {
    let text = match std::str::from_utf8(beginning) {
        Ok(text) => text,
        // The last character may be cut off.
        Err(error) if error.valid_up_to() + 4 > beginning.len() => {
            std::str::from_utf8(&beginning[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let text = text.trim_start_matches('\u{FEFF}').trim_start();
    let lower: String = text.chars().take(32).collect::<String>().to_ascii_lowercase();
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        return Some("a web page (HTML): the download gave a page in place of the file".into());
    }
    if lower.starts_with('<') {
        return Some("XML, perhaps the error of a download".into());
    }
    if text.starts_with('{') || text.starts_with('[') {
        let is_index = text.contains("\"weight_map\"")
            || path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".index.json"));
        return Some(match is_index {
            true => {
                "the index of a checkpoint in several files: open each of the files that it names, and join \
                     them with `StateDict::append`"
                    .into()
            }
            false => "JSON".into(),
        });
    }
    let is_text = !text.is_empty() && text.chars().all(|c| !c.is_control() || c.is_whitespace());
    is_text.then(|| "text".into())
}

/// The line of Python that makes a safetensors file of a checkpoint.
fn in_python(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
    let to = Path::new(&*name).with_extension("safetensors");
    format!(
        "In Python: `import torch, safetensors.torch; safetensors.torch.save_file(torch.load({name:?}, \
         map_location=\"cpu\", weights_only=True), {:?})`",
        to.display().to_string()
    )
}

/// Says what `path` is that is no regular file.
pub(super) fn irregular(path: &Path, metadata: &Metadata) -> String {
    if metadata.is_dir() {
        return match safetensors_in(path).as_slice() {
            [] => "is a directory, not a file".into(),
            [only] => format!("is a directory, not a file; `{only}` is in it"),
            [first, ..] => format!("is a directory, not a file; `{first}` and others are in it"),
        };
    }
    format!("is {}, not a regular file", special(metadata))
}

/// The names of the safetensors files in a directory.
fn safetensors_in(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".safetensors")).collect();
    names.sort_unstable();
    names
}

#[cfg(unix)]
fn special(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    match () {
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_char_device() || kind.is_block_device() => "a device",
        () => "something else",
    }
}

#[cfg(not(unix))]
fn special(_: &Metadata) -> &'static str {
    "something else"
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
