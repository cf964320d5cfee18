//! What is drawn: kinds of operations, and their sizes.

use std::fmt;

use clap::ValueEnum;
use qkernels::geometry::{
    AdaptivePool2dGeometry, Conv2dGeometry, Conv2dParameters, Pool2dGeometry, Pool2dParameters,
};
use rand::RngExt;
use rand::rngs::StdRng;

/// Products of one call, at most: larger ones would take the time of many others.
const MAX_PRODUCTS: u64 = 12_000_000;

/// Elements of an image, at most.
const MAX_ELEMENTS: usize = 600_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    MaxPool,
    AveragePool,
    AdaptiveAveragePool,
    Mean,
    BatchNorm,
    Cat,
    Add,
    AddSame,
    Mul,
    Convolution,
    Pointwise,
    Depthwise,
    DepthwiseMultiplier,
    Grouped,
    Linear,
}

impl Kind {
    pub const ALL: [Self; 15] = [
        Self::MaxPool,
        Self::AveragePool,
        Self::AdaptiveAveragePool,
        Self::Mean,
        Self::BatchNorm,
        Self::Cat,
        Self::Add,
        Self::AddSame,
        Self::Mul,
        Self::Convolution,
        Self::Pointwise,
        Self::Depthwise,
        Self::DepthwiseMultiplier,
        Self::Grouped,
        Self::Linear,
    ];

    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    pub fn draw(self, random: &mut StdRng) -> Geometry {
        // What is too large or does not fit together is drawn again.
        loop {
            if let Some(geometry) = self.try_draw(random) {
                return geometry;
            }
        }
    }

    fn try_draw(self, random: &mut StdRng) -> Option<Geometry> {
        let image = Image::draw(random);
        Some(match self {
            Self::MaxPool => Geometry::MaxPool(pool(&image, true, random)?),
            Self::AveragePool => Geometry::AveragePool(pool(&image, false, random)?),
            Self::AdaptiveAveragePool => {
                let output = image.size.map(|size| random.random_range(1..=size.min(14)));
                let geometry = AdaptivePool2dGeometry::new(image.batch, image.channels, image.size, output);
                Geometry::AdaptiveAveragePool(geometry.ok()?)
            }
            Self::Mean => Geometry::Mean(image),
            Self::BatchNorm => Geometry::BatchNorm(image),
            Self::Cat => {
                let others = (0..random.random_range(1..=3)).map(|_| channels(random));
                let channels = std::iter::once(image.channels).chain(others).collect();
                Geometry::Cat { image, channels, is_one_scale: random.random_bool(0.7) }
            }
            Self::Add => Geometry::Add(image),
            Self::AddSame => Geometry::AddSame(image),
            Self::Mul => Geometry::Mul(image),
            Self::Convolution => {
                let kernel = kernel(random);
                convolution(&image, channels(random), kernel, 1, random)?
            }
            Self::Pointwise => convolution(&image, channels(random), [1, 1], 1, random)?,
            Self::Depthwise => {
                let kernel = kernel(random);
                convolution(&image, image.channels, kernel, image.channels, random)?
            }
            Self::DepthwiseMultiplier => {
                let multiplier = random.random_range(2..=4);
                let kernel = kernel(random);
                convolution(&image, multiplier * image.channels, kernel, image.channels, random)?
            }
            Self::Grouped => {
                let groups = [2, 3, 4, 8, 16, 32, 64][random.random_range(0..7)];
                let [inputs, outputs] = [(); 2].map(|()| groups * random.random_range(2..=8));
                let kernel = [[1, 1], [3, 3], [3, 3], kernel(random)][random.random_range(0..4)];
                convolution(&Image { channels: inputs, ..image }, outputs, kernel, groups, random)?
            }
            Self::Linear => {
                let rows = [1, 1, 4, 16, 64, 200][random.random_range(0..6)];
                let inputs = [channels(random), random.random_range(1..=4096)][random.random_range(0..2)];
                let outputs = [1, channels(random), random.random_range(1..=1000)][random.random_range(0..3)];
                if rows * inputs * outputs > MAX_PRODUCTS as usize {
                    return None;
                }
                Geometry::Linear { rows, inputs, outputs }
            }
        })
    }
}

#[derive(Clone, Copy)]
pub struct Image {
    pub batch: usize,
    pub channels: usize,
    /// Height and width.
    pub size: [usize; 2],
}

impl Image {
    fn draw(random: &mut StdRng) -> Self {
        loop {
            let size = match random.random_range(0..4) {
                0 => [random.random_range(1..=224); 2],
                1 => [(); 2].map(|()| random.random_range(1..=224)),
                2 => [[7, 14, 28, 56, 112, 224][random.random_range(0..6)]; 2],
                _ => [(); 2].map(|()| random.random_range(1..=32)),
            };
            let batch = [1, 1, 1, 2, 8][random.random_range(0..5)];
            let image = Self { batch, channels: channels(random), size };
            if image.len() <= MAX_ELEMENTS {
                return image;
            }
        }
    }

    pub fn pixels(&self) -> usize {
        self.batch * self.size[0] * self.size[1]
    }

    pub fn len(&self) -> usize {
        self.pixels() * self.channels
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, channels, size: [height, width] } = self;
        write!(f, "{batch}x{channels}x{height}x{width}")
    }
}

