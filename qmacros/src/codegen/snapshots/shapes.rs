struct Shuffle {
    groups: usize,
}

impl Shuffle {
    fn forward(&self, x: Tensor) -> Tensor {
        let (a, b) = x.chunk(2, 1);
        let y = cat([b, a], 1);
        let y = y.reshape((x.size(0), self.groups, -1));
        y.permute((0, 2, 1))
    }
}
