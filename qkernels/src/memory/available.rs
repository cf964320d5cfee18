//! How much memory the machine has for this process, as the files of Linux tell; elsewhere they are not there.

use std::fs::read_to_string;
use std::path::Path;

const PAGE: usize = 4096;

/// Bytes that can be allocated without harm to anybody, as far as that is known.
pub(super) fn bytes() -> usize {
    let known = [system(), address_space(), control_groups()];
    known.into_iter().flatten().min().unwrap_or(isize::MAX as usize)
}

/// Free memory, and what the system would give up for it.
fn system() -> Option<usize> {
    let kilobytes = number_after(&read_to_string("/proc/meminfo").ok()?, "MemAvailable:")?;
    Some(kilobytes.saturating_mul(1024))
}

/// What `ulimit -v` leaves.
fn address_space() -> Option<usize> {
    let limit = number_after(&read_to_string("/proc/self/limits").ok()?, "Max address space")?;
    let pages = read_to_string("/proc/self/statm").ok()?.split(' ').next()?.parse::<usize>().ok()?;
    Some(limit.saturating_sub(pages.saturating_mul(PAGE)))
}

/// What the control groups of the process leave: a container's limit, and those around it.
fn control_groups() -> Option<usize> {
    let groups = read_to_string("/proc/self/cgroup").ok()?;
    let path_of = |controllers: &str| {
        groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            (parts.nth(1) == Some(controllers)).then(|| parts.next()).flatten()
        })
    };
    let (root, path, files) = match (path_of("memory"), path_of("")) {
        (Some(path), _) => {
            let files = ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"];
            ("/sys/fs/cgroup/memory", path, files)
        }
        (None, path) => ("/sys/fs/cgroup", path?, ["memory.max", "memory.current", "inactive_file"]),
    };
    let left = |group: &Path| {
        let number = |file: &str| read_to_string(group.join(file)).ok()?.trim().parse::<usize>().ok();
        let (limit, used) = (number(files[0])?, number(files[1])?);
        let statistics = read_to_string(group.join("memory.stat")).unwrap_or_default();
        // Cached files are given up for whoever needs memory.
        let cached = number_after(&statistics, files[2]).unwrap_or(0);
        Some(limit.saturating_sub(used.saturating_sub(cached)))
    };
    let group = Path::new(root).join(path.trim_start_matches('/'));
    group.ancestors().take_while(|group| group.starts_with(root)).filter_map(left).min()
}

/// The first number behind `name`, in the line that begins with it.
fn number_after(text: &str, name: &str) -> Option<usize> {
    text.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_by_their_names() {
        let limits = "Max data size             unlimited            unlimited            bytes\n\
                      Max address space         9223372              unlimited            bytes\n";
        assert_eq!(number_after(limits, "Max address space"), Some(9_223_372));
        assert_eq!(number_after(limits, "Max data size"), None);
        assert_eq!(number_after("MemFree:  1 kB\nMemAvailable:   24 kB\n", "MemAvailable:"), Some(24));
        assert_eq!(number_after("", "MemAvailable:"), None);
    }
}
