//! The impl block: exactly one `forward`, and its signature.

use syn::visit::{self, Visit};
use syn::{
    Block, Expr, ExprCall, ExprMethodCall, FnArg, Ident, ImplItem, ImplItemFn, ItemImpl, Pat, PatType,
    Receiver, ReceiverKind, ReturnType, Safety, Signature, Token, Type,
};

use super::{Forward, ForwardOptions, configure, is_ours};
use crate::errors::{Errors, Message, count};

/// Tuples of tensors have runtime support up to this length.
const MOST_TENSORS: usize = 8;

/// Takes `forward` out of the impl block. A broken signature is reported and read as well as it can be, so
/// that the mistakes in the body are reported too. `None` without exactly one `forward`.
pub fn forward(errors: &mut Errors, mut item: ItemImpl, options: ForwardOptions) -> Option<Forward> {
    let is_forward =
        |item: &mut ImplItem| matches!(item, ImplItem::Fn(function) if function.sig.ident == "forward");
    let mut found = item.items.extract_if(.., is_forward).filter_map(|item| match item {
        ImplItem::Fn(function) => Some(function),
        _ => None,
    });
    let first = found.next();
    let others: Vec<ImplItemFn> = found.collect();
    for other in &others {
        let message = Message::new("a second `forward`")
            .help("keep one; give the other a name of its own, or a model of its own");
        errors.error(&other.sig.ident, message);
    }
    let Some(function) = first else {
        refuse_missing(errors, &item);
        return None;
    };
    let methods = take_methods(&mut item, &function.block);
    let signature = read_signature(errors, &function.sig);
    Some(Forward {
        item,
        methods,
        attributes: function.attrs.into_iter().filter(|attribute| !is_ours(attribute)).collect(),
        vis: function.vis,
        self_token: signature.self_token,
        inputs: signature.inputs,
        mutable_inputs: signature.mutable_inputs,
        types: signature_types(&function.sig),
        output_count: signature.output_count,
        output_is_tuple: signature.output_is_tuple,
        body: function.block,
        span: function.sig.ident.span(),
        options,
    })
}

/// Takes the functions out of the impl block that `body` calls, `self.stem(x)` or `Self::stem(x)`, and those that they
/// call: all that take or return tensors.
pub fn take_methods(item: &mut ItemImpl, body: &Block) -> Vec<ImplItemFn> {
    let mut called = Called::default();
    called.visit_block(body);
    let mut methods: Vec<ImplItemFn> = Vec::new();
    loop {
        let is_called = |item: &mut ImplItem| {
            matches!(item, ImplItem::Fn(function)
                if called.names.contains(&function.sig.ident) && mentions_tensors(&function.sig))
        };
        let found: Vec<ImplItem> = item.items.extract_if(.., is_called).collect();
        if found.is_empty() {
            return methods;
        }
        for item in found {
            if let ImplItem::Fn(function) = item {
                called.visit_block(&function.block);
                methods.push(function);
            }
        }
    }
}

fn mentions_tensors(signature: &Signature) -> bool {
    signature_types(signature).iter().any(|ty| match unparenthesised(ty) {
        Type::Tuple(tuple) => tuple.elems.iter().any(is_tensor),
        Type::Reference(reference) => is_tensor(&reference.elem),
        ty => is_tensor(ty),
    })
}

/// The names that are called as `self.name(..)` and `Self::name(..)`.
#[derive(Default)]
struct Called {
    names: Vec<Ident>,
}

impl<'ast> Visit<'ast> for Called {
    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if matches!(&*call.receiver, Expr::Path(path) if path.path.is_ident("self")) {
            self.names.push(call.method.clone());
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast ExprCall) {
        if let Expr::Path(path) = &*call.func
            && let [qualifier, name] = path.path.segments.iter().collect::<Vec<_>>().as_slice()
            && qualifier.ident == "Self"
        {
            self.names.push(name.ident.clone());
        }
        visit::visit_expr_call(self, call);
    }
}

fn signature_types(signature: &Signature) -> Vec<Type> {
    let inputs = signature.inputs.iter().filter_map(|input| match input {
        FnArg::Typed(input) => Some((*input.ty).clone()),
        FnArg::Receiver(_) => None,
    });
    let output = match &signature.output {
        ReturnType::Type(_, ty) => Some((**ty).clone()),
        ReturnType::Default => None,
    };
    inputs.chain(output).collect()
}

