//! Values, numbers and names.

use super::lowers_to;

#[test]
fn the_residual_block_of_the_design() {
    lowers_to(
        r"
struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    downsample: Option<Sequential<(Conv2d, BatchNorm2d)>>,
}
impl BasicBlock {
    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.bn1(self.conv1(x)));
        let y = self.bn2(self.conv2(y));
        let identity = match &self.downsample {
            Some(downsample) => downsample(x),
            None => x,
        };
        relu(y + identity)
    }
}",
        "
%0 = input x
%1 = conv2d self.conv1(%0)
%2 = batch_norm2d self.bn1(%1)
%3 = relu self.relu(%2)
%4 = conv2d self.conv2(%3)
%5 = batch_norm2d self.bn2(%4)
%8 = if self.downsample is some {
  %6 = conv2d self.downsample.0(%0)
  %7 = batch_norm2d self.downsample.1(%6)
  yield %7
} else {
  yield %0
}
%9 = add self.y_plus_identity(%5, %8)
%10 = relu self.relu_1(%9)
return %10
",
    );
}

#[test]
fn the_network_of_the_design() {
    lowers_to(
        r"
struct ResNet {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    layers: Vec<BasicBlock>,
    #[quantizable(skip)]
    fc: Linear,
}
impl ResNet {
    pub fn forward(&self, x: Tensor) -> Tensor {
        let mut x = max_pool2d(relu(self.bn1(self.conv1(x))), 3, 2, 1);
        for block in &self.layers {
            x = block(x);
        }
        let x = adaptive_avg_pool2d(x, (1, 1)).flatten(1);
        self.fc(x)
    }
}",
        "
%0 = input x
%1 = conv2d self.conv1(%0)
%2 = batch_norm2d self.bn1(%1)
%3 = relu self.relu(%2)
%4 = max_pool2d self.max_pool2d(%3; 3, 2, 1)
%7 = for i in self.layers (%5 = %4) {
  %6 = model BasicBlock self.layers.{i}(%5)
  next %6
}
%8 = adaptive_avg_pool2d self.adaptive_avg_pool2d(%7; (1, 1))
%9 = flatten self.flatten(%8; 1)
%10 = linear self.fc(%9)
return %10
",
    );
}

#[test]
fn a_layer_is_called_in_both_spellings() {
    lowers_to(
        r"struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(self.fc.forward(x)) } }",
        "
%0 = input x
%1 = linear self.fc(%0)
%2 = linear self.fc(%1)
return %2
",
    );
}

#[test]
fn an_operation_is_called_as_function_method_and_by_path() {
    lowers_to(
        r"struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x.relu().clamp(0, 6.0) + relu(F::relu(functional::relu(x))) } }",
        "
%0 = input x
%1 = relu self.relu(%0)
%2 = clamp self.clamp(%1; 0.0, 6.0)
%3 = relu self.relu_1(%0)
%4 = relu self.relu_2(%3)
%5 = relu self.relu_3(%4)
%6 = add self.clamp_plus_relu_3(%2, %5)
return %6
",
    );
}

#[test]
fn references_and_clones_are_the_value_itself() {
    lowers_to(
        r"struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = self.fc(&x); relu((&y).clone()) } }",
        "
%0 = input x
%1 = linear self.fc(%0)
%2 = relu self.relu(%1)
return %2
",
    );
}

#[test]
fn scalars_stand_on_either_side() {
    lowers_to(
        r"struct Net { scale: f32 } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = 2.0 * x + 1; 1.0 - y * self.scale } }",
        "
%0 = input x
%1 = mul_scalar self.x_times_scalar(%0; 2.0)
%2 = add_scalar self.x_times_scalar_plus_scalar(%1; 1.0)
%3 = mul_scalar self.y_times_scale(%2; self.scale)
%4 = mul_scalar self.minus_y_times_scale(%3; - 1.0)
%5 = add_scalar self.scalar_minus_y_times_scale(%4; 1.0)
return %5
",
    );
}

#[test]
fn differences_and_quotients_by_a_number_become_sums_and_products() {
    lowers_to(
        r"struct Net { scale: f32 } impl Net { fn forward(&self, x: Tensor) -> Tensor { (x - 3) / 2.0 - self.scale } }",
        "
%0 = input x
%1 = add_scalar self.x_minus_scalar(%0; - 3.0)
%2 = mul_scalar self.x_minus_scalar_over_scalar(%1; (1.0 / 2.0))
%3 = add_scalar self.x_minus_scalar_over_scalar_minus_scale(%2; -(self.scale))
return %3
",
    );
}

#[test]
fn minus_is_a_product() {
    lowers_to(
        r"struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { -x } }",
        "
%0 = input x
%1 = mul_scalar self.minus_x(%0; - 1.0)
return %1
",
    );
}

