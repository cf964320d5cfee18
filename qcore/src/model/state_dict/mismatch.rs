//! `StateDictMismatch`: where a state dict and a model part, and what to write if it is a prefix.

use std::collections::BTreeSet;
use std::fmt;

/// The most keys of a kind that are shown.
const SHOWN: usize = 5;
/// The most keys of a side that are compared with those of the other.
const COMPARED: usize = 128;
/// What PyTorch's wrappers put into keys, anywhere.
const WRAPPERS: [&str; 4] = ["_orig_mod.", "module.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."];

/// Keys of a state dict that do not fit a model. Printed, long lists are cut to the keys that are most like one of the
/// other side.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct StateDictMismatch {
    /// Keys that the model needs and the file does not have.
    pub missing: Vec<String>,
    /// Keys that the file has and the model does not know.
    pub unexpected: Vec<String>,
    /// Keys with another shape: (key, expected by the model, found in the file).
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Keys that more than one tensor of the model has, with the fields that hold them.
    pub shared: Vec<(String, Vec<String>)>,
}

impl StateDictMismatch {
    /// Whether the state dict fits.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
            && self.unexpected.is_empty()
            && self.misshapen.is_empty()
            && self.shared.is_empty()
    }

    /// If most keys fit after a change of all: how they differ, and what to write.
    fn advice(&self) -> Option<String> {
        let missing: BTreeSet<&str> = self.missing.iter().map(String::as_str).collect();
        let unexpected: BTreeSet<&str> = self.unexpected.iter().map(String::as_str).collect();
        let most = missing.len().min(unexpected.len()).div_ceil(2).max(1);
        let of = |count: usize, all: usize| match count == all {
            true => format!("all {all}"),
            false => format!("{count} of the {all}"),
        };
        let too_much = prefix(&unexpected, &missing).map(|(prefix, count)| {
            let keys = of(count, unexpected.len());
            let text = format!(
                "{keys} unexpected keys begin with `{prefix}` and are the model's without it: load \
                 `state_dict.strip_prefix({prefix:?})?`"
            );
            (count, text)
        });
        let too_little = prefix(&missing, &unexpected).map(|(prefix, count)| {
            let keys = of(count, missing.len());
            let text = format!(
                "{keys} missing keys begin with `{prefix}` and are in the file without it: load \
                 `state_dict.map_keys(|key| format!(\"{prefix}{{key}}\"))?`"
            );
            (count, text)
        });
        let inside = WRAPPERS.iter().map(|wrapper| {
            let fits = |key: &&&str| missing.contains(key.replace(wrapper, "").as_str());
            let count = unexpected.iter().filter(fits).count();
            let keys = of(count, unexpected.len());
            let text = format!(
                "{keys} unexpected keys are the model's without `{wrapper}`: load \
                 `state_dict.map_keys(|key| key.replace({wrapper:?}, \"\"))?`"
            );
            (count, text)
        });
        // Of several the last counts: the simplest.
        let all = inside.chain(too_little).chain(too_much);
        all.max_by_key(|(count, _)| *count).filter(|(count, _)| *count >= most).map(|(_, text)| text)
    }
}

/// That two tensors of a model have `key`, and the fields that hold them as far as they are known.
pub(super) fn shared_message(key: &str, owners: &[String]) -> String {
    let held_by = if owners.is_empty() { String::new() } else { format!(", in {}", owners.join(" and in ")) };
    format!("{key}: two tensors of the model have this key{held_by}")
}

/// What has to be taken from before most of `keys` to make them some of `others`, and from how many.
fn prefix<'a>(keys: &BTreeSet<&'a str>, others: &BTreeSet<&str>) -> Option<(&'a str, usize)> {
    let ends = |key: &'a str| key.match_indices('.').map(move |(dot, _)| key.split_at(dot + 1));
    let candidates: BTreeSet<&str> = keys
        .iter()
        .take(COMPARED)
        .flat_map(|key| ends(key).find(|(_, rest)| others.contains(rest)).map(|(prefix, _)| prefix))
        .collect();
    let count = |prefix: &str| {
        keys.iter().filter(|key| key.strip_prefix(prefix).is_some_and(|rest| others.contains(rest))).count()
    };
    candidates.into_iter().map(|prefix| (prefix, count(prefix))).max_by_key(|(_, count)| *count)
}

