//! Branches, loops, containers and models.

use super::lowers_to;

#[test]
fn an_option_is_matched_in_either_order() {
    lowers_to(
        r"struct Net { a: Option<Linear>, b: Option<Linear> } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = match &self.a { Some(fc) => fc(x), None => x }; match self.b.as_ref() { None => { y } Some(fc) => { relu(fc(y)) } } } }",
        "
%0 = input x
%2 = if self.a is some {
  %1 = linear self.a(%0)
  yield %1
} else {
  yield %0
}
%5 = if self.b is some {
  %3 = linear self.b(%2)
  %4 = relu self.relu(%3)
  yield %4
} else {
  yield %2
}
return %5
",
    );
}

#[test]
fn if_let_assigns_outer_variables() {
    lowers_to(
        r"struct Net { pool: Option<MaxPool2d> } impl Net { fn forward(&self, x: Tensor) -> Tensor { let mut y = x; if let Some(pool) = &self.pool { y = pool(y); } y } }",
        "
%0 = input x
%2 = if self.pool is some {
  %1 = max_pool2d self.pool(%0)
  yield %1
} else {
  yield %0
}
return %2
",
    );
}

#[test]
fn a_flag_decides_as_statement_and_as_value() {
    lowers_to(
        r"struct Net { big: bool } impl Net { fn forward(&self, x: Tensor) -> Tensor { let mut y = x; if !self.big { y = relu(y); } if self.big { y } else { relu6(y) } } }",
        "
%0 = input x
%2 = if !self.big {
  %1 = relu self.relu(%0)
  yield %1
} else {
  yield %0
}
%4 = if self.big {
  yield %2
} else {
  %3 = relu6 self.relu6(%2)
  yield %3
}
return %4
",
    );
}

#[test]
fn conditions_over_config_are_flags() {
    lowers_to(
        r"struct Net { depth: usize, wide: bool } impl Net { fn forward(&self, x: Tensor) -> Tensor { if self.depth > 2 && self.wide { relu(x) } else if self.depth == 1 { relu6(x) } else { x } } }",
        "
%0 = input x
%4 = if self.depth> 2 &&self.wide {
  %1 = relu self.relu(%0)
  yield %1
} else {
  %3 = if self.depth == 1 {
    %2 = relu6 self.relu6(%0)
    yield %2
  } else {
    yield %0
  }
  yield %3
}
return %4
",
    );
}

#[test]
fn both_arms_may_end_in_tuples() {
    lowers_to(
        r"struct Net { swap: bool } impl Net { fn forward(&self, x: Tensor, y: Tensor) -> Tensor { let (a, b) = if self.swap { (y, x) } else { (x, y) }; a - b } }",
        "
%0 = input x
%1 = input y
%2, %3 = if self.swap {
  yield %1, %0
} else {
  yield %0, %1
}
%4 = sub self.a_minus_b(%2, %3)
return %4
",
    );
}

#[test]
fn what_an_arm_assigns_and_nobody_reads_is_not_handed_on() {
    lowers_to(
        r"struct Net { flag: bool } impl Net { fn forward(&self, x: Tensor) -> Tensor { let mut t = x; let mut y = x; if self.flag { t = relu(t); y = y + t; } y } }",
        "
%0 = input x
%3 = if self.flag {
  %1 = relu self.relu(%0)
  %2 = add self.y_plus_t(%0, %1)
  yield %2
} else {
  yield %0
}
return %3
",
    );
}

#[test]
fn a_vec_is_looped_over_or_called() {
    lowers_to(
        r"struct Net { layers: Vec<Sequential<(Linear, ReLU)>> } impl Net { fn forward(&self, x: Tensor) -> Tensor { let mut y = x; for layer in self.layers.iter() { y = layer(y) + x; } self.layers(y) } }",
        "
%0 = input x
%5 = for i in self.layers (%1 = %0) {
  %2 = linear self.layers.{i}.0(%1)
  %3 = relu self.layers.{i}.1(%2)
  %4 = add self.layer_plus_x(%3, %0)
  next %4
}
%9 = for i in self.layers (%6 = %5) {
  %7 = linear self.layers.{i}.0(%6)
  %8 = relu self.layers.{i}.1(%7)
  next %8
}
return %9
",
    );
}

#[test]
fn loops_nest() {
    lowers_to(
        r"struct Net { stages: Vec<Vec<Block>> } impl Net { fn forward(&self, x: Tensor) -> Tensor { let mut y = x; for stage in &self.stages { for block in stage { y = block(y); } } y } }",
        "
%0 = input x
%5 = for i in self.stages (%1 = %0) {
  %4 = for j in stage (%2 = %1) {
    %3 = model Block self.stages.{i}.{j}(%2)
    next %3
  }
  next %4
}
return %5
",
    );
}

#[test]
fn a_sequential_is_its_elements() {
    lowers_to(
        r"struct Net { features: Sequential<(Conv2d, Sequential<(BatchNorm2d, ReLU)>, Vec<Block>)> } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.features(x) } }",
        "
%0 = input x
%1 = conv2d self.features.0(%0)
%2 = batch_norm2d self.features.1.0(%1)
%3 = relu self.features.1.1(%2)
%6 = for i in self.features.0.2 (%4 = %3) {
  %5 = model Block self.features.2.{i}(%4)
  next %5
}
return %6
",
    );
}

#[test]
fn a_model_takes_and_returns_several_tensors() {
    lowers_to(
        r"struct Net { block: Block } impl Net { fn forward(&self, x: Tensor) -> Tensor { let (a, b) = self.block(x, x); let (_, c) = self.block((a, b)); self.block(c) } }",
        "
%0 = input x
%1, %2 = model Block self.block(%0, %0)
%3, %4 = model Block self.block(%1, %2)
%5 = model Block self.block(%4)
return %5
",
    );
}

#[test]
fn a_type_parameter_is_a_model() {
    lowers_to(
        r"struct Net<T, const N: usize> { body: T } impl<T, const N: usize> Net<T, N> { fn forward(&self, x: Tensor) -> Tensor { let (a, _) = self.body(x).chunk(N); a } }",
        "
%0 = input x
%1 = model T self.body(%0)
%2 = chunk self.chunk_0(%1; N, piece 0)
return %2
",
    );
}

#[test]
fn a_layer_that_runs_twice_gets_two_names() {
    lowers_to(
        r"struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = { let t = self.fc(x); relu(t) }; self.fc(y) } }",
        "
%0 = input x
%1 = linear self.fc(%0)
%2 = relu self.relu(%1)
%3 = linear self.fc(%2)
return %3
",
    );
}

#[test]
fn renamed_and_raw_fields_keep_their_keys() {
    lowers_to(
        r#"struct Net { r#type: Linear, #[quantizable(rename = "features.0")] first: Sequential<(Linear,)> } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.first(self.r#type(x)) } }"#,
        "
%0 = input x
%1 = linear self.type(%0)
%2 = linear self.features.0.0(%1)
return %2
",
    );
}

#[test]
fn boundaries_are_operations() {
    lowers_to(
        r"struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { dequant(quant(x).relu()).dropout(0.5) } }",
        "
%0 = input x
%1 = quant self.quant(%0)
%2 = relu self.relu(%1)
%3 = dequant self.dequant(%2)
%4 = dropout self.dropout(%3; 0.5)
return %4
",
    );
}
