//! The header of a safetensors file: what tensors there are, and where.
//!
//! It is read into less memory than it takes as text, whoever wrote it.

use std::collections::BTreeMap;
use std::fmt;

use safetensors::Dtype;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The least that a tensor takes in a header: `"a":{"dtype":"I8","shape":[],"data_offsets":[0,0]},`.
const SHORTEST_ENTRY: usize = 50;
/// The most axes of a tensor that is read.
const MAX_AXES: usize = 16;
/// The member of the header that is no tensor.
const METADATA: &str = "__metadata__";

/// The header of a safetensors file.
#[derive(Debug)]
pub(crate) struct TensorHeader {
    /// The program that wrote the file, `pt` or `qcore`.
    pub(crate) format: Option<Box<str>>,
    /// The version of that program's format.
    pub(crate) version: Option<Box<str>>,
    /// In the order of their names.
    tensors: Vec<TensorInfo>,
    /// The length of all tensors.
    pub(crate) data_len: u64,
}

/// One tensor of a file.
#[derive(Debug)]
pub(crate) struct TensorInfo {
    pub(crate) name: Box<str>,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Box<[usize]>,
    /// Where its bytes are, from the end of the header.
    pub(crate) begin: u64,
    pub(crate) end: u64,
}

impl TensorHeader {
    /// Reads a header, and checks that its tensors lie one behind the other.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let mut header = Self {
            format: None,
            version: None,
            tensors: Vec::with_capacity(tensor_count(text)),
            data_len: 0,
        };
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        deserializer
            .deserialize_map(HeaderVisitor(&mut header))
            .and_then(|()| deserializer.end())
            .map_err(|error| format!("its header is broken: {error}"))?;
        header.check_places()?;
        let tensors = &mut header.tensors;
        tensors.sort_unstable_by(|left, right| left.name.cmp(&right.name));
        match tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => Err(format!("the tensor `{}` is there twice", pair[0].name)),
            None => Ok(header),
        }
    }

    /// Checks that each tensor has as many bytes as its shape says, directly behind those of another.
    fn check_places(&mut self) -> Result<(), String> {
        self.tensors.sort_unstable_by_key(|info| (info.begin, info.end));
        for info in &self.tensors {
            let TensorInfo { name, dtype, shape, begin, end } = info;
            let elements = shape.iter().try_fold(1_u64, |len, &extent| len.checked_mul(extent as u64));
            let bits = elements.and_then(|len| len.checked_mul(dtype.bitsize() as u64));
            let Some(len) = bits.filter(|bits| bits % 8 == 0).map(|bits| bits / 8) else {
                return Err(format!("the tensor `{name}` of {dtype:?} has the shape {shape:?}"));
            };
            if *begin != self.data_len || begin.checked_add(len) != Some(*end) {
                return Err(format!(
                    "the tensor `{name}` of shape {shape:?} and {dtype:?}, which takes {len} bytes, is said to lie at \
                     {begin}..{end}, where the one before it ends at {}",
                    self.data_len
                ));
            }
            self.data_len = *end;
        }
        Ok(())
    }

    /// In the order of their names.
    pub(crate) fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// The index of the tensor `name`.
    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.tensors.binary_search_by(|info| (*info.name).cmp(name)).ok()
    }
}

/// As many tensors as there are at most. A string has no quotes but with a backslash before.
fn tensor_count(text: &[u8]) -> usize {
    const DTYPE: &[u8] = b"\"dtype\":";
    let dtypes = text.windows(DTYPE.len()).filter(|window| *window == DTYPE).count();
    dtypes.min(text.len() / SHORTEST_ENTRY + 1)
}

struct HeaderVisitor<'a>(&'a mut TensorHeader);

impl<'de> Visitor<'de> for HeaderVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut has_metadata = false;
        while let Some(name) = map.next_key_seed(Name)? {
            if *name == *METADATA {
                if std::mem::replace(&mut has_metadata, true) {
                    return Err(A::Error::duplicate_field(METADATA));
                }
                map.next_value_seed(Metadata(self.0))?;
                continue;
            }
            let Entry { dtype, shape: Shape(shape), data_offsets: (begin, end) } = map.next_value()?;
            self.0.tensors.push(TensorInfo { name, dtype, shape, begin, end });
        }
        Ok(())
    }
}

/// A string of exactly its length.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Box<str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Box<str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Box<str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Box<str>, E> {
        Ok(text.into())
    }
}

/// The strings about the file, of which two are of interest.
struct Metadata<'a>(&'a mut TensorHeader);

impl<'de> DeserializeSeed<'de> for Metadata<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Name)? {
            let value = match &*key {
                "format" => &mut self.0.format,
                "version" => &mut self.0.version,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            if value.replace(map.next_value_seed(Name)?).is_some() {
                return Err(A::Error::custom(format!("`{key}` is there twice")));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: Dtype,
    shape: Shape,
    data_offsets: (u64, u64),
}

struct Shape(Box<[usize]>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ShapeVisitor)
    }
}

