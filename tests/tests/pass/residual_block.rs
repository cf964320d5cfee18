use qcore::prelude::*;

/// Two 3x3 convolutions and a shortcut.
#[quantizable]
pub struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    downsample: Option<Sequential<(Conv2d, BatchNorm2d)>>,
}

impl BasicBlock {
    fn new(inputs: usize, outputs: usize) -> Self {
        let shortcut = || Sequential((Conv2d::new(inputs, outputs, 1), BatchNorm2d::new(outputs)));
        Self {
            conv1: Conv2d::new(inputs, outputs, 3).padding(1),
            bn1: BatchNorm2d::new(outputs),
            conv2: Conv2d::new(outputs, outputs, 3).padding(1),
            bn2: BatchNorm2d::new(outputs),
            downsample: (inputs != outputs).then(shortcut),
        }
    }
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

#[quantizable]
pub struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    layers: Vec<BasicBlock>,
    #[quantizable(skip)]
    fc: Linear,
}

#[quantizable]
impl ResNet {
    pub fn forward(&self, x: Tensor) -> Tensor {
        let mut x = max_pool2d(relu(self.bn1(self.conv1(x))), 3, 2, 1);
        for block in &self.layers {
            x = block(x);
        }
        let x = adaptive_avg_pool2d(x, (1, 1)).flatten(1);
        self.fc(x)
    }
}

#[test]
fn compiles_and_runs() -> qcore::Result<()> {
    let model = ResNet {
        conv1: Conv2d::new(3, 4, 3).padding(1),
        bn1: BatchNorm2d::new(4),
        layers: vec![BasicBlock::new(4, 4), BasicBlock::new(4, 8)],
        fc: Linear::new(8, 10),
    };
    let x = tests::tensors::noise(&[2, 3, 8, 8], 0);
    assert_eq!(model.forward(&x)?.shape(), [2, 10]);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    prepared.calibrate([&x])?;
    assert_eq!(prepared.convert()?.forward(&x)?.shape(), [2, 10]);
    assert_eq!(BasicBlock::FUSIONS[0], ["conv1", "bn1", "relu"]);
    Ok(())
}
