//! The struct: fields, what they can be used for, their attributes.

use syn::{Fields, ItemStruct};

use super::kind::{check_spelling, kind_of};
use super::{Field, FieldKind, Model, attrs};
use crate::errors::{Errors, Message};

/// Reads the struct. `None` if it has no named fields.
pub fn model(errors: &mut Errors, mut item: ItemStruct) -> Option<Model> {
    let Fields::Named(named) = &mut item.fields else {
        refuse_shape(errors, &item);
        return None;
    };
    let mut fields = Vec::new();
    for field in &mut named.named {
        let attributes = attrs::of_field(errors, &mut field.attrs);
        let Some(ident) = field.ident.clone() else { continue };
        let mut written = None;
        let kind = if attributes.model { FieldKind::Other } else { kind_of(&field.ty) };
        if !attributes.model {
            let errors_before = errors.count();
            check_spelling(errors, &field.ty, &item.generics);
            if errors.count() > errors_before {
                // rustc has nothing to add about a type that is not there.
                written = Some(std::mem::replace(
                    &mut field.ty,
                    syn::parse_quote!(::qcore::__private::Unbuildable),
                ));
            }
        }
        if attributes.skip && matches!(kind, FieldKind::Flag | FieldKind::Config) {
            let message = Message::new(format!("`skip` has no meaning for `{ident}`"))
                .help("remove it: only layers and models are quantized");
            errors.error(&ident, message);
        }
        if attributes.first > 0 && !matches!(kind, FieldKind::Vec(_)) {
            let message = Message::new(format!("`{ident}` is not written as a `Vec` or an array"))
                .help("remove `first`: it is the index of the first element of `Vec<Block>` or `[Block; 3]`");
            errors.error(&ident, message);
        }
        fields.push(Field { ident, ty: written.unwrap_or_else(|| field.ty.clone()), kind, attributes });
    }
    refuse_equal_keys(errors, &fields);
    if let Some(lifetime) = item.generics.lifetimes().next() {
        let message = Message::new(format!("`{}` borrows something", item.ident))
            .help("let the model own its layers")
            .note("what is prepared and converted outlives the float model");
        errors.error(lifetime, message);
    }
    Some(Model { ident: item.ident.clone(), generics: item.generics.clone(), fields, item })
}

fn refuse_shape(errors: &mut Errors, item: &ItemStruct) {
    let name = &item.ident;
    let what = match item.fields {
        Fields::Unit => format!("`{name}` has no fields, so there is nothing to quantize"),
        _ => format!("the fields of `{name}` have no names"),
    };
    let message = Message::new(what)
        .help(format!("write `struct {name} {{ conv1: Conv2d, .. }}`"))
        .note("the names of the fields become the keys of the state dict");
    errors.error(name, message);
}

/// Two fields with the same key. What depends on the instance, how long a `Vec` is and which names a model has, is
/// seen when weights are loaded.
fn refuse_equal_keys(errors: &mut Errors, fields: &[Field]) {
    for (index, field) in fields.iter().enumerate() {
        let shared = fields[..index].iter().find_map(|earlier| Some((earlier, shared_key(earlier, field)?)));
        let Some((earlier, key)) = shared else { continue };
        let spelled = |field: &Field| match key.strip_prefix(&format!("{}.", field.state_name())) {
            Some(rest) => format!("`{}` in its element {rest}", field.ident),
            None => format!("`{}`", field.ident),
        };
        let message = Message::new(format!(
            "{} and {} both have the state-dict key `{key}`",
            spelled(earlier),
            spelled(field)
        ))
        .help("give each field a key of its own with `#[quantizable(rename = \"..\")]`")
        .note("both would load the same tensors");
        let renamed = if field.attributes.rename.is_some() { field } else { earlier };
        errors.error(&renamed.ident, message);
    }
}

fn shared_key(earlier: &Field, later: &Field) -> Option<String> {
    let is_flattened = later.state_name().is_empty();
    // `features.0` and a list of `features` from 1 on are apart.
    let are_lists = |field: &Field| matches!(field.kind, FieldKind::Vec(_));
    let are_apart =
        are_lists(earlier) && are_lists(later) && earlier.attributes.first != later.attributes.first;
    if earlier.state_name() == later.state_name() && !is_flattened && !are_apart {
        return Some(later.state_name());
    }
    let keys = [earlier, later].map(|field| {
        let mut keys = Vec::new();
        layer_keys(&field.kind, field.state_name(), &mut keys);
        keys
    });
    keys[1].iter().find(|key| keys[0].contains(key)).cloned()
}

/// The keys of the layers that are there in every instance.
fn layer_keys(kind: &FieldKind, key: String, keys: &mut Vec<String>) {
    match kind {
        FieldKind::Layer(_) => keys.push(key),
        FieldKind::Sequential(elements) => {
            for (index, (_, kind)) in elements.iter().enumerate() {
                let key = if key.is_empty() { index.to_string() } else { format!("{key}.{index}") };
                layer_keys(kind, key, keys);
            }
        }
        FieldKind::Tuple(elements) => {
            for (index, (_, kind)) in elements.iter().enumerate() {
                layer_keys(kind, format!("{key}.{index}"), keys);
            }
        }
        FieldKind::Option(content) | FieldKind::Pointer(content) => layer_keys(&content.1, key, keys),
        FieldKind::Vec(_) | FieldKind::Flag | FieldKind::Config | FieldKind::Other => {}
    }
}
