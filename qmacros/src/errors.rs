//! `Errors`: collect, join, must be drained; the form of a message.

use std::fmt;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// What is wrong, what to write instead, why: see the display form.
#[derive(Debug)]
pub struct Message {
    what: String,
    help: Option<String>,
    note: Option<String>,
}

impl Message {
    /// The first line: lower-case, no full stop, the user's names in backticks.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), help: None, note: None }
    }

    /// What to write instead.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The help if there is one to give.
    pub fn maybe_help(mut self, help: Option<String>) -> Self {
        self.help = help.or(self.help);
        self
    }

    /// Why.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = Some(note.into());
        self
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.help.is_some() || self.note.is_some() {
            f.write_str("\n")?;
        }
        if let Some(help) = &self.help {
            write!(f, "\nhelp: {help}")?;
        }
        if let Some(note) = &self.note {
            write!(f, "\nnote: {note}")?;
        }
        Ok(())
    }
}

/// All that was found wrong so far.
#[derive(Debug, Default)]
pub struct Errors {
    found: Vec<syn::Error>,
}

impl Errors {
    pub fn new() -> Self {
        Self::default()
    }

    /// An error that underlines `place`, from its first token to its last.
    pub fn error(&mut self, place: impl ToTokens, message: impl fmt::Display) {
        self.found.push(syn::Error::new_spanned(place, message));
    }

    pub fn error_at(&mut self, span: Span, message: impl fmt::Display) {
        self.found.push(syn::Error::new(span, message));
    }

    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// `Err` if anything was reported, in the order of the source.
    pub fn propagate(&mut self) -> Result<(), Reported> {
        let mut found = std::mem::take(&mut self.found);
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|error| position(error.span()));
        Err(Reported(found))
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        if !self.found.is_empty() && !std::thread::panicking() {
            panic!("errors were collected and never looked at");
        }
    }
}

/// Errors on their way to the user.
#[derive(Debug)]
pub struct Reported(pub Vec<syn::Error>);

impl ToTokens for Reported {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(self.0.iter().map(syn::Error::to_compile_error));
    }
}

/// File, line, column.
fn position(span: Span) -> (String, usize, usize) {
    if proc_macro::is_available() {
        let span = span.unwrap();
        return (span.file(), span.line(), span.column());
    }
    outside_of_a_macro(span)
}

#[cfg(test)]
fn outside_of_a_macro(span: Span) -> (String, usize, usize) {
    (String::new(), span.start().line, span.start().column)
}

#[cfg(not(test))]
fn outside_of_a_macro(_: Span) -> (String, usize, usize) {
    (String::new(), 0, 0)
}

/// The known name that `name` is most likely meant to be.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(name, known, if name.chars().count() <= 4 { 1 } else { 2 })
}

/// The known name that `name` is but for one letter, or for capitals.
pub fn slip_of<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nearest(name, known, 1)
}

fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, allowed: usize) -> Option<&'a str> {
    known
        .into_iter()
        .filter_map(|candidate| {
            let distance =
                if candidate.eq_ignore_ascii_case(name) { 0 } else { strsim::osa_distance(candidate, name) };
            (distance <= allowed && distance < candidate.chars().count()).then_some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// `` `a`, `b` and `c` ``.
pub fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.as_slice() {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `1 tensor`, `2 tensors`.
pub fn count(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}
