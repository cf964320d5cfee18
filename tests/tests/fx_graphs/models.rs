//! The small models of `fx_graphs.json` that this stage's operations can express, as a user would write them.

use qcore::prelude::*;

fn conv() -> Conv2d {
    Conv2d::new(3, 4, 3).padding(1)
}

fn linear() -> Linear {
    Linear::new(4, 4)
}

#[quantizable]
pub struct LinearReluFunctional {
    fc: Linear,
}

#[quantizable]
impl LinearReluFunctional {
    pub fn new() -> Self {
        Self { fc: linear() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        relu(self.fc(x))
    }
}

#[quantizable]
pub struct LinearReluModule {
    fc: Linear,
    act: ReLU,
}

#[quantizable]
impl LinearReluModule {
    pub fn new() -> Self {
        Self { fc: linear(), act: ReLU::new() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.act(self.fc(x))
    }
}

#[quantizable]
pub struct TwoLinears {
    fc: Linear,
    fc2: Linear,
}

#[quantizable]
impl TwoLinears {
    pub fn new() -> Self {
        Self { fc: linear(), fc2: linear() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.fc2(self.fc(x))
    }
}

#[quantizable]
pub struct SharedModule {
    fc: Linear,
}

#[quantizable]
impl SharedModule {
    pub fn new() -> Self {
        Self { fc: linear() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.fc(self.fc(x))
    }
}

#[quantizable]
pub struct ConvBnRelu {
    a: Conv2d,
    bn: BatchNorm2d,
}

#[quantizable]
impl ConvBnRelu {
    pub fn new() -> Self {
        Self { a: conv(), bn: BatchNorm2d::new(4) }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        relu(self.bn(self.a(x)))
    }
}

#[quantizable]
pub struct ConvBnNotFollowed {
    a: Conv2d,
    bn: BatchNorm2d,
    b: Conv2d,
}

#[quantizable]
impl ConvBnNotFollowed {
    pub fn new() -> Self {
        Self { a: conv(), bn: BatchNorm2d::new(4), b: conv() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.bn(self.a(x)) + self.b(x)
    }
}

#[quantizable]
pub struct BnRelu {
    bn: BatchNorm2d,
}

#[quantizable]
impl BnRelu {
    pub fn new() -> Self {
        Self { bn: BatchNorm2d::new(3) }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        relu(self.bn(x))
    }
}

#[quantizable]
pub struct LinearBn {
    fc: Linear,
    bn: BatchNorm1d,
}

#[quantizable]
impl LinearBn {
    pub fn new() -> Self {
        Self { fc: linear(), bn: BatchNorm1d::new(4) }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.bn(self.fc(x))
    }
}

#[quantizable]
pub struct ResidualAdd {
    a: Conv2d,
    b: Conv2d,
}

#[quantizable]
impl ResidualAdd {
    pub fn new() -> Self {
        Self { a: conv(), b: conv() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.a(x) + self.b(x)
    }
}

#[quantizable]
pub struct ResidualAddRelu {
    a: Conv2d,
    b: Conv2d,
}

#[quantizable]
impl ResidualAddRelu {
    pub fn new() -> Self {
        Self { a: conv(), b: conv() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        relu(add(self.a(x), self.b(x)))
    }
}

#[quantizable]
pub struct MulRelu {
    a: Conv2d,
    b: Conv2d,
}

#[quantizable]
impl MulRelu {
    pub fn new() -> Self {
        Self { a: conv(), b: conv() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        relu(self.a(x) * self.b(x))
    }
}

#[quantizable]
pub struct AddScalar {
    fc: Linear,
}

#[quantizable]
impl AddScalar {
    pub fn new() -> Self {
        Self { fc: linear() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.fc(self.fc(x) + 3.0)
    }
}

#[quantizable]
pub struct MulScalarRelu {
    fc: Linear,
}

#[quantizable]
impl MulScalarRelu {
    pub fn new() -> Self {
        Self { fc: linear() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        relu(self.fc(x) * 2.0)
    }
}

#[quantizable]
pub struct AddSameInput {
    fc: Linear,
}

#[quantizable]
impl AddSameInput {
    pub fn new() -> Self {
        Self { fc: linear() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = self.fc(x);
        y + y
    }
}

#[quantizable]
pub struct Cat {
    a: Conv2d,
    b: Conv2d,
}

#[quantizable]
impl Cat {
    pub fn new() -> Self {
        Self { a: conv(), b: conv() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        cat([self.a(x), self.b(x)], 1)
    }
}

#[quantizable]
pub struct CatWithInput {
    a: Conv2d,
    b2: Conv2d,
}

#[quantizable]
impl CatWithInput {
    pub fn new() -> Self {
        Self { a: conv(), b2: Conv2d::new(7, 2, 1) }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.b2(cat([x, self.a(x)], 1))
    }
}

#[quantizable]
pub struct PoolFlatten {
    a: Conv2d,
    fc2: Linear,
}

#[quantizable]
impl PoolFlatten {
    pub fn new() -> Self {
        Self { a: conv(), fc2: Linear::new(64, 2) }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.fc2(max_pool2d(self.a(x), 2).flatten(1))
    }
}

#[quantizable]
pub struct AdaptivePoolView {
    a: Conv2d,
    p: AdaptiveAvgPool2d,
    fc2: Linear,
}

#[quantizable]
impl AdaptivePoolView {
    pub fn new() -> Self {
        Self { a: conv(), p: AdaptiveAvgPool2d::new(1), fc2: Linear::new(4, 2) }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.fc2(self.p(self.a(x)).view((1, -1)))
    }
}

#[quantizable]
pub struct ReshapeSize {
    fc: Linear,
}

#[quantizable]
impl ReshapeSize {
    pub fn new() -> Self {
        Self { fc: linear() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x).reshape((x.size(0), 2, 2))
    }
}

#[quantizable]
pub struct DropoutFirst {
    d: Dropout,
    fc: Linear,
}

#[quantizable]
impl DropoutFirst {
    pub fn new() -> Self {
        Self { d: Dropout::new(0.1), fc: linear() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.fc(self.d(x))
    }
}

#[quantizable]
pub struct TwoOutputs {
    a: Conv2d,
    b: Conv2d,
}

#[quantizable]
impl TwoOutputs {
    pub fn new() -> Self {
        Self { a: conv(), b: conv() }
    }

