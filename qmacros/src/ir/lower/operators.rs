//! `+ - * /` between tensors and with numbers.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{BinOp, Expr, ExprBinary};

use super::naming::joined;
use super::numbers::NumberType;
use super::scope::{Bound, Size};
use super::{Lowering, Operation, Wanted};
use crate::errors::Message;
use crate::ir::{Argument, Callee, Function, FunctionCall, SizeOperator, ValueId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
}

impl Arithmetic {
    pub fn of(op: &BinOp) -> Option<Self> {
        Some(match op {
            BinOp::Add(_) | BinOp::AddAssign(_) => Self::Add,
            BinOp::Sub(_) | BinOp::SubAssign(_) => Self::Sub,
            BinOp::Mul(_) | BinOp::MulAssign(_) => Self::Mul,
            BinOp::Div(_) | BinOp::DivAssign(_) => Self::Div,
            _ => return None,
        })
    }

    fn of_sizes(self) -> SizeOperator {
        match self {
            Self::Add => SizeOperator::Add,
            Self::Sub => SizeOperator::Sub,
            Self::Mul => SizeOperator::Mul,
            Self::Div => SizeOperator::Div,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Add => "plus",
            Self::Sub => "minus",
            Self::Mul => "times",
            Self::Div => "over",
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
        }
    }
}

