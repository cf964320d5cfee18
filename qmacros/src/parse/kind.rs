//! What a field can be used for, by the look of its type.

#[cfg(not(test))]
use qcatalogue::by_layer;
use qcatalogue::{Unsupported, layers, unsupported_layer};
use syn::{GenericArgument, Generics, Ident, PathArguments, PathSegment, Type};

use super::FieldKind;
use crate::errors::{Errors, Message, list, slip_of};
#[cfg(test)]
use crate::ir::lower::testing::by_layer;

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
        Type::Array(array) => match with_kind(&array.elem) {
            element if can_run(&element.1) => FieldKind::Vec(Box::new(element)),
            _ => FieldKind::Config,
        },
        Type::Tuple(tuple) if !tuple.elems.is_empty() => {
            let elements: Vec<_> = tuple.elems.iter().map(with_kind).collect();
            let is_of_layers = elements.iter().all(|(_, kind)| can_run(kind));
            if is_of_layers { FieldKind::Tuple(elements) } else { FieldKind::Config }
        }
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
        ("Box" | "Arc" | "Rc", [content]) => match with_kind(content) {
            content if can_run(&content.1) => FieldKind::Pointer(Box::new(content)),
            _ => FieldKind::Config,
        },
        ("bool", []) => FieldKind::Flag,
        (name, _) if CONFIG.contains(&name) => FieldKind::Config,
        (name, []) => by_layer(name).map_or(FieldKind::Other, FieldKind::Layer),
        _ => FieldKind::Other,
    }
}

/// Whether values of this kind are layers or models, or hold some.
pub fn can_run(kind: &FieldKind) -> bool {
    match kind {
        FieldKind::Layer(_) | FieldKind::Sequential(_) | FieldKind::Other => true,
        FieldKind::Vec(element) | FieldKind::Option(element) | FieldKind::Pointer(element) => {
            can_run(&element.1)
        }
        FieldKind::Tuple(elements) => elements.iter().any(|(_, kind)| can_run(kind)),
        FieldKind::Flag | FieldKind::Config => false,
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

/// Reports types that are meant to be layers and are none: `Conv2D`, `LSTM`, a `Sequential` without a tuple.
pub fn check_spelling(errors: &mut Errors, ty: &Type, generics: &Generics) {
    match (ty, kind_of(ty)) {
        (_, FieldKind::Sequential(elements) | FieldKind::Tuple(elements)) => {
            for (element, _) in &elements {
                check_spelling(errors, element, generics);
            }
        }
        (_, FieldKind::Vec(element) | FieldKind::Option(element) | FieldKind::Pointer(element)) => {
            check_spelling(errors, &element.0, generics);
        }
        (Type::Group(group), _) => check_spelling(errors, &group.elem, generics),
        (Type::Paren(paren), _) => check_spelling(errors, &paren.elem, generics),
        (ty, _) if trait_object(ty).is_some() => {
            let object = trait_object(ty);
            let message = Message::new("layers behind a trait object")
                .help(
                    "write the type of the layer; for a choice between several, one `Option` field for each",
                )
                .note("which operations a model has is read from the types of its fields");
            errors.error(object, message);
        }
        (Type::Path(path), FieldKind::Other) => {
            let is_parameter = generics.type_params().any(|parameter| path.path.is_ident(&parameter.ident));
            if let (Some(segment), false) = (path.path.segments.last(), is_parameter) {
                check_name(errors, ty, &segment.ident);
            }
        }
        _ => {}
    }
}

/// `dyn Layer` within `Box<dyn Layer>`, if it is called like a layer or a model.
fn trait_object(ty: &Type) -> Option<&Type> {
    match ty {
        Type::TraitObject(object) => {
            let is_ours = |name: &Ident| name == "Layer" || name == "Module" || name == "Op";
            let is_layer = object.bounds.iter().any(|bound| match bound {
                syn::TypeParamBound::Trait(bound) => {
                    bound.path.segments.last().is_some_and(|last| is_ours(&last.ident))
                }
                _ => false,
            });
            is_layer.then_some(ty)
        }
        Type::Path(path) => {
            path.path.segments.last().and_then(|last| type_arguments(last).into_iter().find_map(trait_object))
        }
        Type::Paren(paren) => trait_object(&paren.elem),
        Type::Reference(reference) => trait_object(&reference.elem),
        _ => None,
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
    if let Some(Unsupported { layer: Some(known), advice, .. }) = unsupported_layer(&name) {
        let help = match advice {
            Some(advice) => (*advice).to_owned(),
            None => "the layers are those of `qcore::ops`".to_owned(),
        };
        let message = Message::new(format!("`{known}` has no quantized form here")).help(format!(
            "{help}; if `{name}` is a type of your own, mark the field `#[quantizable(model)]`"
        ));
        return errors.error(ident, message);
    }
    let dimensions: Vec<&str> = layers().filter(|known| is_without_dimension(&name, known)).collect();
    if !dimensions.is_empty() {
        let message = Message::new(format!("unknown layer `{name}`")).help(format!(
            "did you mean {}? If `{name}` is a type of your own, mark the field `#[quantizable(model)]`",
            list(dimensions).replace(" and ", " or ")
        ));
        return errors.error(ident, message);
    }
    // Names that are less alike may be aliases: what no type has, rustc refuses.
    if let Some(known) = slip_of(&name, layers()) {
        let message = Message::new(format!("unknown layer `{name}`")).help(format!(
            "did you mean `{known}`? If `{name}` is a type of your own, mark the field `#[quantizable(model)]`"
        ));
        errors.error(ident, message);
    }
}

/// `BatchNorm` for `BatchNorm2d`.
fn is_without_dimension(name: &str, known: &str) -> bool {
    ["1d", "2d"]
        .iter()
        .any(|end| known.strip_suffix(end).is_some_and(|known| known.eq_ignore_ascii_case(name)))
}
