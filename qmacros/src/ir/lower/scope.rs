//! Variables: what each name stands for at this point of the body.

use proc_macro2::TokenStream;
use syn::Ident;
use syn::ext::IdentExt;

use super::callable::Callable;
use crate::errors::count;
use crate::ir::{SizeOperator, ValueId};

/// What is known when the model runs: a size of a tensor, and arithmetic over it.
#[derive(Clone, Debug)]
pub enum Size {
    Number(TokenStream),
    Of { tensor: ValueId, dim: TokenStream },
    Arithmetic(SizeOperator, Box<[Size; 2]>),
}

impl Size {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(a), Self::Number(b)) => a.to_string() == b.to_string(),
            (Self::Of { tensor: a, dim: i }, Self::Of { tensor: b, dim: j }) => {
                a == b && i.to_string() == j.to_string()
            }
            (Self::Arithmetic(a, left), Self::Arithmetic(b, right)) => {
                a == b && left.iter().zip(right.iter()).all(|(a, b)| a.is_same(b))
            }
            _ => false,
        }
    }
}

/// What a variable or an expression stands for.
#[derive(Clone, Debug)]
pub enum Bound {
    Tensor(ValueId),
    Tuple(Vec<Bound>),
    /// A `Vec` of tensors, of which the source shows how many there are.
    List(Vec<Bound>),
    /// An expression over literals, constants and config fields.
    Number(TokenStream),
    /// `x.size(dim)`, and arithmetic over it.
    Size(Size),
    /// `x.shape()`: the sizes of a tensor, however many.
    Shape(ValueId),
    Callable(Callable),
    /// Something that was reported already; nothing more is said about it.
    Poison,
}

impl Bound {
    pub fn describe(&self) -> String {
        match self {
            Self::Tensor(_) => "a tensor".to_owned(),
            Self::Tuple(elements) if elements.is_empty() => "nothing".to_owned(),
            Self::Tuple(elements) => format!("a tuple of {}", count(elements.len(), "value")),
            Self::List(_) => "a list of tensors".to_owned(),
            Self::Number(_) => "a number".to_owned(),
            Self::Size(_) => "a size".to_owned(),
            Self::Shape(_) => "a shape".to_owned(),
            Self::Callable(_) => "a layer".to_owned(),
            Self::Poison => "a mistake".to_owned(),
        }
    }

    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tensor(a), Self::Tensor(b)) => a == b,
            (Self::Tuple(a), Self::Tuple(b)) | (Self::List(a), Self::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_same(b))
            }
            (Self::Number(a), Self::Number(b)) => a.to_string() == b.to_string(),
            (Self::Size(a), Self::Size(b)) => a.is_same(b),
            (Self::Shape(a), Self::Shape(b)) => a == b,
            (Self::Callable(a), Self::Callable(b)) => a.float_expr.to_string() == b.float_expr.to_string(),
            (Self::Poison, Self::Poison) => true,
            _ => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariableId(usize);

#[derive(Debug)]
pub struct Variable {
    pub ident: Ident,
    pub is_mutable: bool,
    pub bound: Bound,
    pub is_read: bool,
    /// Whether it is a mistake if nothing reads it.
    pub must_be_read: bool,
}

#[derive(Debug, Default)]
pub struct Scopes {
    /// Every variable of the body, also those that went out of scope.
    variables: Vec<Variable>,
    /// The visible ones, innermost scope last.
    visible: Vec<Vec<VariableId>>,
}

impl Scopes {
    pub fn enter(&mut self) {
        self.visible.push(Vec::new());
    }

    pub fn leave(&mut self) {
        self.visible.pop();
    }

    pub fn declare(&mut self, ident: &Ident, is_mutable: bool, bound: Bound) -> VariableId {
        let id = VariableId(self.variables.len());
        self.variables.push(Variable {
            ident: ident.clone(),
            is_mutable,
            bound,
            is_read: false,
            must_be_read: false,
        });
        if let Some(scope) = self.visible.last_mut() {
            scope.push(id);
        }
        id
    }

    pub fn resolve(&self, ident: &Ident) -> Option<VariableId> {
        let name = ident.unraw();
        let visible = self.visible.iter().rev().flat_map(|scope| scope.iter().rev());
        visible.copied().find(|id| self.variables[id.0].ident.unraw() == name)
    }

    pub fn is_declared_here(&self, ident: &Ident) -> bool {
        let name = ident.unraw();
        self.visible
            .last()
            .is_some_and(|scope| scope.iter().any(|id| self.variables[id.0].ident.unraw() == name))
    }

    pub fn get(&self, id: VariableId) -> &Variable {
        &self.variables[id.0]
    }

    pub fn get_mut(&mut self, id: VariableId) -> &mut Variable {
        &mut self.variables[id.0]
    }

    /// The value of a name, which counts as a use of it.
    pub fn read(&mut self, ident: &Ident) -> Option<Bound> {
        let variable = self.resolve(ident)?;
        let variable = self.get_mut(variable);
        variable.is_read = true;
        Some(variable.bound.clone())
    }

    /// The value of a name, just looked at.
    pub fn peek(&self, ident: &Ident) -> Option<&Bound> {
        self.resolve(ident).map(|id| &self.get(id).bound)
    }

    /// Hides every variable, for the body of another function, and gives what [`Scopes::show`] takes.
    pub fn hide(&mut self) -> Vec<Vec<VariableId>> {
        std::mem::take(&mut self.visible)
    }

    pub fn show(&mut self, hidden: Vec<Vec<VariableId>>) {
        self.visible = hidden;
    }

    pub fn visible_names(&self) -> Vec<String> {
        self.visible.iter().flatten().map(|id| self.get(*id).ident.unraw().to_string()).collect()
    }

    /// The variables that should have been read and were not.
    pub fn unread(&self) -> impl Iterator<Item = &Variable> {
        let is_meant = |name: String| name.starts_with('_');
        self.variables.iter().filter(move |variable| {
            variable.must_be_read
                && !variable.is_read
                && !matches!(variable.bound, Bound::Poison)
                && !is_meant(variable.ident.to_string())
        })
    }

    /// What all variables stand for now.
    pub fn snapshot(&self) -> Vec<Bound> {
        self.variables.iter().map(|variable| variable.bound.clone()).collect()
    }

    /// Sets the variables of an earlier snapshot back and says what they stood for meanwhile.
    pub fn restore(&mut self, snapshot: &[Bound]) -> Vec<Bound> {
        let variables = self.variables.iter_mut().zip(snapshot);
        variables.map(|(variable, bound)| std::mem::replace(&mut variable.bound, bound.clone())).collect()
    }

    pub fn at(&self, index: usize) -> VariableId {
        VariableId(index)
    }
}