struct ShapeVisitor;

impl<'de> Visitor<'de> for ShapeVisitor {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a shape of at most {MAX_AXES} axes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Shape, A::Error> {
        let (mut extents, mut axes) = ([0; MAX_AXES], 0);
        while let Some(extent) = seq.next_element()? {
            let next = extents.get_mut(axes).ok_or_else(|| A::Error::invalid_length(axes + 1, &self))?;
            (*next, axes) = (extent, axes + 1);
        }
        Ok(Shape(extents[..axes].into()))
    }
}

/// A tensor that is to be written.
pub(crate) struct TensorEntry<'a> {
    pub(crate) name: &'a str,
    pub(crate) dtype: Dtype,
    pub(crate) shape: &'a [usize],
}

/// The header of a file with these tensors, one behind the other, and its length in front: spaces fill it up, so that
/// the tensors begin at a multiple of `alignment`.
pub(crate) fn write_header(
    metadata: &[(&str, &str)],
    tensors: &[TensorEntry<'_>],
    alignment: usize,
) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Written<'a> {
        dtype: Dtype,
        shape: &'a [usize],
        data_offsets: (usize, usize),
    }
    let mut bytes = vec![0; size_of::<u64>()];
    bytes.push(b'{');
    serde_json::to_writer(&mut bytes, METADATA)?;
    bytes.push(b':');
    serde_json::to_writer(&mut bytes, &metadata.iter().copied().collect::<BTreeMap<_, _>>())?;
    let mut begin = 0;
    for &TensorEntry { name, dtype, shape } in tensors {
        let end = begin + shape.iter().product::<usize>() * dtype.bitsize() / 8;
        bytes.push(b',');
        serde_json::to_writer(&mut bytes, name)?;
        bytes.push(b':');
        serde_json::to_writer(&mut bytes, &Written { dtype, shape, data_offsets: (begin, end) })?;
        begin = end;
    }
    bytes.push(b'}');
    bytes.resize(bytes.len().next_multiple_of(alignment), b' ');
    let len = (bytes.len() - size_of::<u64>()) as u64;
    bytes[..size_of::<u64>()].copy_from_slice(&len.to_le_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TensorHeader, String> {
        TensorHeader::parse(text.as_bytes())
    }

    #[test]
    fn a_header_comes_back_and_the_tensors_behind_it_are_aligned() {
        let tensors = [
            TensorEntry { name: "b\"\u{1F426}", dtype: Dtype::F32, shape: &[2, 3] },
            TensorEntry { name: "a", dtype: Dtype::I8, shape: &[] },
        ];
        let bytes = write_header(&[("format", "pt"), ("other", "\n")], &tensors, 64).unwrap();
        assert_eq!(bytes.len() % 64, 0);
        assert_eq!(bytes.first_chunk(), Some(&(bytes.len() as u64 - 8).to_le_bytes()));
        let header = TensorHeader::parse(&bytes[8..]).unwrap();
        assert_eq!(
            (header.format.as_deref(), header.version.as_deref(), header.data_len),
            (Some("pt"), None, 25)
        );
        let info = &header.tensors[header.find("b\"\u{1F426}").unwrap()];
        assert_eq!((info.dtype, &*info.shape, info.begin, info.end), (Dtype::F32, &[2, 3][..], 0, 24));
        assert_eq!(header.tensors[header.find("a").unwrap()].begin, 24);
        assert!(header.find("b").is_none());
    }

    #[test]
    fn what_is_wrong_with_a_header_is_said() {
        let tensor = r#""t":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}"#;
        assert_eq!(parse(&format!("{{{tensor}}}  ")).unwrap().data_len, 2);
        let elsewhere = tensor.replace("[0,2]", "[2,4]");
        let cases = [
            (format!("{{{tensor},{elsewhere}}}"), "`t` is there twice"),
            (format!("{{{elsewhere}}}"), "ends at 0"),
            (format!("{{{}}}", tensor.replace("[2]", "[3]")), "takes 3 bytes"),
            (format!("{{{}}}", tensor.replace("[0,2]", "[2,0]")), "2..0"),
            (format!("{{{}}}", tensor.replace("[2]", "[4294967296,4294967296]")), "has the shape"),
            (format!("{{{}}}", tensor.replace("[2]", "[2,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]")), "16 axes"),
            (format!("{{{}}}", tensor.replace("\"shape\"", "\"strides\":[1],\"shape\"")), "`strides`"),
            (format!("{{{}}}", tensor.replace("U8", "F4").replace("[2]", "[3]")), "has the shape [3]"),
            (format!("{{{tensor}}}x"), "trailing characters"),
            (r#"{"__metadata__":{"format":"a","format":"b"}}"#.to_owned(), "`format` is there twice"),
            (r#"{"__metadata__":{},"__metadata__":{}}"#.to_owned(), "duplicate field `__metadata__`"),
        ];
        for (text, expected) in cases {
            let message = parse(&text).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}
