//! A file that is no safetensors file is called what it is, with what to do about it.

use std::fs;
use std::path::Path;

use qcore::prelude::*;
use qcore::{Converted, ModelSummary};
use tests::networks::Network;

use crate::{converted_network, scratch};

/// The errors of opening `path` as a checkpoint and as a converted model.
#[track_caller]
fn refusals(path: &Path) -> [String; 4] {
    let name = path.file_name().unwrap().to_str().unwrap();
    let texts = [
        StateDict::open(path).unwrap_err().to_string(),
        Converted::<Network>::load(path).unwrap_err().to_string(),
        qcore::Network::load(path).unwrap_err().to_string(),
        ModelSummary::open(path).unwrap_err().to_string(),
    ];
    texts.iter().for_each(|text| assert!(text.contains(name) && text.len() < 600, "{text}"));
    texts
}

#[test]
fn other_formats_are_recognised() {
    let torch_zip = [
        &b"PK\x03\x04\0\0\x08\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\0\x12\0archive/data.pkl"[..],
        &[7; 90],
    ];
    let in_python = "safetensors.torch.save_file(torch.load(\"net.bin\", map_location=\"cpu\", weights_only=True), \
                     \"net.safetensors\")";
    let lfs = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1\nsize 1\n";
    let index =
        r#"{"metadata": {"total_size": 1}, "weight_map": {"fc.weight": "model-00001-of-00002.safetensors"}}"#;
    let mut tar = vec![b'a'; 512];
    tar[257..262].copy_from_slice(b"ustar");
    let cases: [(&[u8], &[&str]); 22] = [
        (&torch_zip.concat(), &["a checkpoint of `torch.save` (a zip archive)", in_python]),
        (
            b"PK\x03\x04 something else, but a zip archive",
            &["zip archive", "If `torch.load` reads it", in_python],
        ),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.", &["a pickle", in_python]),
        (b"\x80\x04\x95\x1a\0\0\0\0\0\0\0}", &["a pickle", in_python]),
        (b"<!DOCTYPE html>\n<html><body>404</body></html>", &["a web page (HTML)", "download"]),
        (b"\xef\xbb\xbf  <HTML lang=\"en\">", &["a web page (HTML)"]),
        (b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", &["XML"]),
        (lfs.as_bytes(), &["Git LFS", "`git lfs pull`", &format!("{} bytes", lfs.len())]),
        (b"\x08\x07\x12\x07pytorch\x1a\x052.8.0:\xff\x01", &["an ONNX model"]),
        (b"GGUF\x03\0\0\0\x23\x01\0\0\0\0\0\0", &["a GGUF file"]),
        (index.as_bytes(), &["the index of a checkpoint in several files", "`StateDict::append`"]),
        (b"[1, 2, 3] is JSON", &["JSON"]),
        (b"\x1c\0\0\0TFL3\x14\0 \0", &["a TensorFlow Lite model"]),
        (b"\x89HDF\r\n\x1a\n\0\0\0\0\0", &["an HDF5 file"]),
        (b"\x93NUMPY\x01\0v\0{'descr'", &["a NumPy array"]),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03", &["gzip", "unpack"]),
        (&tar, &["a tar archive"]),
        (b"a plain note of several words", &["text"]),
        (&[0; 4096], &["zeros", "cut off"]),
        (b"", &["empty"]),
        (b"\x01\x02", &["2 bytes, too few"]),
        (&[0xFE; 300], &["neither that nor another format that is known"]),
    ];
    let (_folder, path) = scratch("net.bin");
    for (bytes, parts) in cases {
        fs::write(&path, bytes).unwrap();
        for text in refusals(&path) {
            assert!(text.contains("is no safetensors file, but "), "{text}");
            parts.iter().for_each(|part| assert!(text.contains(part), "{part}: {text}"));
        }
    }
    // The index by its name, however long it is.
    let (_folder, path) = scratch("model.safetensors.index.json");
    fs::write(&path, format!("{{\"metadata\": {{\"note\": \"{}\"}}}}", "-".repeat(9000))).unwrap();
    assert!(refusals(&path)[0].contains("the index of a checkpoint"));
}

#[test]
fn a_converted_model_and_a_checkpoint_are_told_apart() {
    let (_folder, path) = scratch("model.safetensors");
    converted_network().save(&path).unwrap();
    let text = StateDict::open(&path).unwrap_err().to_string();
    assert!(
        text.contains("a converted model, not a checkpoint") && text.contains("`Converted::load`"),
        "{text}"
    );
    Network::small().state_dict().save(&path).unwrap();
    let text = Converted::<Network>::load(&path).unwrap_err().to_string();
    assert!(text.contains("holds no converted model") && text.contains("`StateDict::open`"), "{text}");
}

#[test]
fn what_is_no_file_is_not_opened() {
    let (folder, path) = scratch("model.safetensors");
    let directory = folder.path().join("resnet");
    fs::create_dir(&directory).unwrap();
    assert!(refusals(&directory)[0].contains("is a directory, not a file"));
    fs::write(directory.join("model.safetensors"), "").unwrap();
    assert!(refusals(&directory)[0].contains("`model.safetensors` is in it"));
    assert!(StateDict::open(&path).unwrap_err().to_string().contains("No such file"));
    if cfg!(unix) {
        // Opening it would wait for a writer.
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(refusals(&pipe)[0].contains("is a named pipe, not a regular file"));
        assert!(refusals(Path::new("/dev/null"))[0].contains("is a device, not a regular file"));
    }
}
