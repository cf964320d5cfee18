//! Constructs outside of the language: which, why a static graph cannot hold it, what to write instead.

use proc_macro2::Span;
use quote::ToTokens;
use syn::{BinOp, Expr, Ident, Macro, Type};

use super::Lowering;
use super::callable::Callable;
use super::conditions::is_comparison;
use super::scope::Bound;
use crate::errors::Message;
use crate::parse::FieldKind;
use crate::parse::kind::can_run;

impl Lowering<'_> {
    pub(super) fn refuse_expression(&mut self, expr: &Expr) -> Bound {
        match expr {
            Expr::While(found) => self.refuse(found.while_token, unbounded("while")),
            Expr::Loop(found) => self.refuse(found.loop_token, unbounded("loop")),
            Expr::ForLoop(found) => self.refuse(
                found.for_token,
                Message::new("a `for` loop has no value")
                    .help("assign to a variable in each turn and use it after the loop"),
            ),
            Expr::Closure(found) => self.refuse(
                SpanOf(found.inputs_begin, found.inputs_end),
                Message::new("a closure in `forward`")
                    .help("write its body where it is used")
                    .note("the graph is read from this body; what a closure does is not visible in it"),
            ),
            Expr::Macro(found) => {
                self.refuse_macro(&found.mac);
                Bound::Poison
            }
            Expr::Return(found) => self.refuse(
                found,
                Message::new("early return")
                    .help("make the value the last of each arm: `if self.flag { a } else { b }`")
                    .note("a graph has one end, where all its outputs come together"),
            ),
            Expr::Break(found) => self.refuse(found.break_token, leaves_the_loop("break")),
            Expr::Continue(found) => self.refuse(found.continue_token, leaves_the_loop("continue")),
            Expr::Try(found) => self.refuse(
                found.question_token,
                Message::new("`?` in `forward`")
                    .help("remove it")
                    .note("the body is written as if nothing could fail; the generated `forward` returns a `Result`"),
            ),
            Expr::Await(found) => self.refuse(
                found.await_token,
                Message::new("`.await` in `forward`")
                    .help("wait for the data before calling the model")
                    .note("a graph runs from its inputs to its outputs without waiting for anything"),
            ),
            Expr::Async(found) => self.refuse(
                found.async_token,
                Message::new("an `async` block in `forward`").help("remove `async`"),
            ),
            Expr::Unsafe(found) => self.refuse(
                found.unsafe_token,
                Message::new("an `unsafe` block in `forward`")
                    .help("remove `unsafe`: everything that `forward` may do is safe"),
            ),
            Expr::Index(_) => self.refuse(
                expr,
                Message::new("indexing of a value")
                    .help("cut the tensor by `let (a, b) = x.chunk(2, 1);` or `let (a, b) = x.split(8, 1);`")
                    .note("there is no int8 kernel that reads a part of a tensor by its index"),
            ),
            Expr::Array(_) | Expr::Repeat(_) => self.refuse(
                expr,
                Message::new("an array is no value here").help("use a tuple, or write it inside of `cat([a, b], 1)`"),
            ),
            Expr::Assign(found) => self.refuse(
                found.eq_token,
                Message::new("an assignment has no value").help("make it a statement of its own: `x = relu(x);`"),
            ),
            Expr::Range(_) => self.refuse(
                expr,
                Message::new("a range in `forward`").help("cut a tensor by `let (a, b) = x.split(8, 1);`"),
            ),
            Expr::Cast(found) => self.refuse(
                found.as_token,
                Message::new("`as` on a tensor")
                    .help("remove it; use `quant(x)` and `dequant(x)` to say where int8 begins and ends"),
            ),
            Expr::Let(found) => self.refuse(
                found.let_token,
                Message::new("`let` as an expression").help("use it as the condition of an `if`"),
            ),
            Expr::Struct(_) => self.refuse(
                expr,
                Message::new("a struct is built in `forward`").help("return several tensors as a tuple: `(a, b)`"),
            ),
            Expr::Lit(_) => self.refuse(
                expr,
                Message::new("a text in `forward`").help("a graph holds tensors and numbers; remove it"),
            ),
            Expr::Block(found) => self.refuse(
                &found.label,
                Message::new("a label on a block").help("remove it: nothing can leave a block early"),
            ),
            Expr::Path(found) => self.refuse(
                found,
                Message::new(format!("`{}` is no value of the graph", super::arguments::source(expr)))
                    .help("tensors come in as parameters of `forward`, numbers as fields or constants"),
            ),
            _ => self.refuse(
                expr,
                Message::new("this expression is not part of the language of `forward`")
                    .help("use calls of layers and operations, `+ - *`, tuples, `if`, `match` and `for` over fields"),
            ),
        }
    }

    pub(super) fn refuse(&mut self, place: impl ToTokens, message: Message) -> Bound {
        self.errors.error(place, message);
        Bound::Poison
    }

    pub(super) fn refuse_macro(&mut self, call: &Macro) {
        let name = call.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        let help = match name.as_str() {
            "vec" => "write the tensors of a list one by one: `vec![a, b]`".to_owned(),
            "println" | "print" | "eprintln" | "eprint" | "dbg" => {
                "remove it; to see what happens inside, put `#[quantizable(dump)]` on the impl".to_owned()
            }
            "assert" | "assert_eq" | "assert_ne" | "debug_assert" | "panic" | "todo" | "unimplemented" => {
                "check the input before calling the model".to_owned()
            }
            _ => "write out what it stands for".to_owned(),
        };
        let message = Message::new(format!("the macro `{name}!` in `forward`")).help(help).note(
            "the graph is read before macros are expanded, and holds nothing but operations on tensors",
        );
        self.errors.error(SpanOf(&call.path, call.bang_token), message);
    }

    pub(super) fn refuse_operator(&mut self, op: &BinOp) -> Bound {
        let symbol = op.to_token_stream().to_string();
        let message = if is_comparison(op) {
            Message::new(format!("comparison `{symbol}` of tensors"))
                .help("keep the part above a bound with `relu`, or limit it with `clamp(x, min, max)`")
                .note("the result is a mask, for which there is no int8 kernel")
        } else {
            Message::new(format!("operator `{symbol}` on tensors"))
                .help("the operators of `forward` are `+`, `-`, `*`, and `/` by a number")
        };
        self.refuse(op, message)
    }

    pub(super) fn refuse_bare_self(&mut self, expr: &Expr) -> Bound {
        self.refuse(
            expr,
            Message::new("`self` as a value")
                .help("use its fields: `self.conv1(x)`")
                .note("a model cannot call itself or be handed to something that the graph does not see"),
        )
    }

    pub(super) fn refuse_call(&mut self, function: &Expr) {
        match function {
            Expr::Closure(_) | Expr::Macro(_) => {
                self.refuse_expression(function);
            }
            Expr::MethodCall(call) if call.method == "unwrap" || call.method == "expect" => {
                let mut inner = &call.receiver;
                while let Expr::MethodCall(call) = &**inner {
                    inner = &call.receiver;
                }
                let option = super::arguments::source(inner);
                self.refuse(
                    &call.method,
                    Message::new(format!("`{}` of a layer that may be absent", call.method))
                        .help(format!("say what happens without it: `match &{option} {{ Some(layer) => layer(x), None => x }}`"))
                        .note("whether it is there is known when the model is prepared, and decides what the graph is"),
                );
            }
            _ => {
                self.refuse(
                    function,
                    Message::new("only layers, models and operations can be called")
                        .help("call a field, `self.conv1(x)`, or an operation, `relu(x)`"),
                );
            }
        }
    }

    pub(super) fn is_method_of_the_impl(&self, ident: &syn::Ident) -> bool {
        ident == "forward"
            || self
                .forward
                .item
                .items
                .iter()
                .any(|item| matches!(item, syn::ImplItem::Fn(function) if function.sig.ident == *ident))
    }

    pub(super) fn refuse_option(&mut self, callable: &Callable, content: &FieldKind, span: Span) {
        let spelling = &callable.spelling;
        let message = Message::new(format!("`{spelling}` is an `Option` and may be absent"));
        let message = if can_run(content) {
            message.help(format!(
                "say what happens without it: `match &{spelling} {{ Some(layer) => layer(x), None => x }}`"
            ))
        } else {
            message.help("only layers and models can be called")
        };
        self.errors.error_at(span, message);
    }

    pub(super) fn refuse_tuple_call(&mut self, tuple: &Callable, elements: &[(Type, FieldKind)], span: Span) {
        let spelling = &tuple.spelling;
        let types: Vec<String> =
            elements.iter().map(|(ty, _)| ty.to_token_stream().to_string().replace(' ', "")).collect();
        let message = Message::new(format!("`{spelling}` is a tuple, which is not called as a whole"))
            .help(format!(
                "call one of its elements, `{spelling}.0(x)`, or make the field a `Sequential<({})>` to run them one after \
                 the other",
                types.join(", ")
            ));
        self.errors.error_at(span, message);
    }

    pub(super) fn refuse_config_call(&mut self, callable: &Callable, span: Span) {
        let spelling = &callable.spelling;
        let ty = &callable.ty;
        let ty = quote::quote!(#ty).to_string().replace(' ', "");
        let help = match callable.kind {
            FieldKind::Flag => format!("use it as a condition: `if {spelling} {{ .. }}`"),
            _ => "only layers and models can be called".to_owned(),
        };
        let message = Message::new(format!("`{spelling}` is of type `{ty}` and cannot be called")).help(help);
        self.errors.error_at(span, message);
    }

    pub(super) fn refuse_method_of_layer(&mut self, callable: &Callable, method: &Ident) {
        let spelling = &callable.spelling;
        let message = Message::new(format!("`{method}` is called on `{spelling}`, which is not a tensor"))
            .help(format!("run it first: `{spelling}(x)` or `{spelling}.forward(x)`"))
            .note("`forward` may only run layers; whatever else they offer stays outside");
        self.errors.error(method, message);
    }
}

fn unbounded(word: &str) -> Message {
    Message::new(format!("`{word}` in `forward`"))
        .help("loop over a `Vec` field: `for layer in &self.layers { x = layer(x); }`")
        .note("how often the body runs must be known when the model is prepared")
}

fn leaves_the_loop(word: &str) -> Message {
    Message::new(format!("`{word}` in `forward`"))
        .help("leave out of the `Vec` what is not to run, or branch on a `bool` field: `if self.flag { .. }`")
        .note("every turn of a loop stands for the same operations, so all of them run")
}

/// From the first token of one thing to the last of another.
struct SpanOf<A, B>(A, B);

impl<A: ToTokens, B: ToTokens> ToTokens for SpanOf<A, B> {
    fn to_tokens(&self, tokens: &mut proc_macro2::TokenStream) {
        self.0.to_tokens(tokens);
        self.1.to_tokens(tokens);
    }
}
