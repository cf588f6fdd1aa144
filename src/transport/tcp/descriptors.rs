//! Number of connections that a process has descriptors for.

/// Most accepted connections of a node, in all: each is an entry in what a write looks through, and has buffers.
const CONNECTIONS_MAX: usize = 4_096;

/// Divisor of the process's open files for the connections among them: the program, the log and its checkpoints have the
/// rest, so that strangers never make a local write fail.
const DESCRIPTORS_PART: u64 = 2;

/// Most accepted connections of a node, by how many files the process may open.
pub(super) fn connections_max() -> usize {
    within(open_files_max())
}

fn within(open_files: Option<u64>) -> usize {
    let part = open_files.map_or(u64::MAX, |most| most / DESCRIPTORS_PART);
    usize::try_from(part).map_or(CONNECTIONS_MAX, |part| part.clamp(1, CONNECTIONS_MAX))
}

/// Most files that this process may open; `None`: without a limit.
#[cfg(unix)]
fn open_files_max() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn open_files_max() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_descriptors_stay_for_everything_else() {
        assert_eq!(within(Some(256)), 128);
        assert_eq!(within(Some(1 << 20)), CONNECTIONS_MAX);
        assert_eq!(within(None), CONNECTIONS_MAX);
        assert_eq!(
            within(Some(0)),
            1,
            "a peer is served if the system allows it"
        );
        assert!((1..=CONNECTIONS_MAX).contains(&connections_max()));
    }
}
