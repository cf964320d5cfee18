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
        let kind = if attributes.model { FieldKind::Other } else { kind_of(&field.ty) };
        if !attributes.model {
            check_spelling(errors, &field.ty, &item.generics);
        }
        if attributes.skip && matches!(kind, FieldKind::Flag | FieldKind::Config) {
            let message = Message::new(format!("`skip` has no meaning for `{ident}`"))
                .help("remove it: only layers and models are quantized");
            errors.error(&ident, message);
        }
        fields.push(Field { ident, ty: field.ty.clone(), kind, attributes });
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

fn refuse_equal_keys(errors: &mut Errors, fields: &[Field]) {
    for (index, field) in fields.iter().enumerate() {
        let key = field.state_name();
        let Some(earlier) = fields[..index].iter().find(|other| other.state_name() == key) else { continue };
        let message = Message::new(format!(
            "`{}` and `{}` both have the state-dict key `{key}`",
            earlier.ident, field.ident
        ))
        .help("give each field a key of its own with `#[quantizable(rename = \"..\")]`");
        let renamed = if field.attributes.rename.is_some() { field } else { earlier };
        errors.error(&renamed.ident, message);
    }
}
