//! The rows are consistent, and fusions fire where PyTorch's do.

use std::collections::BTreeSet;

use qcatalogue::{Operation, Precision, Results, Role, by_function, by_layer, operation, operations};

fn fused(names: &[&str]) -> Option<&'static str> {
    let operations: Vec<&Operation> = names.iter().map(|name| operation(name).expect(name)).collect();
    qcatalogue::fusion(&operations).map(|fusion| fusion.name)
}

fn is_float_fusion(names: &[&str]) -> bool {
    let operations: Vec<&Operation> = names.iter().map(|name| operation(name).expect(name)).collect();
    qcatalogue::is_float_fusion(&operations)
}

fn assert_unique(names: impl Iterator<Item = &'static str>) {
    let mut seen = BTreeSet::new();
    names.for_each(|name| assert!(seen.insert(name), "`{name}` stands twice"));
}

#[test]
fn names_are_unique_and_lead_to_their_row() {
    assert_unique(operations().iter().map(|row| row.name));
    assert_unique(qcatalogue::functions());
    assert_unique(qcatalogue::layers());
    for row in operations() {
        assert_eq!(operation(row.name), Some(row));
        assert_eq!(row.name, row.function.or(row.layer).expect("a function or a layer"));
        row.functions().for_each(|name| assert_eq!(by_function(name), Some(row)));
        row.layer.into_iter().for_each(|name| assert_eq!(by_layer(name), Some(row)));
        assert!(row.required <= row.parameters.len(), "{}", row.name);
        assert!(row.supports(Precision::Float), "{}", row.name);
        if let Results::Several(number) | Results::WithState(number) = row.results {
            assert!(number > 1 && row.role == Role::None, "{}", row.name);
        }
    }
    assert_eq!(by_function("view"), operation("reshape"));
    assert_eq!(by_function("ReLU"), None);
}

#[test]
fn every_fusion_fires_for_some_operations() {
    for fusion in qcatalogue::fusions() {
        let with_role = |role: &Role| operations().iter().filter(|row| row.role == *role).collect::<Vec<_>>();
        let mut chains: Vec<Vec<&Operation>> = vec![Vec::new()];
        for role in fusion.roles {
            let extended = |chain: &Vec<&'static Operation>| {
                let chain = chain.clone();
                with_role(role).into_iter().map(move |row| [chain.clone(), vec![row]].concat())
            };
            chains = chains.iter().flat_map(extended).collect();
        }
        assert!(chains.iter().any(|chain| qcatalogue::fusion(chain) == Some(fusion)), "{}", fusion.name);
    }
}

#[test]
fn fusions_need_the_order_and_equal_dimensions() {
    assert_eq!(fused(&["Conv2d", "BatchNorm2d", "relu"]), Some("conv_bn_relu"));
    assert_eq!(fused(&["Linear", "BatchNorm1d"]), Some("linear_bn"));
    assert_eq!(fused(&["Linear", "BatchNorm2d"]), None);
    assert_eq!(fused(&["Conv2d", "BatchNorm1d", "relu"]), None);
    assert_eq!(fused(&["BatchNorm2d", "Conv2d"]), None);
    assert_eq!(fused(&["Conv2d", "relu6"]), None);
    assert_eq!(fused(&["Conv2d"]), None);
    assert_eq!(fused(&[]), None);
}

#[test]
fn a_relu_fuses_where_pytorch_has_the_fused_form() {
    assert_eq!(fused(&["BatchNorm2d", "relu"]), Some("bn_relu"));
    assert_eq!(fused(&["BatchNorm1d", "relu"]), None);
    assert_eq!(fused(&["sub", "relu"]), None);
    assert_eq!(fused(&["cat", "relu"]), None);
}

#[test]
fn float_takes_a_relu6_along_behind_a_convolution() {
    assert!(is_float_fusion(&["Conv2d", "relu6"]));
    assert!(is_float_fusion(&["Conv2d", "BatchNorm2d", "relu6"]));
    assert!(!is_float_fusion(&["Conv2d", "BatchNorm1d", "relu6"]));
    assert!(!is_float_fusion(&["Conv2d", "relu", "relu6"]));
    assert!(!is_float_fusion(&["Conv2d", "relu"]));
    assert!(!is_float_fusion(&["Linear", "relu6"]));
    assert!(!is_float_fusion(&["relu6"]));
}

#[test]
fn what_is_supported_is_not_also_unsupported() {
    for row in qcatalogue::unsupported() {
        assert!(row.layer.is_none_or(|name| by_layer(name).is_none()), "{row:?}");
        assert!(row.function.is_none_or(|name| by_function(name).is_none()), "{row:?}");
    }
    assert_unique(qcatalogue::unsupported().iter().filter_map(|row| row.layer));
    assert_unique(qcatalogue::unsupported().iter().filter_map(|row| row.function));
}
