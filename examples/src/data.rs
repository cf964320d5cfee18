//! Pictures and labels from safetensors files.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use qcore::Tensor;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// `(x / 255 - mean) / std` for each channel, for pictures stored as bytes.
#[derive(Clone, Debug)]
pub struct Normalization {
    pub mean: Vec<f32>,
    pub std: Vec<f32>,
}

impl Normalization {
    /// ImageNet's statistics, torchvision's default.
    pub fn imagenet() -> Self {
        Self { mean: vec![0.485, 0.456, 0.406], std: vec![0.229, 0.224, 0.225] }
    }
}

/// Pictures `[N, C, H, W]`, kept as they are stored; batches are made as they are asked for.
#[derive(Debug)]
pub struct Pictures {
    shape: [usize; 4],
    pixels: Pixels,
}

#[derive(Debug)]
enum Pixels {
    Float(Vec<f32>),
    Bytes(Vec<u8>, Normalization),
}

impl Pictures {
    /// Bytes to be normalised.
    pub fn from_bytes(shape: [usize; 4], bytes: Vec<u8>, normalization: Normalization) -> Result<Self> {
        ensure!(
            shape.iter().product::<usize>() == bytes.len(),
            "{} bytes for pictures {shape:?}",
            bytes.len()
        );
        let channels = shape[1];
        ensure!(
            normalization.mean.len() == channels && normalization.std.len() == channels,
            "mean and std must have {channels} entries, one for each channel"
        );
        ensure!(normalization.std.iter().all(|std| *std > 0.0), "std must be positive");
        Ok(Self { shape, pixels: Pixels::Bytes(bytes, normalization) })
    }

    /// The tensor `x` of a file: f32 as it is, u8 to be normalised.
    pub fn open(path: &Path, normalization: &Normalization) -> Result<Self> {
        let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
        let view = tensor(&bytes, path, "x")?;
        let shape: [usize; 4] = view.shape().try_into().map_err(|_| {
            anyhow::anyhow!("{}: `x` has shape {:?}, expected [N, C, H, W]", path.display(), view.shape())
        })?;
        ensure!(
            shape.iter().all(|&extent| extent > 0),
            "{}: `x` has shape {shape:?}, expected no zero extent",
            path.display()
        );
        match view.dtype() {
            Dtype::U8 => Self::from_bytes(shape, view.data().to_vec(), normalization.clone()),
            Dtype::F32 => {
                let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
                Ok(Self { shape, pixels: Pixels::Float(values.collect()) })
            }
            other => bail!("{}: `x` is {other:?}, expected F32 or U8", path.display()),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.shape[0]
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Pictures `range` as a tensor `[n, C, H, W]`.
    pub fn batch(&self, range: std::ops::Range<usize>) -> qcore::Result<Tensor> {
        let [_, channels, height, width] = self.shape;
        let (area, count) = (height * width, range.len());
        let span = range.start * channels * area..range.end * channels * area;
        let values = match &self.pixels {
            Pixels::Float(values) => values[span].to_vec(),
            Pixels::Bytes(bytes, Normalization { mean, std }) => bytes[span]
                .chunks_exact(area)
                .enumerate()
                .flat_map(|(plane, pixels)| {
                    let (mean, std) = (mean[plane % channels], std[plane % channels]);
                    pixels.iter().map(move |&pixel| (f32::from(pixel) / 255.0 - mean) / std)
                })
                .collect(),
        };
        Tensor::from_vec(&[count, channels, height, width], values)
    }

    /// Batches of `size` pictures in order, the last one perhaps smaller.
    pub fn batches(&self, size: usize) -> impl ExactSizeIterator<Item = qcore::Result<Tensor>> + '_ {
        let size = size.max(1);
        (0..self.len().div_ceil(size))
            .map(move |index| self.batch(index * size..((index + 1) * size).min(self.len())))
    }
}

/// The labels `y` `[N]` of a file, any integer type.
pub fn labels(path: &Path) -> Result<Vec<usize>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let view = tensor(&bytes, path, "y")?;
    ensure!(view.shape().len() == 1, "{}: `y` has shape {:?}, expected [N]", path.display(), view.shape());
    let data = view.data();
    let values: Vec<i64> = match view.dtype() {
        Dtype::U8 => data.iter().map(|&label| label.into()).collect(),
        Dtype::I32 => data.as_chunks().0.iter().map(|bytes| i32::from_le_bytes(*bytes).into()).collect(),
        Dtype::I64 => data.as_chunks().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
        other => bail!("{}: `y` is {other:?}, expected U8, I32 or I64", path.display()),
    };
    values
        .into_iter()
        .map(|label| {
            usize::try_from(label).with_context(|| format!("{}: label {label} is negative", path.display()))
        })
        .collect()
}

fn tensor<'a>(bytes: &'a [u8], path: &Path, name: &str) -> Result<TensorView<'a>> {
    let file = SafeTensors::deserialize(bytes)
        .with_context(|| format!("{} is not a complete safetensors file", path.display()))?;
    file.tensor(name).with_context(|| {
        let names = file.names().join(", ");
        format!("{} has no tensor `{name}`; it has {names}", path.display())
    })
}
