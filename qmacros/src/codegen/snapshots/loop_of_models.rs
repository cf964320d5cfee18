struct Stage {
    layers: Vec<BasicBlock>,
    #[quantizable(skip)]
    fc: Linear,
}

#[quantizable(dump)]
impl Stage {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = max_pool2d(x, 3, 2, (1, 1));
        for block in &self.layers {
            x = relu(block(x) + x);
        }
        self.fc(x.flatten(1))
    }
}
