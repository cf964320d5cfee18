use qcore::prelude::*;

#[quantizable]
struct Net {
    rnn: LSTM,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        self.rnn(x)
    }
}

fn main() {}