    pub fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        (self.a(x), self.b(x))
    }
}

#[quantizable]
pub struct ConvThenLinear {
    a: Conv2d,
    fc: Linear,
}

#[quantizable]
impl ConvThenLinear {
    pub fn new() -> Self {
        Self { a: Conv2d::new(3, 4, 8), fc: linear() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.fc(self.a(x).flatten(1))
    }
}

#[quantizable]
pub struct TransposedConvBn {
    t: ConvTranspose2d,
    bn: BatchNorm2d,
}

#[quantizable]
impl TransposedConvBn {
    pub fn new() -> Self {
        Self { t: ConvTranspose2d::new(3, 4, 3).stride(2), bn: BatchNorm2d::new(4) }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.bn(self.t(x))
    }
}

#[quantizable]
pub struct Interpolate {
    a0: Conv2d,
    a: Conv2d,
}

#[quantizable]
impl Interpolate {
    pub fn new() -> Self {
        Self { a0: Conv2d::new(3, 3, 3).padding(1), a: conv() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.a(interpolate(self.a0(x), None, 2.0))
    }
}

#[quantizable]
pub struct Matmul {
    fc: Linear,
    fc2: Linear,
}

#[quantizable]
impl Matmul {
    pub fn new() -> Self {
        Self { fc: linear(), fc2: linear() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        matmul(self.fc(x), self.fc2(x))
    }
}

#[quantizable]
pub struct NormOfLinear {
    fc: Linear,
    ln: LayerNorm,
}

#[quantizable]
impl NormOfLinear {
    pub fn new() -> Self {
        Self { fc: linear(), ln: LayerNorm::new([4]) }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.ln(self.fc(x))
    }
}

#[quantizable]
pub struct SoftmaxModule {
    fc: Linear,
    sm: Softmax,
}

#[quantizable]
impl SoftmaxModule {
    pub fn new() -> Self {
        Self { fc: linear(), sm: Softmax::new(-1) }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        self.sm(self.fc(x))
    }
}

#[quantizable]
pub struct FixedQParams {
    fc: Linear,
}

#[quantizable]
impl FixedQParams {
    pub fn new() -> Self {
        Self { fc: linear() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        tanh(sigmoid(self.fc(x)))
    }
}

#[quantizable]
pub struct Activations {
    fc: Linear,
}

#[quantizable]
impl Activations {
    pub fn new() -> Self {
        Self { fc: linear() }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        leaky_relu(elu(hardswish(self.fc(x))))
    }
}
