//! The choice between two connections of the same two nodes.

use super::Role;
use crate::core::identity::{Incarnation, Origin};

/// Longest time between two connections that count as one meeting at which both nodes called, in milliseconds. A later
/// connection means that the other side has lost the older one.
pub const MEETING_MS: u64 = 5_000;

/// One of the two connections, as the decision sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rival {
    /// The side of the connection that this node is on.
    pub role: Role,
    /// The epoch of the peer's feed in its HELLO.
    pub peer_incarnation: Incarnation,
}

/// The connection that survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Survivor {
    /// The existing one; close the newer.
    Older,
    /// The new one; close the older.
    Newer,
}

/// Decides which connection survives when `newer` is greeted `older_age_ms` after `older`, both with the node whose
/// origin is `theirs`. A newer connection replaces an older one, because its maker knows of no other that works. If
/// both nodes called each other at the same time, both must choose alike: then the one dialled by the lower origin
/// survives.
pub fn survivor(
    mine: Origin,
    theirs: Origin,
    older: Rival,
    newer: Rival,
    older_age_ms: u64,
) -> Survivor {
    let restarted = older.peer_incarnation != newer.peer_incarnation;
    if older.role == newer.role || restarted || older_age_ms > MEETING_MS || mine == theirs {
        return Survivor::Newer;
    }
    let lower_dials = if mine < theirs {
        Role::Dialled
    } else {
        Role::Accepted
    };
    if older.role == lower_dials {
        Survivor::Older
    } else {
        Survivor::Newer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: Origin = Origin([1; 16]);
    const HIGH: Origin = Origin([2; 16]);

    fn rival(role: Role) -> Rival {
        Rival {
            role,
            peer_incarnation: Incarnation([7; 16]),
        }
    }

    /// True if the node keeps the connection that the low node dialled, for either order of greeting.
    fn keeps_low_dialled(mine: Origin, theirs: Origin, low_first: bool) -> bool {
        let dialled_by_low = if mine == LOW {
            Role::Dialled
        } else {
            Role::Accepted
        };
        let dialled_by_high = if mine == LOW {
            Role::Accepted
        } else {
            Role::Dialled
        };
        let (older, newer) = if low_first {
            (dialled_by_low, dialled_by_high)
        } else {
            (dialled_by_high, dialled_by_low)
        };
        let kept = match survivor(mine, theirs, rival(older), rival(newer), 10) {
            Survivor::Older => older,
            Survivor::Newer => newer,
        };
        kept == dialled_by_low
    }

    #[test]
    fn both_sides_keep_the_one_dialled_by_the_lower_origin() {
        for low_first in [true, false] {
            assert!(keeps_low_dialled(LOW, HIGH, low_first));
            assert!(keeps_low_dialled(HIGH, LOW, low_first));
        }
    }

    #[test]
    fn a_newer_one_from_the_same_dialler_replaces_the_older() {
        for role in [Role::Dialled, Role::Accepted] {
            let kept = survivor(LOW, HIGH, rival(role), rival(role), 0);
            assert_eq!(kept, Survivor::Newer);
        }
    }

    #[test]
    fn a_peer_that_restarted_or_lost_the_older_is_not_held_to_it() {
        let older = rival(Role::Dialled);
        let mut newer = rival(Role::Accepted);
        assert_eq!(survivor(LOW, HIGH, older, newer, 10), Survivor::Older);
        assert_eq!(
            survivor(LOW, HIGH, older, newer, MEETING_MS + 1),
            Survivor::Newer
        );
        newer.peer_incarnation = Incarnation([8; 16]);
        assert_eq!(survivor(LOW, HIGH, older, newer, 10), Survivor::Newer);
    }
}