fn refuse_missing(errors: &mut Errors, item: &ItemImpl) {
    let almost = item.items.iter().find_map(|item| match item {
        ImplItem::Fn(function)
            if function.sig.receiver().is_some()
                && crate::errors::did_you_mean(&function.sig.ident.to_string(), ["forward"]).is_some() =>
        {
            Some(&function.sig.ident)
        }
        _ => None,
    });
    let what = Message::new("no `forward` in this `impl` block");
    match almost {
        Some(ident) => errors.error(ident, what.help(format!("did you mean to name `{ident}` `forward`?"))),
        None => errors.error(
            &item.self_ty,
            what.help(
                "add `pub fn forward(&self, x: Tensor) -> Tensor { .. }`, or remove `#[quantizable]` here",
            ),
        ),
    }
}

struct ReadSignature {
    self_token: Token![self],
    inputs: Vec<Ident>,
    mutable_inputs: Vec<bool>,
    output_count: usize,
    output_is_tuple: bool,
}

fn read_signature(errors: &mut Errors, signature: &Signature) -> ReadSignature {
    refuse_qualifiers(errors, signature);
    let self_token = match signature.receiver() {
        Some(receiver) => {
            check_receiver(errors, receiver);
            receiver.self_token
        }
        None => {
            let message = Message::new("`forward` has no `&self`")
                .help("write `fn forward(&self, x: Tensor) -> Tensor`")
                .note("the layers are the fields of `self`");
            errors.error(&signature.ident, message);
            Token![self](signature.ident.span())
        }
    };
    let (inputs, mutable_inputs) = read_inputs(errors, signature);
    let (output_count, output_is_tuple) = read_output(errors, signature);
    ReadSignature { self_token, inputs, mutable_inputs, output_count, output_is_tuple }
}

fn refuse_qualifiers(errors: &mut Errors, signature: &Signature) {
    let why = |word: &str| {
        Message::new(format!("`forward` cannot be `{word}`"))
            .help(format!("remove `{word}`"))
            .note("its body is read at compile time and becomes ordinary functions of the three variants")
    };
    if let Some(token) = &signature.constness {
        errors.error(token, why("const"));
    }
    if let Some(token) = &signature.asyncness {
        errors.error(token, why("async"));
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.error(token, why("unsafe"));
    }
    if let Some(abi) = &signature.abi {
        errors.error(abi, why("extern"));
    }
    if !signature.generics.params.is_empty() {
        let message = Message::new("`forward` cannot be generic")
            .help("move the parameter to the struct: `struct Net<const N: usize> { .. }`")
            .note("the graph of a model is the same for all its callers");
        errors.error(&signature.generics, message);
    }
    if let Some(variadic) = &signature.variadic {
        errors.error(variadic, why("..."));
    }
}

fn check_receiver(errors: &mut Errors, receiver: &Receiver) {
    let what = match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => return,
        ReceiverKind::Reference(..) => "`forward` takes `&mut self`",
        ReceiverKind::Value => "`forward` takes `self` by value",
        _ => "`forward` takes `self` by a type of its own",
    };
    let message = Message::new(what)
        .help("write `&self`")
        .note("a forward pass changes nothing in the model; observers live in the prepared variant");
    errors.error(receiver, message);
}

fn read_inputs(errors: &mut Errors, signature: &Signature) -> (Vec<Ident>, Vec<bool>) {
    let typed: Vec<&PatType> = signature
        .inputs
        .iter()
        .filter_map(|input| match input {
            FnArg::Typed(typed) => Some(typed),
            FnArg::Receiver(_) => None,
        })
        .collect();
    if typed.is_empty() {
        let message =
            Message::new("`forward` takes no tensor").help("write `fn forward(&self, x: Tensor) -> Tensor`");
        errors.error(&signature.ident, message);
    }
    if let Some(excess) = typed.get(MOST_TENSORS) {
        let message = Message::new(format!("`forward` takes {} tensors", typed.len()))
            .help(format!("at most {MOST_TENSORS} are supported; join some of them with `cat` outside"));
        errors.error(excess, message);
    }
    let mut inputs: Vec<Ident> = Vec::new();
    let mut mutable = Vec::new();
    for input in typed {
        if let Some(attribute) = input.attrs.iter().find(|attribute| !configure::says_nothing(attribute)) {
            let message =
                Message::new("an attribute on a parameter of `forward` has no effect").help("remove it");
            errors.error(attribute, message);
        }
        let (ident, is_mutable) = match &*input.pat {
            Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => {
                (pattern.ident.clone(), pattern.mutability.is_some())
            }
            Pat::Wild(wild) => (Ident::new("_input", wild.underscore_token.span), false),
            pattern => {
                let message = Message::new("a parameter of `forward` is a name, not a pattern")
                    .help("write one parameter for each tensor: `forward(&self, a: Tensor, b: Tensor)`");
                errors.error(pattern, message);
                for ident in names_in(pattern) {
                    inputs.push(ident);
                    mutable.push(false);
                }
                continue;
            }
        };
        if signature.generics.params.is_empty() {
            check_input_type(errors, input);
        }
        inputs.push(ident);
        mutable.push(is_mutable);
    }
    (inputs, mutable)
}

