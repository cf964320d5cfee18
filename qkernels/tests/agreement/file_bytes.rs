//! Files in memory: read or mapped, the same bytes.

use std::fs::{self, File};
use std::sync::Arc;

use qkernels::file_bytes::{FileBytes, SharedBytes};

#[test]
fn read_or_mapped_the_bytes_are_the_files_and_begin_aligned() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights");
    for len in [0, 1, 4095, 4096, 4097, 100_001, (8 << 20) + 3, 13 << 20] {
        let expected: Vec<u8> = (0..len).map(|index: u32| index as u8).collect();
        fs::write(&path, &expected).unwrap();
        for open in [FileBytes::read, FileBytes::map] {
            let bytes = open(&File::open(&path).unwrap()).unwrap();
            assert_eq!(*bytes, *expected);
            assert!(bytes.is_empty() || bytes.as_ptr().align_offset(64) == 0);
        }
    }
}

#[test]
fn a_part_keeps_the_bytes_and_ends_where_the_file_does() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("weights");
    fs::write(&path, b"some bytes").unwrap();
    let bytes = Arc::new(FileBytes::read(&File::open(&path).unwrap()).unwrap());
    let part = SharedBytes::new(Arc::clone(&bytes), 5..10).unwrap();
    assert!(SharedBytes::new(bytes, 5..11).is_none());
    let [first, rest] = part.split_at(2).unwrap();
    assert!(part.split_at(6).is_none());
    assert_eq!((&*part, &*first, &*rest), (&b"bytes"[..], &b"by"[..], &b"tes"[..]));
}
