//! What a field can be used for, by the look of its type.

use syn::{GenericArgument, Generics, Ident, PathArguments, PathSegment, Type};

use super::FieldKind;
use crate::errors::{Errors, Message, did_you_mean, list};
use crate::ir::LayerKind;

const LAYERS: &[(&str, LayerKind)] = &[
    ("Conv1d", LayerKind::Conv1d),
    ("Conv2d", LayerKind::Conv2d),
    ("ConvTranspose1d", LayerKind::ConvTranspose1d),
    ("ConvTranspose2d", LayerKind::ConvTranspose2d),
    ("Linear", LayerKind::Linear),
    ("BatchNorm1d", LayerKind::BatchNorm1d),
    ("BatchNorm2d", LayerKind::BatchNorm2d),
    ("ReLU", LayerKind::ReLU),
    ("ReLU6", LayerKind::ReLU6),
    ("MaxPool2d", LayerKind::MaxPool2d),
    ("AvgPool2d", LayerKind::AvgPool2d),
    ("AdaptiveAvgPool2d", LayerKind::AdaptiveAvgPool2d),
    ("Flatten", LayerKind::Flatten),
    ("Dropout", LayerKind::Dropout),
    ("Identity", LayerKind::Identity),
];

/// Known to the fusion patterns; `qcore` has no such layer yet, so messages do not offer them.
const WITHOUT_RUNTIME: &[&str] = &["Conv1d", "ConvTranspose1d", "ConvTranspose2d"];

/// Layers of PyTorch that a user may well try, and what to use instead if there is anything.
const UNSUPPORTED: &[(&str, Option<&str>)] = &[
    ("AdaptiveAvgPool1d", None),
    ("AdaptiveMaxPool2d", None),
    ("AvgPool1d", None),
    ("AvgPool3d", None),
    ("BatchNorm3d", None),
    ("Conv3d", None),
    ("ConvTranspose3d", None),
    ("Dropout2d", Some("`Dropout`: both do nothing at inference")),
    ("ELU", Some("`ReLU`")),
    ("Embedding", None),
    ("GELU", Some("`ReLU`")),
    ("GRU", None),
    ("GroupNorm", Some("`BatchNorm2d`, which folds into the convolution before it")),
    ("Hardsigmoid", None),
    ("Hardswish", Some("`ReLU6`")),
    ("InstanceNorm2d", Some("`BatchNorm2d`, which folds into the convolution before it")),
    ("LSTM", None),
    ("LayerNorm", None),
    ("LeakyReLU", Some("`ReLU`")),
    ("MaxPool1d", None),
    ("MaxPool3d", None),
    ("ModuleDict", Some("one field for each entry")),
    ("ModuleList", Some("a `Vec` of layers or models")),
    ("MultiheadAttention", None),
    ("PReLU", Some("`ReLU`")),
    ("PixelShuffle", None),
    ("RNN", None),
    ("SiLU", Some("`ReLU6`")),
    ("Sigmoid", None),
    ("Softmax", Some("the logits: apply softmax to the model's output")),
    ("Tanh", None),
    ("Upsample", None),
    ("ZeroPad2d", Some("the `padding` of the next layer")),
];

const CONFIG: &[&str] = &[
    "u8",
    "u16",
    "u32",
    "u64",
    "u128",
    "usize",
    "i8",
    "i16",
    "i32",
    "i64",
    "i128",
    "isize",
    "f32",
    "f64",
    "char",
    "str",
    "String",
    "PhantomData",
    "Tensor",
];

/// Classifies the type of a field, or of an element of one.
pub fn kind_of(ty: &Type) -> FieldKind {
    match ty {
        Type::Group(group) => kind_of(&group.elem),
        Type::Paren(paren) => kind_of(&paren.elem),
        Type::Path(path) if path.qself.is_none() => {
            path.path.segments.last().map_or(FieldKind::Other, by_name)
        }
        Type::Path(_) => FieldKind::Other,
        _ => FieldKind::Config,
    }
}

