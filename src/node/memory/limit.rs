//! Amount of memory for this process: the limit of its container, and the memory of the machine. Read from the system
//! on Linux.

use std::path::Path;

/// Limits of control groups of version 1 from which on there is none, in bytes.
const NO_LIMIT: u64 = 1 << 60;

/// Most bytes that are read of a system file: the longest line about a control group has some hundred.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The limit of the container, and the memory of the machine, in bytes; `None` if the system does not report it.
pub(in crate::node) fn read() -> (Option<u64>, Option<u64>) {
    if !cfg!(target_os = "linux") {
        return (None, None);
    }
    let groups = read_file("/proc/self/cgroup").unwrap_or_default();
    let machine = read_file("/proc/meminfo");
    let container = container_limit(&groups, &read_file);
    (container, machine.as_deref().and_then(machine_bytes))
}

#[allow(
    clippy::disallowed_methods,
    reason = "files of the system, which are no storage"
)]
fn read_file(path: &str) -> Option<String> {
    use std::io::Read as _;
    let file = std::fs::File::open(Path::new(path)).ok()?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The least limit among the control groups of a process, of either version, and their parents. `groups` is the content
/// of `/proc/self/cgroup`; `read` returns the text of a file. Where a container hides the path of its own group, the
/// group of the whole container is at the root.
fn container_limit(groups: &str, read: &dyn Fn(&str) -> Option<String>) -> Option<u64> {
    let mut least: Option<u64> = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        let (root, file) = if controllers.is_empty() {
            ("/sys/fs/cgroup", "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            continue;
        };
        let mut group = path.trim_end_matches('/');
        loop {
            let limit = read(&format!("{root}{group}/{file}"));
            let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
            if let Some(limit) = limit.filter(|limit| *limit < NO_LIMIT) {
                least = Some(least.map_or(limit, |least| least.min(limit)));
            }
            match group.rsplit_once('/') {
                Some((above, _)) => group = above,
                None => break,
            }
        }
    }
    least
}

/// The machine's memory in bytes, from the content of `/proc/meminfo`.
fn machine_bytes(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn limit(groups: &str, files: &[(&str, &str)]) -> Option<u64> {
        let files: HashMap<&str, &str> = files.iter().copied().collect();
        container_limit(groups, &|path| {
            files.get(path).map(|text| (*text).to_owned())
        })
    }

    #[test]
    fn the_least_limit_on_the_way_up_counts() {
        let v2 = "0::/user.slice/app.service\n";
        let files = [
            ("/sys/fs/cgroup/user.slice/app.service/memory.max", "max\n"),
            ("/sys/fs/cgroup/user.slice/memory.max", "268435456\n"),
            ("/sys/fs/cgroup/memory.max", "536870912\n"),
        ];
        assert_eq!(limit(v2, &files), Some(256 << 20));
        assert_eq!(limit(v2, &files[..1]), None);
        assert_eq!(limit("0::/\n", &files), Some(512 << 20));
    }

    #[test]
    fn groups_of_the_first_version_are_read_where_memory_is_theirs() {
        let v1 = "9:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n0::/\n";
        let inside = [("/sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n")];
        assert_eq!(
            limit(v1, &inside),
            Some(256 << 20),
            "a container shows its own group at the top"
        );
        let outside = [
            (
                "/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes",
                "1048576\n",
            ),
            (
                "/sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ];
        assert_eq!(limit(v1, &outside), Some(1 << 20));
    }

    #[test]
    fn what_makes_no_sense_is_no_limit() {
        let files = [("/sys/fs/cgroup/memory.max", "-1")];
        for groups in ["", "0", "0:", "::", "memory", "0::/\n", "\u{fffd}::/a"] {
            assert_eq!(limit(groups, &files), None, "{groups}");
        }
    }

    #[test]
    fn the_memory_of_the_machine_is_read_in_kibibytes() {
        assert_eq!(
            machine_bytes("MemTotal:       24684136 kB\nMemFree: 1 kB\n"),
            Some(24_684_136 << 10)
        );
        for wrong in [
            "",
            "MemTotal: 12",
            "MemTotal: x kB",
            "MemTotal: 99999999999999999999 kB",
        ] {
            assert_eq!(machine_bytes(wrong), None, "{wrong}");
        }
    }
}
