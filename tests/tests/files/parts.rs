//! A safetensors file taken apart, changed and put together again.

use std::ops::Range;

use serde_json::{Map, Value};

/// The header and the tensors' bytes.
#[derive(Clone)]
pub struct Parts {
    pub header: Map<String, Value>,
    pub data: Vec<u8>,
}

impl Parts {
    pub fn of(bytes: &[u8]) -> Self {
        let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
        let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
        Self { header: serde_json::from_slice(header).unwrap(), data: data.to_vec() }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let header = serde_json::to_vec(&self.header).unwrap();
        [&(header.len() as u64).to_le_bytes()[..], &header, &self.data].concat()
    }

    /// The header that the library wrote: `{"version": .., "model": .., "nodes": [..], ..}`.
    pub fn contents(&self) -> Value {
        serde_json::from_str(self.header["__metadata__"]["qcore"].as_str().unwrap()).unwrap()
    }

    pub fn with_contents(mut self, contents: &Value) -> Self {
        self.header["__metadata__"]["qcore"] = Value::String(contents.to_string());
        self
    }

    /// The names of the tensors.
    pub fn tensors(&self) -> Vec<String> {
        self.header.keys().filter(|key| *key != "__metadata__").cloned().collect()
    }

    /// Where the bytes of a tensor are in the data.
    pub fn range(&self, name: &str) -> Range<usize> {
        let [begin, end] = serde_json::from_value(self.header[name]["data_offsets"].clone()).unwrap();
        begin..end
    }

    /// The same file with a change of the library's header.
    pub fn changed(&self, change: impl FnOnce(&mut Value)) -> Self {
        let mut contents = self.contents();
        change(&mut contents);
        self.clone().with_contents(&contents)
    }
}