/// The keys that are most like one of `others`, in their own order, and how many more there are.
fn listed(keys: &[String], others: &[String]) -> String {
    let mut order: Vec<usize> = (0..keys.len()).collect();
    if keys.len() > SHOWN {
        let distance = |key: &str| {
            others
                .iter()
                .take(COMPARED)
                .map(|other| strsim::levenshtein(key, other))
                .min()
                .unwrap_or(usize::MAX)
        };
        order.truncate(COMPARED);
        order.sort_by_cached_key(|&index| distance(&keys[index]));
        order.truncate(SHOWN);
        order.sort_unstable();
    }
    let shown: Vec<&str> = order.iter().map(|&index| keys[index].as_str()).collect();
    match keys.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

impl fmt::Display for StateDictMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { missing, unexpected, misshapen, shared } = self;
        match missing.is_empty() && unexpected.is_empty() && misshapen.is_empty() {
            true => write!(f, "the model's keys meet")?,
            false => write!(f, "the state dict does not fit the model")?,
        }
        for (key, owners) in shared.iter().take(SHOWN) {
            write!(f, "\n  {}", shared_message(key, owners))?;
        }
        if let Some(advice) = self.advice() {
            return write!(f, ": {advice}");
        }
        for (what, keys, others) in [("missing", missing, unexpected), ("unexpected", unexpected, missing)] {
            if !keys.is_empty() {
                write!(f, "\n  {} {what}: {}", keys.len(), listed(keys, others))?;
            }
        }
        for (key, expected, found) in misshapen.iter().take(SHOWN) {
            write!(f, "\n  {key}: expected shape {expected:?}, found {found:?}")?;
        }
        match misshapen.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "\n  and {more} more of another shape"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(keys: &[&str], format: impl Fn(&str) -> String) -> Vec<String> {
        keys.iter().map(|key| format(key)).collect()
    }

    const MODEL: [&str; 4] = ["conv1.weight", "layers.0.conv1.weight", "layers.0.fc.bias", "fc.bias"];

    fn message(missing: Vec<String>, unexpected: Vec<String>) -> String {
        StateDictMismatch { missing, unexpected, ..StateDictMismatch::default() }.to_string()
    }

    #[test]
    fn a_prefix_is_one_line_with_what_to_write() {
        for prefix in ["module.", "model.", "_orig_mod.", "module._orig_mod.", "net.0."] {
            let text = message(keys(&MODEL, str::to_owned), keys(&MODEL, |key| format!("{prefix}{key}")));
            let write = format!(
                "all 4 unexpected keys begin with `{prefix}` and are the model's without it: load \
                                 `state_dict.strip_prefix({prefix:?})?`"
            );
            assert!(text.ends_with(&write) && !text.contains('\n'), "{text}");
        }
        // A head of its own, and a loss.
        let mut unexpected = keys(&MODEL[..3], |key| format!("model.{key}"));
        unexpected.push("loss.weight".to_owned());
        let text = message(keys(&MODEL, str::to_owned), unexpected);
        assert!(text.contains("3 of the 4 unexpected keys begin with `model.`"), "{text}");
        // The other way round.
        let text = message(keys(&MODEL, |key| format!("backbone.{key}")), keys(&MODEL, str::to_owned));
        assert!(text.contains("`state_dict.map_keys(|key| format!(\"backbone.{key}\"))?`"), "{text}");
        // In between.
        let compiled = |key: &str| match key.split_once("0.") {
            Some((before, after)) => format!("{before}0._orig_mod.{after}"),
            None => format!("_orig_mod.{key}"),
        };
        let text = message(keys(&MODEL, str::to_owned), keys(&MODEL, compiled));
        assert!(text.contains("`state_dict.map_keys(|key| key.replace(\"_orig_mod.\", \"\"))?`"), "{text}");
    }

    #[test]
    fn long_lists_are_cut_to_what_is_most_alike() {
        let missing = (0..300).map(|index| format!("layers.{index}.attention.query.weight")).collect();
        let mut unexpected: Vec<String> = (0..200).map(|index| format!("h{index}")).collect();
        unexpected.insert(50, "layers.7.attention.query.wight".to_owned());
        let text = message(missing, unexpected);
        assert!(text.contains("300 missing: ") && text.contains(" and 295 more"), "{text}");
        assert!(text.contains("201 unexpected: ") && text.contains(" and 196 more"), "{text}");
        assert!(
            text.contains("layers.7.attention.query.weight and") && text.contains("query.wight"),
            "{text}"
        );
        assert!(text.len() < 1000, "{}", text.len());
        // What is short is not cut.
        let text = message(vec!["a".into()], vec!["zebra".into(), "b.c".into()]);
        assert!(text.contains("1 missing: a\n") && text.contains("2 unexpected: zebra, b.c"), "{text}");
    }
}