fn names_in(pattern: &Pat) -> Vec<Ident> {
    match pattern {
        Pat::Ident(pattern) => vec![pattern.ident.clone()],
        Pat::Tuple(tuple) => tuple.elems.iter().flat_map(names_in).collect(),
        Pat::Paren(paren) => names_in(&paren.pat),
        _ => Vec::new(),
    }
}

fn check_input_type(errors: &mut Errors, input: &PatType) {
    if is_tensor(&input.ty) {
        return;
    }
    let name = match &*input.pat {
        Pat::Ident(pattern) => pattern.ident.to_string(),
        _ => "x".to_owned(),
    };
    let message = match &*input.ty {
        Type::Reference(reference) if is_tensor(&reference.elem) => Message::new(format!(
            "`{name}` is taken by reference"
        ))
        .help(format!(
            "write `{name}: Tensor`: a tensor is cheap to clone, and the macro works out who needs it last"
        )),
        Type::Tuple(tuple) if tuple.elems.iter().all(is_tensor) => {
            Message::new(format!("`{name}` is a tuple of tensors"))
                .help("write one parameter for each tensor: `forward(&self, a: Tensor, b: Tensor)`")
        }
        _ => Message::new(format!("`{name}` is not a `Tensor`"))
            .help(format!("make it a field of the struct and read it as `self.{name}`"))
            .note("what is not a tensor must be known when the model is prepared"),
    };
    errors.error(&input.ty, message);
}

fn read_output(errors: &mut Errors, signature: &Signature) -> (usize, bool) {
    let ty = match &signature.output {
        ReturnType::Type(_, ty) => unparenthesised(ty),
        ReturnType::Default => {
            let message = Message::new("`forward` returns nothing").help("write `-> Tensor` before the body");
            errors.error(&signature.ident, message);
            return (0, false);
        }
    };
    match ty {
        ty if is_tensor(ty) => (1, false),
        Type::Tuple(tuple) if tuple.elems.len() >= 2 && tuple.elems.iter().all(is_tensor) => {
            if tuple.elems.len() > MOST_TENSORS {
                let message =
                    Message::new(format!("`forward` returns {}", count(tuple.elems.len(), "tensor")))
                        .help(format!("at most {MOST_TENSORS} are supported; join some of them with `cat`"));
                errors.error(ty, message);
            }
            (tuple.elems.len(), true)
        }
        ty => {
            let is_result = matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Result"));
            let note = if is_result {
                "the generated `forward` returns a `Result`; the body is written as if nothing could fail"
            } else {
                "the graph ends in tensors, as many as the signature says"
            };
            let message = Message::new("`forward` must return a `Tensor` or a tuple of them")
                .help("write `-> Tensor` or `-> (Tensor, Tensor)`")
                .note(note);
            errors.error(ty, message);
            (0, false)
        }
    }
}

fn unparenthesised(ty: &Type) -> &Type {
    match ty {
        Type::Paren(paren) => unparenthesised(&paren.elem),
        Type::Group(group) => unparenthesised(&group.elem),
        ty => ty,
    }
}

fn is_tensor(ty: &Type) -> bool {
    match unparenthesised(ty) {
        Type::Path(path) => path
            .path
            .segments
            .last()
            .is_some_and(|segment| segment.ident == "Tensor" && segment.arguments.is_none()),
        _ => false,
    }
}
