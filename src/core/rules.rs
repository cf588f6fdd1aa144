//! Rules of the protocol that the simulator breaks on purpose, so that it can be believed when it finds nothing. A
//! production build contains none of this: there `is_broken` is a constant.

/// A rule of `docs/internals/replication.md`, sections 2, 3 and 5; each variant is named and described by the behavior
/// when the rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A cursor is accepted in any incarnation.
    CursorWithoutIncarnation,
    /// An opening continues the epoch of the opening before.
    StretchWithoutOpening,
    /// An opening writes under the author of the opening before.
    AuthorKept,
    /// Lineage records are not sent ahead.
    LineageLate,
    /// A node that continues another counts as having seen all of its writes.
    LineageUnbounded,
    /// A copied folder keeps the identity of its original.
    CopyUnnoticed,
    /// An opening takes another identity and does not report it.
    CopyUntold,
    /// The write that arrives later wins.
    OrderByArrival,
    /// Among equal stamps the held entry wins.
    LocalTieBreak,
    /// The order of entries ends with the dot and ignores their content.
    OrderWithoutContent,
    /// The fingerprint leaves out the content of entries.
    FingerprintWithoutContent,
    /// A sequence number that others attribute to this node moves its counter.
    SequenceFollowed,
    /// The version of a peer's entry may be any number.
    VersionUnbounded,
    /// A peer may acknowledge rows that it was never sent.
    AcknowledgementUnsent,
    /// A peer may refuse rows that it was never sent.
    RefusalUnsent,
    /// A write is stamped by the clock alone.
    StampNotBumped,
    /// A stamp may lie as far beyond the year 9999 as there is room.
    StampUnbounded,
    /// A value flagged as text is not checked.
    TextUnchecked,
    /// Keys of users may be any bytes.
    KeysUnchecked,
    /// Peers may write the reserved namespace.
    SystemKeysTaken,
    /// A sender is not told which of its entries were refused.
    RefusedUnnamed,
    /// A large clock skew of a peer is not reported.
    SkewUntold,
    /// The clock skew of a peer is not shown.
    SkewNotShown,
    /// A node's clock follows the stamps of the entries that it overwrites.
    ClockDragged,
    /// The extension area that a newer version has added to an entry is not relayed.
    ExtensionNotSent,
    /// The extension area that a newer version has added to an entry is not kept on disk.
    ExtensionNotKept,
    /// A write knows the entry that it replaces, and not the vector of that entry.
    VectorForgotten,
    /// The version of a key begins anew after a removal.
    VersionBeginsAnew,
    /// Removals are not sent.
    RemovalsNotSent,
    /// Entries that are not durable are sent.
    SendBeforeSync,
    /// More is sent than the credit allows.
    CreditIgnored,
    /// Received entries are acknowledged before they are synced.
    AcknowledgeBeforeSync,
    /// The cursor is in another frame than the entries.
    CursorInAnotherFrame,
    /// The sender continues from its own record and ignores the peer's cursor.
    SenderRemembers,
    /// Ends of feeds are not compared.
    ProofSkipped,
    /// A single unequal comparison of ends starts a reconciliation.
    UnequalOnce,
    /// A reconciliation may follow another at once.
    RepairWithoutDelay,
    /// Entries that came from a peer are sent back to it.
    EchoSent,
    /// A peer without a good cursor gets no existing entry.
    UnknownPeerAtEnd,
    /// Hints are ignored.
    HintIgnored,
    /// Received entries are relayed at once.
    RelayWithoutDelay,
    /// Received entries are not relayed.
    RelayNotDone,
    /// A part of a large value is taken for that of any value with its dot and length.
    PartOfAnother,
    /// Removals of siblings pass large values and backlogs, and so the value that settled the conflict.
    RemovalsPassed,
    /// Entries sent ahead count as held before the peer has confirmed them.
    AheadUnconfirmed,
    /// Only a moving cursor counts as progress of a peer.
    OnlyCursorsProgress,
    /// A key that is rewritten while it waits to be relayed begins to wait anew.
    RelayDelayAnew,
    /// An entry that waits for a tick holds up the relayed entries after it.
    HeldBackHoldsUp,
    /// Entries that a peer could not store are not sent again.
    RetryNotDone,
    /// Unacknowledged rows are never sent again.
    RetryNever,
    /// Unacknowledged rows are sent again without a delay.
    RetryAtOnce,
    /// The delay before a retry does not grow.
    RetryWithoutDoubling,
    /// A peer that was sent nothing counts as not answering in time.
    AttemptUnsent,
    /// Rows that stay unacknowledged after all attempts are not shown as failed.
    FailureNotShown,
    /// An entry that a peer refuses holds up the entries after it.
    RefusalBlocks,
    /// An entry that a peer refuses is on no list.
    RefusalUnlisted,
    /// The acknowledgement of a peer without a log counts like that of a durable one.
    MemoryCounts,
    /// One acknowledgement is enough, whatever the policy.
    PolicyIgnored,
    /// Rows that were sent and not acknowledged are pruned too.
    PruneUnacknowledged,
    /// Own writes are sent without a tick.
    SentWithoutTick,
    /// A tick releases all rows.
    BatchSizeIgnored,
    /// Received entries wait for a tick before they are relayed.
    RelayWaitsForTick,
    /// An END covers entries that were not sent.
    EndTooFar,
    /// Credit is granted once and never renewed.
    CreditNotRenewed,
    /// A position in an epoch is valid beyond the end of that epoch.
    StretchWithoutEnd,
    /// A hint proves that a peer holds the same state.
    HintProves,
    /// Different states have no consequences.
    UnequalIgnored,
    /// An entry that a peer refuses counts as acknowledged by it.
    RefusalCounts,
    /// Ranges with equal numbers of entries count as equal.
    RangeEqualByCount,
    /// Unequal ranges are sent whole, however much of them is equal.
    RangeSentWhole,
    /// A reconciliation sends entries that the peer lacks, and not those that it holds older.
    SmallerNotSent,
    /// Of two concurrent writes a reconciliation exchanges only the greater.
    LesserNotExchanged,
    /// A reconciliation covers the feed up to its place at the end of the reconciliation.
    CoveredToEnd,
    /// A reconciliation covers the feed before it has ended.
    CoveredEarly,
    /// A cursor passes over a replaced entry while a power cut may still bring that back.
    ShadowPassed,
    /// A reconciliation leaves out entries that wait to be relayed, and covers them.
    WaitingNotReconciled,
    /// A node whose disk has forgotten what a peer saw of its feed keeps its identity.
    ForgottenUnheeded,
    /// A node that meets its own identity keeps it.
    TwinUnheeded,
    /// A node that is told of a twin keeps its identity.
    TwinNewsIgnored,
    /// A node that greets with an earlier epoch than the connected one counts as restarted.
    OlderTwinUnheeded,
    /// A node that receives writes under its identity that it never made keeps the identity.
    TwinWritesUnheeded,
    /// A node that takes another identity goes on with the same author.
    RenewedInName,
    /// Losers are not kept where they should be.
    LoserNotKept,
    /// A sibling has the stamp of its keeping, not that of the write.
    KeptWithOwnStamp,
    /// A sibling has the dot of the node that keeps it, not that of the write.
    KeptUnderOwnDot,
    /// All losers of a key are kept under one key.
    KeptInOnePlace,
    /// Siblings are not sent.
    KeptNotSent,
    /// Losers that the value knows of are shown as a conflict too.
    KnownLoserShown,
    /// Siblings count as keys of users.
    KeptCounted,
    /// Siblings are rows of the outbox.
    KeptIsRow,
    /// Losers are not reported.
    LoserUntold,
    /// A loser is reported each time it comes.
    LoserToldAgain,
    /// A policy never rewrites a loser.
    AssertionNotMade,
    /// A write made by a policy has no flag that says so.
    AssertionUnflagged,
    /// A policy also rewrites where other nodes wrote both versions.
    AssertionByOthers,
    /// A policy also rewrites against a write made by a policy.
    AssertionRepeated,
    /// A resolution does not know the versions that it settles.
    ResolvedBlindly,
    /// Siblings stay when their conflict is settled.
    ResolvedCopiesLeft,
    /// The number of siblings of a key is not limited.
    SiblingsUnbounded,
    /// Siblings removed by the limit are not reported.
    SiblingsDroppedUntold,
    /// A connection carries all keys, whatever its scope.
    ScopeIgnored,
    /// The scope of a single peer is ignored when it is called.
    PeerScopeIgnored,
    /// A cursor of a narrow scope is accepted for a wider one.
    NarrowCursorTaken,
    /// Summaries of whole states are compared, whatever the scope of the connection.
    WholeCompared,
    /// A peer that takes a part of the keys acknowledges rows outside of it.
    RowsOutsideCount,
    /// Rows are not divided into classes anew when the scope of a peer changes.
    RowsPartedOnce,
}

/// True if the rule is broken in this thread.
#[cfg(not(test))]
pub(crate) const fn is_broken(_: Rule) -> bool {
    false
}

/// `value`, or `broken` where the rule is broken.
pub(crate) fn unless<T>(rule: Rule, value: T, broken: T) -> T {
    if is_broken(rule) { broken } else { value }
}

#[cfg(test)]
thread_local! {
    static BROKEN: std::cell::Cell<Option<Rule>> = const { std::cell::Cell::new(None) };
}

/// True if the rule is broken in this thread.
#[cfg(test)]
pub(crate) fn is_broken(rule: Rule) -> bool {
    BROKEN.get() == Some(rule)
}

/// Breaks a rule in this thread from now on, or none.
#[cfg(test)]
pub(crate) fn break_rule(rule: Option<Rule>) {
    BROKEN.set(rule);
}
