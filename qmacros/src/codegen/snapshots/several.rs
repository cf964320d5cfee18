struct Bounds {
    cell: Cell,
}

impl Bounds {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let (low, high) = extremes(x);
        let (y, _, state) = self.cell(low);
        (y + high, state)
    }
}
