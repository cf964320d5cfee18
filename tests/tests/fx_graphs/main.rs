//! Graph mode against PyTorch's: the same operations fuse, run on integers, and share observers.
//!
//! `tests/golden/fx_graphs.json` has PyTorch's graphs of 38 small models; those that the operations of the
//! project can express are in `models.rs`.

mod decisions;
mod differences;
mod models;
mod ours;
mod pytorch;

use qcore::prelude::*;

use crate::decisions::Decisions;
use crate::models::*;

/// The decisions of both for a model under the mapping that `fx_graphs.json` names for it.
fn both<M: Module<Input = Tensor>>(name: &str, model: &M, mapping: &QConfigMapping) -> [Decisions; 2] {
    let graphs = &pytorch::all()[name];
    let mut prepared = model.prepare(mapping).unwrap();
    let ours = ours::decisions(&prepared);
    let shape = &graphs.input_shapes[0];
    let values = (0..shape.iter().product::<usize>()).map(|index| (index as f32 * 0.7).sin()).collect();
    ours::run_converted(&mut prepared, &Tensor::from_vec(shape, values).unwrap());
    [ours, graphs.decisions()]
}

fn default_mapping() -> QConfigMapping {
    QConfigMapping::for_backend(Backend::Fbgemm)
}

/// One test for each model that decides like PyTorch's of that name, and the list of them.
macro_rules! decide_like_pytorch {
    ($($name:ident: $model:expr;)+) => {
        const DECIDE_ALIKE: &[&str] = &[$(stringify!($name)),+];

        $(
            #[test]
            fn $name() {
                let name = stringify!($name);
                assert_eq!(pytorch::all()[name].qconfig, "get_default_qconfig_mapping('fbgemm')");
                let [ours, pytorch] = both(name, &$model, &default_mapping());
                assert_eq!(ours, pytorch);
            }
        )+
    };
}

decide_like_pytorch! {
    linear_relu_functional: LinearReluFunctional::new();
    linear_relu_module: LinearReluModule::new();
    two_linears: TwoLinears::new();
    shared_module: SharedModule::new();
    conv_bn_relu: ConvBnRelu::new();
    conv_bn_not_followed: ConvBnNotFollowed::new();
    bn_relu: BnRelu::new();
    linear_bn: LinearBn::new();
    residual_add: ResidualAdd::new();
    residual_add_relu: ResidualAddRelu::new();
    mul_relu: MulRelu::new();
    add_scalar: AddScalar::new();
    mul_scalar_relu: MulScalarRelu::new();
    add_same_input: AddSameInput::new();
    cat: Cat::new();
    cat_with_input: CatWithInput::new();
    pool_flatten: PoolFlatten::new();
    adaptive_pool_view: AdaptivePoolView::new();
    reshape_size: ReshapeSize::new();
    two_outputs: TwoOutputs::new();
    conv_transpose_bn: TransposedConvBn::new();
    interpolate: Interpolate::new();
    matmul: Matmul::new();
    layer_norm: NormOfLinear::new();
    softmax_module: SoftmaxModule::new();
    fixed_qparams: FixedQParams::new();
    activations: Activations::new();
}

#[test]
fn a_layer_skipped_by_name_is_observed_for_its_int8_consumer() {
    let [ours, pytorch] = both("skip_by_name", &TwoLinears::new(), &default_mapping().module("fc", None));
    assert_eq!(ours, pytorch);
}

#[test]
fn a_layer_skipped_by_type_is_quantized_before_the_flatten() {
    let mapping = default_mapping().module_type::<Conv2d>(None);
    let [ours, pytorch] = both("skip_by_type", &ConvThenLinear::new(), &mapping);
    assert_eq!(ours, pytorch);
}

#[test]
fn a_skipped_addition_is_not_observed() {
    let mapping = default_mapping().object_type("add", None);
    let [ours, pytorch] = both("skip_add", &ResidualAdd::new(), &mapping);
    assert_eq!(ours, pytorch);
}

#[test]
fn a_dynamic_layer_is_given_floats_and_gives_floats() {
    let mapping = default_mapping().global(QConfig::default_dynamic_qconfig());
    let [ours, pytorch] = both("dynamic_linear", &LinearReluFunctional::new(), &mapping);
    assert_eq!(ours, pytorch);
}

/// PyTorch gives a dropout an observer of its own. The data that it sees is that of the observer before it, as a
/// dropout in evaluation changes nothing, so ours shares that one: the same numbers with one observer less.
#[test]
fn a_dropout_shares_the_observer_of_its_input() {
    let [ours, mut pytorch] = both("dropout", &DropoutFirst::new(), &default_mapping());
    assert_ne!(ours, pytorch);
    let dropout = &mut pytorch.steps[1];
    assert_eq!(dropout.operation, "dropout");
    dropout.observer = Some(0);
    assert_eq!(ours, pytorch);
}

/// The groups of `fuse_modules`; functions stand by their names.
#[test]
fn fused_groups_are_listed() {
    assert_eq!(ConvBnRelu::FUSIONS, [["a", "bn", "relu"]]);
    assert_eq!(LinearReluModule::FUSIONS, [["fc", "act"]]);
    assert_eq!(LinearBn::FUSIONS, [["fc", "bn"]]);
    assert_eq!(ResidualAddRelu::FUSIONS, [["add", "relu"]]);
    assert!(TwoLinears::FUSIONS.is_empty());
}

#[test]
fn every_model_of_the_file_is_tested_or_needs_what_is_not_there_yet() {
    const TESTED_APART: [&str; 5] = ["dropout", "dynamic_linear", "skip_add", "skip_by_name", "skip_by_type"];
    const NOT_YET: [&str; 6] = [
        "dynamic_two",
        "functional_conv",
        "functional_linear",
        "qat_conv_bn_relu",
        "qat_linear_sigmoid",
        "unsupported_in_the_middle",
    ];
    let mut known: Vec<&str> = [DECIDE_ALIKE, &TESTED_APART, &NOT_YET].concat();
    known.sort_unstable();
    assert!(known.iter().copied().eq(pytorch::all().keys().map(String::as_str)), "{known:?}");
}
