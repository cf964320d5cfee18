//! The check that every entry of a mapping decides something.

use super::{Entry, EntryId, QConfigMapping, matches_start};
use crate::network::{RecordedMember, Trace};
use crate::{Error, Result, suggest};

/// # Errors
/// When entries of the mapping decide for no operation of the model: all that name what it does not have, each with the
/// nearest that it has; or else all others, each with what decides in its place.
pub(crate) fn check_entries(mapping: &QConfigMapping, trace: &Trace) -> Result<()> {
    let unused = || mapping.entries().filter(|(id, _)| !trace.deciding.contains(id));
    let names: Vec<_> = unused()
        .filter(|(_, entry)| !matches(entry, trace))
        .map(|(_, entry)| (unknown(&entry, trace), nearest(&entry, trace)))
        .collect();
    if !names.is_empty() {
        return Err(Error::UnknownNames { names });
    }
    let entries: Vec<_> = unused().map(|(id, entry)| (call(id, &entry), instead(&entry, trace))).collect();
    if entries.is_empty() { Ok(()) } else { Err(Error::IneffectiveEntries { entries }) }
}

/// Whether the model has what an entry speaks of.
fn matches(entry: &Entry<'_>, trace: &Trace) -> bool {
    match entry {
        Entry::Position(module, object_type, index) => trace
            .known_positions()
            .any(|(known, of_type, count)| (known, of_type) == (*module, *object_type) && *index < count),
        Entry::Module(name) => has_module(name, trace),
        Entry::Regex(pattern) => {
            trace.members.iter().any(|member| matches_start(pattern, &member.module_path))
        }
        Entry::ObjectType(name) => trace.members.iter().any(|member| member.object_type == *name),
    }
}

fn has_module(name: &str, trace: &Trace) -> bool {
    trace.known_paths.iter().any(|path| is_inside(path, name))
}

/// Whether a path is `name`, or inside of it.
fn is_inside(path: &str, name: &str) -> bool {
    path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
}

/// What the model does not have: the entry, or just the module of a position.
fn unknown(entry: &Entry<'_>, trace: &Trace) -> String {
    match entry {
        Entry::Position(module, ..) if !module.is_empty() && !has_module(module, trace) => {
            (*module).to_owned()
        }
        _ => entry.to_string(),
    }
}

/// The nearest to an entry that the model has.
fn nearest(entry: &Entry<'_>, trace: &Trace) -> Option<String> {
    let paths = || trace.known_paths.iter().map(String::as_str);
    match entry {
        Entry::Position(module, ..) if !module.is_empty() && !has_module(module, trace) => {
            suggest::nearest(module, paths())
        }
        Entry::Position(module, object_type, index) => {
            let mut near: Vec<String> = trace
                .known_positions()
                .filter(|position| position.0 == *module)
                .map(|(module, of_type, count)| {
                    let index = if of_type == *object_type { count - 1 } else { (*index).min(count - 1) };
                    Entry::Position(module, of_type, index).to_string()
                })
                .collect();
            near.sort_unstable();
            suggest::nearest(&entry.to_string(), near.iter().map(String::as_str))
        }
        Entry::Module(name) => suggest::nearest(name, paths()),
        Entry::Regex(pattern) => suggest::nearest(pattern.as_str(), paths()),
        Entry::ObjectType(name) => {
            let types = || trace.members.iter().map(|member| member.object_type);
            let in_other_case = types().find(|known| known.eq_ignore_ascii_case(name));
            in_other_case.map(str::to_owned).or_else(|| suggest::nearest(name, types()))
        }
    }
}

/// The call that made an entry.
fn call(id: EntryId, entry: &Entry<'_>) -> String {
    match (id, entry) {
        (_, Entry::Position(module, object_type, index)) => {
            format!("module_name_object_type_order({module:?}, {object_type:?}, {index})")
        }
        (EntryId::ObjectType(_), _) => format!("object_type({:?})", entry.to_string()),
        (EntryId::Regex(_), _) => format!("module_name_regex({:?})", entry.to_string()),
        _ => format!("module({:?})", entry.to_string()),
    }
}

/// What decides in the place of an entry that matches.
fn instead(entry: &Entry<'_>, trace: &Trace) -> String {
    let is_meant = |member: &&RecordedMember| match entry {
        Entry::Position(..) => false,
        Entry::Module(name) => is_inside(&member.module_path, name) || is_inside(&member.call, name),
        Entry::Regex(pattern) => matches_start(pattern, &member.module_path),
        Entry::ObjectType(name) => member.object_type == *name,
    };
    let mut meant = trace.members.iter().filter(is_meant).peekable();
    if let Some(first) = meant.peek().copied()
        && meant.all(|member| !member.is_first)
    {
        return format!("it runs fused in `{}`, by whose entry it goes", first.call);
    }
    "a nearer entry, a `qconfig` attribute or `#[quantizable(skip)]` decides for all that it speaks of"
        .to_owned()
}
