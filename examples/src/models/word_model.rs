//! A language model of words: for each word of a text, how likely each word is to follow it.

use qcore::prelude::*;

/// A table of words, a recurrent network, and a decoder back to words.
#[quantizable]
pub struct WordModel {
    embedding: Embedding,
    lstm: LSTM,
    decoder: Linear,
}

#[quantizable]
impl WordModel {
    /// For so many different words.
    pub fn new(words: usize, width: usize, layers: usize) -> Self {
        Self {
            embedding: Embedding::new(words, width),
            lstm: LSTM::new(width, width).num_layers(layers).batch_first(true),
            decoder: Linear::new(width, words),
        }
    }

    /// The words' ids `[N, length]` to logits `[N, length, words]`.
    pub fn forward(&self, ids: Tensor) -> Tensor {
        let (y, _) = self.lstm(self.embedding(ids));
        self.decoder(y)
    }
}
