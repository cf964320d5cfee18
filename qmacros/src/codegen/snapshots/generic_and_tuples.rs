pub struct Pair<B> {
    left: B,
    fc: Linear,
    swap: bool,
}

impl<B> Pair<B> {
    pub fn forward(&self, a: Tensor, b: Tensor) -> (Tensor, Tensor) {
        let (c, d) = self.left(a, b);
        let c = self.fc(c);
        let d = self.fc(d);
        let e = if self.swap { c * 2.0 } else { d };
        (e, dequant(c))
    }
}