pub enum Geometry {
    MaxPool(Pool2dGeometry),
    AveragePool(Pool2dGeometry),
    AdaptiveAveragePool(AdaptivePool2dGeometry),
    Mean(Image),
    BatchNorm(Image),
    /// The channels of each image.
    Cat {
        image: Image,
        channels: Vec<usize>,
        is_one_scale: bool,
    },
    Add(Image),
    AddSame(Image),
    Mul(Image),
    Convolution(Conv2dGeometry),
    Linear {
        rows: usize,
        inputs: usize,
        outputs: usize,
    },
}

/// 1 to 65; as often few or next to a power of two as any.
fn channels(random: &mut StdRng) -> usize {
    match random.random_range(0..3) {
        0 => random.random_range(1..=65),
        1 => random.random_range(1..=8),
        _ => [3, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65][random.random_range(0..13)],
    }
}

fn kernel(random: &mut StdRng) -> [usize; 2] {
    match random.random_range(0..6) {
        0..2 => [3, 3],
        2 => [5, 5],
        3 => [random.random_range(1..=31); 2],
        4 => [1, random.random_range(2..=9)],
        _ => [random.random_range(1..=9), random.random_range(1..=4)],
    }
}

fn stride(random: &mut StdRng) -> usize {
    [1, 1, 1, 2, 2, 3][random.random_range(0..6)]
}

fn pool(image: &Image, may_be_dilated: bool, random: &mut StdRng) -> Option<Pool2dGeometry> {
    let kernel = match random.random_range(0..4) {
        0 => [2; 2],
        1 => [3; 2],
        2 => [random.random_range(1..=31); 2],
        _ => kernel(random),
    };
    let stride = [[stride(random); 2], kernel][random.random_range(0..2)];
    let dilation = if may_be_dilated && random.random_bool(0.1) { 2 } else { 1 };
    let geometry = Pool2dGeometry::new(Pool2dParameters {
        batch: image.batch,
        channels: image.channels,
        height: image.size[0],
        width: image.size[1],
        kernel,
        stride,
        padding: if random.random_bool(0.5) { kernel.map(|kernel| kernel / 2) } else { [0; 2] },
        dilation: [dilation; 2],
        ceil_mode: random.random_bool(0.2),
    });
    let products = |geometry: &Pool2dGeometry| (geometry.output_len() * kernel[0] * kernel[1]) as u64;
    geometry.ok().filter(|geometry| products(geometry) <= MAX_PRODUCTS)
}

fn convolution(
    image: &Image,
    out_channels: usize,
    kernel: [usize; 2],
    groups: usize,
    random: &mut StdRng,
) -> Option<Geometry> {
    let dilation = if random.random_bool(0.15) { random.random_range(2..=3) } else { 1 };
    let geometry = Conv2dGeometry::new(Conv2dParameters {
        batch: image.batch,
        in_channels: image.channels,
        height: image.size[0],
        width: image.size[1],
        out_channels,
        kernel,
        stride: [stride(random); 2],
        padding: if random.random_bool(0.7) { kernel.map(|kernel| kernel / 2 * dilation) } else { [0; 2] },
        dilation: [dilation; 2],
        groups,
    })
    .ok()?;
    let fits = geometry.multiply_accumulates() <= MAX_PRODUCTS && geometry.output_len() <= MAX_ELEMENTS;
    fits.then_some(Geometry::Convolution(geometry))
}

impl fmt::Display for Geometry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MaxPool(g) | Self::AveragePool(g) => {
                let Pool2dParameters { batch, channels, height, width, .. } = **g;
                write!(f, "{batch}x{channels}x{height}x{width}, {}", pair(g.kernel))?;
                write!(f, ", stride {}, padding {}", pair(g.stride), pair(g.padding))?;
                if g.dilation != [1, 1] { write!(f, ", dilation {}", pair(g.dilation)) } else { Ok(()) }
            }
            Self::AdaptiveAveragePool(g) => {
                write!(f, "{}x{}x{} to {}", g.batch(), g.channels(), pair(g.input()), pair(g.output()))
            }
            Self::Mean(image)
            | Self::BatchNorm(image)
            | Self::Add(image)
            | Self::AddSame(image)
            | Self::Mul(image) => {
                write!(f, "{image}")
            }
            Self::Cat { image: Image { batch, size, .. }, channels, is_one_scale } => {
                write!(f, "{batch}x{channels:?}x{}", pair(*size))?;
                if *is_one_scale { Ok(()) } else { write!(f, ", two scales") }
            }
            Self::Convolution(g) => {
                let Conv2dParameters { batch, in_channels, height, width, out_channels, groups, .. } = **g;
                write!(f, "{batch}x{in_channels}x{height}x{width} to {out_channels}, {}", pair(g.kernel))?;
                write!(f, ", stride {}, padding {}", pair(g.stride), pair(g.padding))?;
                if groups > 1 {
                    write!(f, ", {groups} groups")?;
                }
                if g.dilation != [1, 1] { write!(f, ", dilation {}", pair(g.dilation)) } else { Ok(()) }
            }
            Self::Linear { rows, inputs, outputs } => write!(f, "{rows}x{inputs} to {outputs}"),
        }
    }
}

fn pair([height, width]: [usize; 2]) -> String {
    format!("{height}x{width}")
}
