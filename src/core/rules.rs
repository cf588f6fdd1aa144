//! Rules of the protocol that the simulator breaks on purpose, so that it can be believed when it finds nothing. A
//! production build holds none of it: there the answer is known when it is compiled.

/// A rule of PROTOCOL sections 2, 3 and 5, by what happens when it is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A cursor is taken up in whatever incarnation.
    CursorWithoutIncarnation,
    /// An opening goes on in the stretch of the one before.
    StretchWithoutOpening,
    /// A copied folder keeps the identity of the one that it was copied from.
    CopyUnnoticed,
    /// No sequences are reserved where the power may take acknowledged ones.
    SequencesUnreserved,
    /// What arrives later wins.
    OrderByArrival,
    /// Among equal stamps what is held wins.
    LocalTieBreak,
    /// A write is stamped by the clock alone.
    StampNotBumped,
    /// The version of a key begins anew behind a removal.
    VersionBeginsAnew,
    /// Removals are not sent.
    RemovalsNotSent,
    /// What is not durable is sent.
    SendBeforeSync,
    /// More is sent than was granted.
    CreditIgnored,
    /// What was received is acknowledged before it is synced.
    AcknowledgeBeforeSync,
    /// The cursor is in another frame than the entries.
    CursorInAnotherFrame,
    /// Ends are not compared.
    ProofSkipped,
    /// What came from a peer is sent back to it.
    EchoSent,
    /// Whoever has no good cursor gets nothing of what there is.
    UnknownPeerAtEnd,
    /// Hints are not heeded.
    HintIgnored,
    /// What was received is passed on at once.
    RelayWithoutDelay,
    /// What was received is not passed on.
    RelayNotDone,
    /// What a peer could not store is not sent again.
    RetryNotDone,
    /// An entry that a peer refuses holds up what is behind it.
    RefusalBlocks,
    /// An entry that a peer refuses is on no list.
    RefusalUnlisted,
    /// A peer without a log counts like one that has one.
    MemoryCounts,
    /// What was sent and not acknowledged is pruned too.
    PruneUnacknowledged,
    /// Own writes leave without a tick.
    SentWithoutTick,
    /// What was received waits for a tick before it is passed on.
    RelayWaitsForTick,
}

/// Whether a rule is broken in this thread.
#[cfg(not(test))]
pub(crate) const fn is_broken(_: Rule) -> bool {
    false
}

/// A value as the rule has it, or as it is where the rule is broken.
pub(crate) fn unless<T>(rule: Rule, value: T, broken: T) -> T {
    if is_broken(rule) { broken } else { value }
}

#[cfg(test)]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Rule>> = const { std::cell::Cell::new(None) };
}

/// Whether a rule is broken in this thread.
#[cfg(test)]
pub(crate) fn is_broken(rule: Rule) -> bool {
    BROKEN.get() == Some(rule)
}

/// Breaks a rule in this thread, or none, from now on.
#[cfg(test)]
pub(crate) fn break_rule(rule: Option<Rule>) {
    BROKEN.set(rule);
}
