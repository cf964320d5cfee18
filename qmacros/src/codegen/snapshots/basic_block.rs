/// Two 3x3 convolutions and a shortcut.
#[quantizable]
pub struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    downsample: Option<Sequential<(Conv2d, BatchNorm2d)>>,
}

#[quantizable]
impl BasicBlock {
    /// Runs the block.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.bn1(self.conv1(x)));
        let y = self.bn2(self.conv2(y));
        let identity = match &self.downsample {
            Some(downsample) => downsample(x),
            None => x,
        };
        relu(y + identity)
    }
}
