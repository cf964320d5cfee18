//! A safetensors file taken apart, changed and put together again, with checksums as the format defines them.

use std::ops::Range;

use serde_json::{Map, Value};

/// The description of the network, a tensor of bytes.
pub const GRAPH: &str = "__graph__";
/// The checksums of the header and the tensors.
pub const CHECKSUMS: &str = "__checksums__";

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

    /// With the checksums that the file had.
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = serde_json::to_vec(&self.header).unwrap();
        [&(header.len() as u64).to_le_bytes()[..], &header, &self.data].concat()
    }

    /// With checksums that fit, as a writer with bad intentions would give it.
    pub fn to_signed_bytes(&self) -> Vec<u8> {
        let mut parts = self.clone();
        let header = serde_json::to_vec(&parts.header).unwrap();
        let header = [&(header.len() as u64).to_le_bytes()[..], &header].concat();
        let mut others: Vec<Range<usize>> =
            parts.tensors().iter().filter(|name| *name != CHECKSUMS).map(|name| parts.range(name)).collect();
        others.sort_by_key(|range| (range.start, range.end));
        let sums: Vec<u8> = std::iter::once(checksum(&header))
            .chain(others.into_iter().map(|range| checksum(parts.data.get(range).unwrap_or_default())))
            .flat_map(u64::to_le_bytes)
            .collect();
        let own = parts.range(CHECKSUMS);
        if let Some(own) = parts.data.get_mut(own).filter(|own| own.len() == sums.len()) {
            own.copy_from_slice(&sums);
        }
        [&header[..], &parts.data].concat()
    }

    /// The description of the network: `{"model": .., "nodes": [..], ..}`.
    pub fn contents(&self) -> Value {
        serde_json::from_slice(&self.data[self.range(GRAPH)]).unwrap()
    }

    pub fn with_contents(self, contents: &Value) -> Self {
        self.with_text(contents.to_string().as_bytes())
    }

    /// With other bytes as the description of the network; what comes behind it, which is of bytes too, moves.
    pub fn with_text(mut self, text: &[u8]) -> Self {
        let range = self.range(GRAPH);
        for name in self.tensors() {
            let Range { start, end } = self.range(&name);
            if start >= range.end {
                let moved = [start, end].map(|offset| offset - range.len() + text.len());
                self.header[&name]["data_offsets"] = moved.to_vec().into();
            }
        }
        self.header[GRAPH]["shape"] = vec![text.len()].into();
        self.header[GRAPH]["data_offsets"] = vec![range.start, range.start + text.len()].into();
        self.data.splice(range, text.iter().copied());
        self
    }

    /// The names of the tensors.
    pub fn tensors(&self) -> Vec<String> {
        self.header.keys().filter(|key| *key != "__metadata__").cloned().collect()
    }

    /// The names of the weights.
    pub fn weights(&self) -> Vec<String> {
        self.tensors().into_iter().filter(|name| name != GRAPH && name != CHECKSUMS).collect()
    }

    /// Where the bytes of a tensor are in the data.
    pub fn range(&self, name: &str) -> Range<usize> {
        let [begin, end] = serde_json::from_value(self.header[name]["data_offsets"].clone()).unwrap();
        begin..end
    }

    /// The same file with a change of the description of the network.
    pub fn changed(&self, change: impl FnOnce(&mut Value)) -> Self {
        let mut contents = self.contents();
        change(&mut contents);
        self.clone().with_contents(&contents)
    }
}

/// The checksum of the format, word by word.
pub fn checksum(bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
    let whole = bytes.len() / 32 * 32;
    let mut chains = [1, 2, 3, 4];
    for (index, word) in bytes[..whole].chunks(8).enumerate() {
        let word = u64::from_le_bytes(word.try_into().unwrap());
        chains[index % 4] = (chains[index % 4] ^ word).wrapping_mul(FACTOR);
    }
    let mut sum = bytes.len() as u64;
    for &byte in &bytes[whole..] {
        sum = (sum ^ u64::from(byte)).wrapping_mul(FACTOR);
    }
    for chain in chains {
        sum = (sum ^ chain).wrapping_mul(FACTOR).rotate_left(29);
    }
    sum
}