fn by_name(segment: &PathSegment) -> FieldKind {
    let name = segment.ident.to_string();
    let arguments = type_arguments(segment);
    match (name.as_str(), arguments.as_slice()) {
        ("Sequential", [Type::Tuple(elements)]) => {
            FieldKind::Sequential(elements.elems.iter().map(with_kind).collect())
        }
        ("Vec", [element]) => FieldKind::Vec(Box::new(with_kind(element))),
        ("Option", [content]) => FieldKind::Option(Box::new(with_kind(content))),
        ("bool", []) => FieldKind::Flag,
        (name, _) if CONFIG.contains(&name) => FieldKind::Config,
        (name, []) => layer(name).map_or(FieldKind::Other, FieldKind::Layer),
        _ => FieldKind::Other,
    }
}

fn with_kind(ty: &Type) -> (Type, FieldKind) {
    (ty.clone(), kind_of(ty))
}

fn type_arguments(segment: &PathSegment) -> Vec<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else {
        return Vec::new();
    };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

fn layer(name: &str) -> Option<LayerKind> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
}

/// Reports types that are meant to be layers and are none: `Conv2D`, `LSTM`, a `Sequential` without a tuple.
pub fn check_spelling(errors: &mut Errors, ty: &Type, generics: &Generics) {
    match (ty, kind_of(ty)) {
        (_, FieldKind::Sequential(elements)) => {
            for (element, _) in &elements {
                check_spelling(errors, element, generics);
            }
        }
        (_, FieldKind::Vec(element) | FieldKind::Option(element)) => {
            check_spelling(errors, &element.0, generics);
        }
        (Type::Group(group), _) => check_spelling(errors, &group.elem, generics),
        (Type::Paren(paren), _) => check_spelling(errors, &paren.elem, generics),
        (Type::Path(path), FieldKind::Other) => {
            let is_parameter = generics.type_params().any(|parameter| path.path.is_ident(&parameter.ident));
            if let (Some(segment), false) = (path.path.segments.last(), is_parameter) {
                check_name(errors, ty, &segment.ident);
            }
        }
        _ => {}
    }
}

fn check_name(errors: &mut Errors, ty: &Type, ident: &Ident) {
    let name = ident.to_string();
    if name == "Sequential" {
        let message = Message::new("`Sequential` takes a tuple of layers")
            .help("list the elements as a tuple: `Sequential<(Conv2d, BatchNorm2d, ReLU)>`")
            .note("the elements' types have to be visible for the layers to be fused");
        return errors.error(ty, message);
    }
    if let Some((known, instead)) = UNSUPPORTED.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
        let supported = list(available());
        let help = match instead {
            Some(instead) => format!("use {instead}"),
            None => format!("the layers with an int8 form are {supported}"),
        };
        let message = Message::new(format!("`{known}` has no quantized form here")).help(format!(
            "{help}; if `{name}` is a model of your own, mark the field `#[quantizable(model)]`"
        ));
        return errors.error(ident, message);
    }
    let dimensions: Vec<&str> = available().filter(|known| is_without_dimension(&name, known)).collect();
    if !dimensions.is_empty() {
        let message = Message::new(format!("unknown layer `{name}`")).help(format!(
            "did you mean {}? If `{name}` is a model of your own, mark the field `#[quantizable(model)]`",
            list(dimensions).replace(" and ", " or ")
        ));
        return errors.error(ident, message);
    }
    if let Some(known) = did_you_mean(&name, available()) {
        let message = Message::new(format!("unknown layer `{name}`")).help(format!(
            "did you mean `{known}`? If `{name}` is a model of your own, mark the field `#[quantizable(model)]`"
        ));
        errors.error(ident, message);
    }
}

fn available() -> impl Iterator<Item = &'static str> {
    LAYERS.iter().map(|(name, _)| *name).filter(|name| !WITHOUT_RUNTIME.contains(name))
}

/// `BatchNorm` for `BatchNorm2d`.
fn is_without_dimension(name: &str, known: &str) -> bool {
    ["1d", "2d"]
        .iter()
        .any(|end| known.strip_suffix(end).is_some_and(|known| known.eq_ignore_ascii_case(name)))
}
