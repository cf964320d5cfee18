struct Steps {
    cell: Cell,
    count: usize,
}

impl Steps {
    fn forward(&self, x: Tensor, h: Tensor) -> Tensor {
        let (y, h, _) = self.cell(x, h);
        let z = blend(y, None, self.count, h);
        z.blend(relu(z), 1)
    }
}
