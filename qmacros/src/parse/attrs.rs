//! Arguments of `#[quantizable(..)]` on items and fields.
//!
//! Every bad argument is reported, so nothing here returns early.

use proc_macro2::TokenStream;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, Meta, Path, Token};

use super::{FieldAttributes, ForwardOptions};
use crate::errors::{Errors, Message, did_you_mean, list};

const ON_FIELDS: &[&str] = &["skip", "rename", "first", "qconfig", "unused", "model"];
const ON_IMPLS: &[&str] = &["stubs", "deny", "dump", "prepared", "converted", "crate"];
const ON_STRUCTS: &[&str] = &["crate"];

/// Whether this is `#[quantizable]`, under whatever path.
pub fn is_ours(attribute: &Attribute) -> bool {
    attribute.path().segments.last().is_some_and(|segment| segment.ident == "quantizable")
}

/// Where qcore is, if the arguments of an item say so: `crate = path`.
pub fn crate_path(tokens: &TokenStream) -> Option<Path> {
    let metas = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens.clone()).ok()?;
    metas.iter().find(|meta| meta.path().is_ident("crate")).and_then(path_value)
}

fn path_value(meta: &Meta) -> Option<Path> {
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Path(path) if path.qself.is_none() => Some(path.path.clone()),
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => text.parse().ok(),
            _ => None,
        },
        _ => None,
    }
}

fn check_crate(errors: &mut Errors, meta: &Meta) {
    if path_value(meta).is_none() {
        let message = Message::new("`crate` needs the path of qcore")
            .help("write `#[quantizable(crate = ::renamed)]` on the struct and on the `impl` block");
        errors.error(meta, message);
    }
}

/// The name of a variant: `prepared = QatNet`.
fn variant_name(errors: &mut Errors, meta: &Meta, name: &str) -> Option<Ident> {
    let ident = path_value(meta).and_then(|path| path.get_ident().cloned());
    if ident.is_none() {
        let message = Message::new(format!("`{name}` needs the name of the type"))
            .help(format!("write `#[quantizable({})]`", example(name)));
        errors.error(meta, message);
    }
    ident
}

/// Arguments of the attribute on the struct.
pub fn of_struct(errors: &mut Errors, tokens: TokenStream) {
    for meta in arguments(errors, tokens) {
        let name = name_of(&meta);
        if ON_STRUCTS.contains(&name.as_str()) {
            check_crate(errors, &meta);
            continue;
        }
        let help = if ON_FIELDS.contains(&name.as_str()) {
            format!("`{name}` belongs on a field of the struct")
        } else if ON_IMPLS.contains(&name.as_str()) {
            format!("`{name}` belongs on the `impl` block: `#[quantizable({})]`", example(&name))
        } else {
            "write `#[quantizable]`; options belong on fields and on the `impl` block".to_owned()
        };
        errors.error(&meta, Message::new(format!("a struct takes no argument `{name}`")).help(help));
    }
}

/// Arguments of the attribute on the impl block.
pub fn options(errors: &mut Errors, tokens: TokenStream) -> ForwardOptions {
    let mut options = ForwardOptions::default();
    let mut seen = Vec::new();
    for meta in arguments(errors, tokens) {
        let name = name_of(&meta);
        if !is_first(errors, &mut seen, &meta, &name) {
            continue;
        }
        match name.as_str() {
            "stubs" => options.manual_stubs = stubs(errors, &meta),
            "deny" => options.deny_float_ops = deny(errors, &meta),
            "dump" => options.dump = is_word(errors, &meta, &name),
            "prepared" => options.prepared = variant_name(errors, &meta, &name),
            "converted" => options.converted = variant_name(errors, &meta, &name),
            "crate" => check_crate(errors, &meta),
            _ => unknown(errors, &meta, &name, "an `impl` block", ON_IMPLS, ("a field", ON_FIELDS)),
        }
    }
    options
}

/// Takes our attributes out of `attributes` and reads them.
pub fn of_field(errors: &mut Errors, attributes: &mut Vec<Attribute>) -> FieldAttributes {
    let mut found = FieldAttributes::default();
    let mut seen = Vec::new();
    let ours: Vec<Attribute> = attributes.extract_if(.., |attribute| is_ours(attribute)).collect();
    for attribute in &ours {
        let tokens = match &attribute.meta {
            Meta::List(meta) => meta.tokens.clone(),
            _ => TokenStream::new(),
        };
        if tokens.is_empty() {
            let message = Message::new("`#[quantizable]` on a field needs an argument")
                .help(format!("the arguments are {}", examples(ON_FIELDS)));
            errors.error(attribute, message);
        }
        for meta in arguments(errors, tokens) {
            let name = name_of(&meta);
            if !is_first(errors, &mut seen, &meta, &name) {
                continue;
            }
            match name.as_str() {
                "skip" => found.skip = is_word(errors, &meta, &name),
                "unused" => found.unused = is_word(errors, &meta, &name),
                "model" => found.model = is_word(errors, &meta, &name),
                "rename" => found.rename = rename(errors, &meta),
                "first" => found.first = first(errors, &meta),
                "qconfig" => found.qconfig = qconfig(errors, &meta),
                _ => unknown(errors, &meta, &name, "a field", ON_FIELDS, ("the `impl` block", ON_IMPLS)),
            }
        }
    }
    refuse_contradictions(errors, &seen);
    found
}

