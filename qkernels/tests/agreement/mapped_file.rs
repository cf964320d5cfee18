//! Mapped files.

use std::fs;

use qkernels::mapped_file::MappedFile;

#[test]
fn a_mapped_file_is_its_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights");
    fs::write(&path, b"some bytes").unwrap();
    assert_eq!(&*MappedFile::open(&path).unwrap(), b"some bytes");
}

#[test]
fn an_empty_file_is_an_empty_slice() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("empty");
    fs::write(&path, b"").unwrap();
    assert!(MappedFile::open(&path).unwrap().is_empty());
    assert!(MappedFile::open(&directory.path().join("missing")).is_err());
}