#[test]
fn arithmetic_over_config_is_a_number() {
    lowers_to(
        r"struct Net { n: usize, config: Config } impl Net { fn forward(&self, x: Tensor) -> Tensor { x * (self.n as f32 * 0.5) + self.config.offset } }",
        "
%0 = input x
%1 = mul_scalar self.x_times_scalar(%0; ((self.n as f32) * 0.5))
%2 = add_scalar self.x_times_scalar_plus_scalar(%1; self.config.offset)
return %2
",
    );
}

#[test]
fn constants_are_numbers() {
    lowers_to(
        r"struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x * SCALE + config::OFFSET } }",
        "
%0 = input x
%1 = mul_scalar self.x_times_scale(%0; SCALE)
%2 = add_scalar self.x_times_scale_plus_scalar(%1; config::OFFSET)
return %2
",
    );
}

#[test]
fn compound_assignment_is_assignment() {
    lowers_to(
        r"struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let mut y = relu(x); y += x; y *= 2.0; y -= x; y } }",
        "
%0 = input x
%1 = relu self.relu(%0)
%2 = add self.y_plus_x(%1, %0)
%3 = mul_scalar self.y_times_scalar(%2; 2.0)
%4 = sub self.y_minus_x(%3, %0)
return %4
",
    );
}

#[test]
fn shadowing_and_assignment_make_new_values() {
    lowers_to(
        r"struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = self.fc(x); let y = relu(y); let mut z = y; z = self.fc(z); z + y } }",
        "
%0 = input x
%1 = linear self.fc(%0)
%2 = relu self.relu(%1)
%3 = linear self.fc(%2)
%4 = add self.z_plus_y(%3, %2)
return %4
",
    );
}

#[test]
fn tuples_are_taken_apart() {
    lowers_to(
        r"struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let (a, b) = (relu(x), x); let pair = (b, a); pair.0 + pair.1 } }",
        "
%0 = input x
%1 = relu self.relu(%0)
%2 = add self.x_plus_a(%0, %1)
return %2
",
    );
}

#[test]
fn several_inputs_and_outputs() {
    lowers_to(
        r"struct Net {  } impl Net { fn forward(&self, a: Tensor, b: Tensor) -> (Tensor, Tensor) { let sum = a + b; (sum, b) } }",
        "
%0 = input a
%1 = input b
%2 = add self.a_plus_b(%0, %1)
return (%2, %1)
",
    );
}

#[test]
fn a_return_at_the_very_end_is_the_value() {
    lowers_to(
        r"struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { return relu(x); } }",
        "
%0 = input x
%1 = relu self.relu(%0)
return %1
",
    );
}

#[test]
fn pieces_become_one_node_each_and_unnamed_ones_none() {
    lowers_to(
        r"struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let (a, b) = x.chunk(2, 1); let (_, c) = split(a, 8); cat([b, c], 1) } }",
        "
%0 = input x
%1 = chunk self.chunk_0(%0; 2, 1, piece 0)
%2 = chunk self.chunk_1(%0; 2, 1, piece 1)
%3 = split self.split_1(%1; 8, piece 1)
%4 = cat self.b_cat_c(%2, %3; 1)
return %4
",
    );
}

#[test]
fn cat_takes_arrays_tuples_and_references() {
    lowers_to(
        r"struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = relu(x); cat(&[cat((x, y), 1), cat([y, x, y])], 1) } }",
        "
%0 = input x
%1 = relu self.relu(%0)
%2 = cat self.x_cat_y(%0, %1; 1)
%3 = cat self.y_cat_x_cat_y(%1, %0, %1)
%4 = cat self.x_cat_y_cat_y_cat_x_cat_y(%2, %3; 1)
return %4
",
    );
}

#[test]
fn sizes_may_stand_in_reshape() {
    lowers_to(
        r"struct Net { heads: usize } impl Net { fn forward(&self, x: Tensor) -> Tensor { let n = x.size(0); x.reshape((n, self.heads, x.size(-1), -1)).view(n, -1) } }",
        "
%0 = input x
%1 = reshape self.reshape(%0; [%0.size(0), self.heads, %0.size(- 1), - 1])
%2 = view self.view(%1; [%0.size(0), - 1])
return %2
",
    );
}

#[test]
fn integer_lists_become_arrays() {
    lowers_to(
        r"struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x.permute((0, 2, 3, 1)).permute(0, 3, 1, 2).mean((2, 3), true).mean(1) } }",
        "
%0 = input x
%1 = permute self.permute(%0; [0, 2, 3, 1])
%2 = permute self.permute_1(%1; [0, 3, 1, 2])
%3 = mean self.mean(%2; [2, 3], true)
%4 = mean self.mean_1(%3; [1])
return %4
",
    );
}