fn refuse_contradictions(errors: &mut Errors, seen: &[Meta]) {
    let find = |name: &str| seen.iter().find(|meta| name_of(meta) == name);
    if let (Some(_), Some(qconfig)) = (find("skip"), find("qconfig")) {
        let message = Message::new("`skip` and `qconfig` contradict each other")
            .help("keep `skip` to leave the layer in float, or `qconfig` to choose how it is quantized");
        errors.error(qconfig, message);
    }
    if let (Some(unused), Some(other)) = (find("unused"), find("skip").or(find("qconfig"))) {
        let name = name_of(other);
        let message = Message::new(format!("`unused` and `{name}` contradict each other"))
            .help("remove one: a field that `forward` does not use is not quantized anyway");
        errors.error(unused, message);
    }
}

fn arguments(errors: &mut Errors, tokens: TokenStream) -> Vec<Meta> {
    match Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens.clone()) {
        Ok(metas) => metas.into_iter().collect(),
        Err(_) => {
            let message = Message::new("cannot read the arguments of `#[quantizable]`").help(format!(
                "on a field: {}; on the `impl` block: {}",
                examples(ON_FIELDS),
                examples(ON_IMPLS)
            ));
            errors.error(tokens, message);
            Vec::new()
        }
    }
}

fn name_of(meta: &Meta) -> String {
    meta.path().segments.iter().map(|segment| segment.ident.to_string()).collect::<Vec<_>>().join("::")
}

fn is_first(errors: &mut Errors, seen: &mut Vec<Meta>, meta: &Meta, name: &str) -> bool {
    let is_first = seen.iter().all(|earlier| name_of(earlier) != name);
    if is_first {
        seen.push(meta.clone());
    } else {
        errors.error(meta, Message::new(format!("`{name}` is given twice")).help("remove one of the two"));
    }
    is_first
}

fn is_word(errors: &mut Errors, meta: &Meta, name: &str) -> bool {
    if !matches!(meta, Meta::Path(_)) {
        let message = Message::new(format!("`{name}` takes no value"))
            .help(format!("write `#[quantizable({})]`", example(name)));
        errors.error(meta, message);
    }
    true
}

fn string_value(meta: &Meta) -> Option<String> {
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

fn rename(errors: &mut Errors, meta: &Meta) -> Option<String> {
    let is_key = |key: &str| {
        key.split('.').all(|part| {
            !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
        })
    };
    match string_value(meta) {
        // The keys of what the field holds are then those of the model itself.
        Some(key) if is_key(&key) || key.is_empty() => Some(key),
        Some(key) => {
            let message = Message::new(format!("`{key}` is no state-dict key")).help(
                "names joined by dots, as PyTorch writes them: `#[quantizable(rename = \"features.0\")]`",
            );
            errors.error(meta, message);
            None
        }
        None => {
            let message = Message::new("`rename` needs the state-dict key as a string")
                .help("write `#[quantizable(rename = \"features.0\")]`");
            errors.error(meta, message);
            None
        }
    }
}

fn first(errors: &mut Errors, meta: &Meta) -> usize {
    if let Meta::NameValue(pair) = meta
        && let Expr::Lit(ExprLit { lit: Lit::Int(integer), .. }) = &pair.value
        && let Ok(first) = integer.base10_parse()
    {
        return first;
    }
    let message = Message::new("`first` needs the index that the first element has in the state dict")
        .help("write `#[quantizable(rename = \"features\", first = 1)]`");
    errors.error(meta, message);
    0
}

fn qconfig(errors: &mut Errors, meta: &Meta) -> Option<Path> {
    if let Meta::NameValue(pair) = meta
        && let Expr::Path(path) = &pair.value
        && path.qself.is_none()
    {
        return Some(path.path.clone());
    }
    let message = Message::new("`qconfig` needs the path of a function that returns a `QConfig`")
        .help("write `#[quantizable(qconfig = my_qconfig)]` beside `fn my_qconfig() -> QConfig`");
    errors.error(meta, message);
    None
}

fn stubs(errors: &mut Errors, meta: &Meta) -> bool {
    let is_manual = string_value(meta).as_deref() == Some("manual");
    if !is_manual {
        let message = Message::new("`stubs` knows one value").help(
            "write `#[quantizable(stubs = \"manual\")]`, or leave it out to have the boundaries placed for you",
        );
        errors.error(meta, message);
    }
    is_manual
}

fn deny(errors: &mut Errors, meta: &Meta) -> bool {
    let is_float_ops = matches!(meta, Meta::List(list) if list.tokens.to_string() == "float_ops");
    if !is_float_ops {
        let message =
            Message::new("`deny` knows one argument").help("write `#[quantizable(deny(float_ops))]`");
        errors.error(meta, message);
    }
    is_float_ops
}

fn unknown(
    errors: &mut Errors,
    meta: &Meta,
    name: &str,
    place: &str,
    known: &[&str],
    (elsewhere, known_elsewhere): (&str, &[&str]),
) {
    let help = if known_elsewhere.contains(&name) {
        format!("`{name}` belongs on {elsewhere}; {place} takes {}", examples(known))
    } else if let Some(meant) = did_you_mean(name, known.iter().copied()) {
        format!("did you mean `{}`?", example(meant))
    } else {
        format!("{place} takes {}", examples(known))
    };
    errors.error(meta.path(), Message::new(format!("unknown argument `{name}`")).help(help));
}

fn examples(names: &[&str]) -> String {
    list(names.iter().map(|name| example(name)))
}

fn example(name: &str) -> &str {
    match name {
        "rename" => "rename = \"features.0\"",
        "first" => "first = 1",
        "qconfig" => "qconfig = path",
        "stubs" => "stubs = \"manual\"",
        "deny" => "deny(float_ops)",
        "prepared" => "prepared = NetWithObservers",
        "converted" => "converted = Int8Net",
        "crate" => "crate = ::renamed",
        other => other,
    }
}