impl Lowering<'_> {
    pub(super) fn binary(&mut self, binary: &ExprBinary) -> Bound {
        let span = binary.op.span();
        let Some(op) = Arithmetic::of(&binary.op) else {
            return self.refuse_operator(&binary.op);
        };
        let left = self.operand(&binary.left);
        let right = self.operand(&binary.right);
        self.arithmetic(op, (&binary.left, left), (&binary.right, right), span)
    }

    fn operand(&mut self, expr: &Expr) -> Bound {
        self.expression(expr, Wanted::One)
    }

    pub(super) fn arithmetic(
        &mut self,
        op: Arithmetic,
        (left_expr, left): (&Expr, Bound),
        (right_expr, right): (&Expr, Bound),
        span: Span,
    ) -> Bound {
        if let (Bound::Size(_), Bound::Size(_) | Bound::Number(_)) | (Bound::Number(_), Bound::Size(_)) =
            (&left, &right)
        {
            for (expr, bound) in [(left_expr, &left), (right_expr, &right)] {
                if matches!(bound, Bound::Number(_)) && self.number_type(expr) == NumberType::Float {
                    let message = Message::new("a size is a whole number, this is a float")
                        .help("calculate with whole numbers: `x.size(1) / 2`");
                    return self.refuse(expr, message);
                }
            }
            let operands = [as_size(left), as_size(right)];
            return Bound::Size(Size::Arithmetic(op.of_sizes(), Box::new(operands)));
        }
        if let Bound::Number(_) = right {
            let Some(tensor) = self.as_tensor(left, left_expr, &side(op)) else { return Bound::Poison };
            return self.tensor_with_number(op, (left_expr, tensor), right_expr, span);
        }
        if let Bound::Number(_) = left {
            let Some(tensor) = self.as_tensor(right, right_expr, &side(op)) else { return Bound::Poison };
            return self.number_with_tensor(op, left_expr, (right_expr, tensor), span);
        }
        let left = self.as_tensor(left, left_expr, &side(op));
        let right = self.as_tensor(right, right_expr, &side(op));
        let (Some(left), Some(right)) = (left, right) else { return Bound::Poison };
        if op == Arithmetic::Div {
            let message = Message::new("division by a tensor")
                .help("divide by a number, or multiply by a reciprocal that comes in as a tensor")
                .note("the quotient of two quantized tensors has no useful scale, so there is no int8 kernel for it");
            self.errors.error_at(span, message);
            return Bound::Poison;
        }
        let function = match op {
            Arithmetic::Add => "add",
            Arithmetic::Sub => "sub",
            _ => "mul",
        };
        let (first, second) = (self.label_of(left_expr, left), self.label_of(right_expr, right));
        let label = joined(&first, op.word(), &second, function);
        self.operation(function, &label, vec![left, right], Vec::new(), span)
    }

    /// `x + 1`, `x - 1` as `x + (-1)`, `x * 2`, `x / 2` as `x * (1 / 2)`.
    fn tensor_with_number(
        &mut self,
        op: Arithmetic,
        (tensor_expr, tensor): (&Expr, ValueId),
        number: &Expr,
        span: Span,
    ) -> Bound {
        if self.refuse_wrong_number(number, &format!("the number beside `{}`", op.symbol())) {
            return Bound::Poison;
        }
        let value = self.float(number);
        let (function, argument) = match op {
            Arithmetic::Add => ("add_scalar", value),
            Arithmetic::Sub => ("add_scalar", negative(&value, number)),
            Arithmetic::Mul => ("mul_scalar", value),
            Arithmetic::Div => ("mul_scalar", quote_spanned!(number.span()=> (1.0 / #value))),
        };
        let label =
            joined(&self.label_of(tensor_expr, tensor), op.word(), &self.number_label(number), function);
        self.with_scalar(function, &label, tensor, argument, span)
    }

    /// `1 + x`, `2 * x`, and `1 - x` as `(-x) + 1`.
    fn number_with_tensor(
        &mut self,
        op: Arithmetic,
        number: &Expr,
        (tensor_expr, tensor): (&Expr, ValueId),
        span: Span,
    ) -> Bound {
        match op {
            Arithmetic::Add | Arithmetic::Mul => {
                self.tensor_with_number(op, (tensor_expr, tensor), number, span)
            }
            Arithmetic::Sub => {
                if self.refuse_wrong_number(number, &format!("the number beside `{}`", op.symbol())) {
                    return Bound::Poison;
                }
                let value = self.float(number);
                let own = self.label_of(tensor_expr, tensor);
                let negated = format!("minus_{own}");
                let Bound::Tensor(negated) =
                    self.with_scalar("mul_scalar", &negated, tensor, quote_spanned!(span=> -1.0), span)
                else {
                    return Bound::Poison;
                };
                let label = joined(&self.number_label(number), op.word(), &own, "add_scalar");
                self.with_scalar("add_scalar", &label, negated, value, span)
            }
            Arithmetic::Div => {
                let message = Message::new("division by a tensor")
                    .help("divide by a number: `x / 2.0`")
                    .note("the reciprocal of a quantized tensor has no useful scale, so there is no int8 kernel for it");
                self.errors.error_at(span, message);
                Bound::Poison
            }
        }
    }

    pub(super) fn negated(&mut self, expr: &Expr, span: Span) -> Bound {
        let Some(tensor) = self.tensor(expr, "the operand of `-`") else { return Bound::Poison };
        let label = format!("minus_{}", self.label_of(expr, tensor));
        self.with_scalar("mul_scalar", &label, tensor, quote_spanned!(span=> -1.0), span)
    }

    pub(super) fn with_scalar(
        &mut self,
        function: &str,
        label: &str,
        tensor: ValueId,
        argument: TokenStream,
        span: Span,
    ) -> Bound {
        self.operation(function, label, vec![tensor], vec![Argument::Expr(argument)], span)
    }

    /// Adds a call of a function of the catalogue.
    pub(super) fn operation(
        &mut self,
        function: &str,
        label: &str,
        operands: Vec<ValueId>,
        arguments: Vec<Argument>,
        span: Span,
    ) -> Bound {
        let Some(function) = Function::named(function) else { return Bound::Poison };
        let name = self.names.operation(label);
        let callee = Callee::Function(FunctionCall { function, arguments });
        let operation = Operation { callee, operands, shape_operands: Vec::new(), name };
        self.push_op(operation, Wanted::One, span)
    }
}

fn as_size(bound: Bound) -> Size {
    match bound {
        Bound::Size(size) => size,
        Bound::Number(number) => Size::Number(number),
        _ => Size::Number(TokenStream::new()),
    }
}

fn side(op: Arithmetic) -> String {
    format!("the operand of `{}`", op.symbol())
}

fn negative(value: &TokenStream, number: &Expr) -> TokenStream {
    match number {
        Expr::Lit(_) => quote!(-#value),
        _ => quote_spanned!(number.span()=> -(#value)),
    }
}
