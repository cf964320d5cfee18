//! An encoder of sequences: self-attention and a feed-forward network, each with a residual and a norm (Vaswani et al. 2017),
//! as BERT has them.

use qcore::prelude::*;

/// Scaled dot-product attention of a sequence to itself, in several heads.
#[quantizable]
#[derive(Debug)]
pub struct Attention {
    heads: usize,
    head_width: usize,
    scale: f32,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
}

#[quantizable]
impl Attention {
    fn new(width: usize, heads: usize) -> Self {
        let head_width = width / heads;
        let linear = || Linear::new(width, width);
        Self {
            heads,
            head_width,
            scale: (head_width as f32).powf(-0.5),
            query: linear(),
            key: linear(),
            value: linear(),
            output: linear(),
        }
    }

    /// `[N, length, width]` to the same.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let (n, length, width) = x.shape();
        let q = self.query(x).view((n, length, self.heads, self.head_width)).transpose(1, 2);
        let k = self.key(x).view((n, length, self.heads, self.head_width)).transpose(1, 2);
        let v = self.value(x).view((n, length, self.heads, self.head_width)).transpose(1, 2);
        let scores = matmul(q, k.transpose(-2, -1)) * self.scale;
        let y = matmul(softmax(scores, -1), v);
        self.output(y.transpose(1, 2).reshape((n, length, width)))
    }
}

/// Attention, then two linear layers with a GELU between them.
#[quantizable]
#[derive(Debug)]
pub struct EncoderLayer {
    attention: Attention,
    norm1: LayerNorm,
    up: Linear,
    down: Linear,
    norm2: LayerNorm,
}

#[quantizable]
impl EncoderLayer {
    fn new(width: usize, heads: usize, hidden: usize) -> Self {
        Self {
            attention: Attention::new(width, heads),
            norm1: LayerNorm::new([width]),
            up: Linear::new(width, hidden),
            down: Linear::new(hidden, width),
            norm2: LayerNorm::new([width]),
        }
    }

    /// `[N, length, width]` to the same.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let x = self.norm1(x + self.attention(x));
        self.norm2(x + self.down(gelu(self.up(x))))
    }
}

/// Layers of one width.
#[quantizable]
pub struct Encoder {
    layers: Vec<EncoderLayer>,
}

#[quantizable]
impl Encoder {
    /// `heads` must divide `width`.
    pub fn new(layers: usize, width: usize, heads: usize, hidden: usize) -> Self {
        Self { layers: (0..layers).map(|_| EncoderLayer::new(width, heads, hidden)).collect() }
    }

    /// `[N, length, width]` to the same.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let mut x = x;
        for layer in &self.layers {
            x = layer(x);
        }
        x
    }
}
