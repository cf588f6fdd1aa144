//! Rules of the protocol that the simulator breaks on purpose, so that it can be believed when it finds nothing. A
//! production build holds none of it: there the answer is known when it is compiled.

/// A rule of PROTOCOL sections 2, 3 and 5, by what happens when it is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A cursor is taken up in whatever incarnation.
    CursorWithoutIncarnation,
    /// An opening goes on in the stretch of the one before.
    StretchWithoutOpening,
    /// An opening writes under the author of the one before.
    AuthorKept,
    /// Lineage records are not sent ahead.
    LineageLate,
    /// Whoever goes on from another node counts as having seen all of it.
    LineageUnbounded,
    /// A copied folder keeps the identity of the one that it was copied from.
    CopyUnnoticed,
    /// An opening takes another identity and does not say so.
    CopyUntold,
    /// What arrives later wins.
    OrderByArrival,
    /// Among equal stamps what is held wins.
    LocalTieBreak,
    /// The order of entries ends with the dot, whatever they contain.
    OrderWithoutContent,
    /// What entries contain is not in the fingerprint.
    FingerprintWithoutContent,
    /// A sequence that others name as this node's own moves its counter.
    SequenceFollowed,
    /// The version of an entry of a peer may be any number.
    VersionUnbounded,
    /// A peer may acknowledge what it was never sent.
    AcknowledgementUnsent,
    /// A peer may refuse what it was never sent.
    RefusalUnsent,
    /// A write is stamped by the clock alone.
    StampNotBumped,
    /// A stamp may lie as far beyond the year 9999 as there is room.
    StampUnbounded,
    /// What is said to be text is not looked at.
    TextUnchecked,
    /// Keys of users may be anything.
    KeysUnchecked,
    /// The reserved namespace is anybody's.
    SystemKeysTaken,
    /// Of what is refused among other entries its sender is not told.
    RefusedUnnamed,
    /// That the clock of a peer is far off is told to nobody.
    SkewUntold,
    /// How far the clock of a peer is off is not shown.
    SkewNotShown,
    /// A clock follows the stamps of what its node overwrites.
    ClockDragged,
    /// What a newer version has added to an entry is not sent on.
    ExtensionNotSent,
    /// What a newer version has added to an entry is not on disk.
    ExtensionNotKept,
    /// A write knows what it replaces, and not what that knew.
    VectorForgotten,
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
    /// Whoever sends goes on from what it has on record, whatever it is told.
    SenderRemembers,
    /// Ends are not compared.
    ProofSkipped,
    /// Ends that are unequal once are reason enough to reconcile.
    UnequalOnce,
    /// Whoever reconciled a moment ago may do so again.
    RepairWithoutDelay,
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
    /// A part of a large value is taken for that of any value with its dot and length.
    PartOfAnother,
    /// Removals of siblings pass large values and bulk, and so what settled the conflict.
    RemovalsPassed,
    /// What was sent ahead counts as held before the peer has said so.
    AheadUnconfirmed,
    /// Only a cursor that moves shows that something has arrived.
    OnlyCursorsProgress,
    /// A key that is rewritten while it waits to be passed on begins to wait anew.
    RelayDelayAnew,
    /// What waits for a tick holds up what is relayed behind it.
    HeldBackHoldsUp,
    /// What a peer could not store is not sent again.
    RetryNotDone,
    /// Whoever is not answered waits.
    RetryNever,
    /// Whoever is not answered in time sends again at once.
    RetryAtOnce,
    /// The delay before what was not answered is sent again is always as long.
    RetryWithoutDoubling,
    /// Where nothing was sent, nobody answers in time either.
    AttemptUnsent,
    /// What nobody answers for after all attempts is not shown as failed.
    FailureNotShown,
    /// An entry that a peer refuses holds up what is behind it.
    RefusalBlocks,
    /// An entry that a peer refuses is on no list.
    RefusalUnlisted,
    /// A peer without a log counts like one that has one.
    MemoryCounts,
    /// One acknowledgement is enough, however many are asked for.
    PolicyIgnored,
    /// What was sent and not acknowledged is pruned too.
    PruneUnacknowledged,
    /// Own writes leave without a tick.
    SentWithoutTick,
    /// A tick releases all there is.
    BatchSizeIgnored,
    /// What was received waits for a tick before it is passed on.
    RelayWaitsForTick,
    /// The feed is told to end behind what was not sent.
    EndTooFar,
    /// Whoever was granted something gets no more.
    CreditNotRenewed,
    /// A place in an epoch of the feed is good however far that stretch had come.
    StretchWithoutEnd,
    /// A hint shows that a peer holds the same.
    HintProves,
    /// That states differ has no consequences.
    UnequalIgnored,
    /// An entry that a peer refuses counts as acknowledged by it.
    RefusalCounts,
    /// Ranges with the same number of entries are equal.
    RangeEqualByCount,
    /// Unequal ranges are sent, however much of them is equal.
    RangeSentWhole,
    /// A reconciliation sends what the peer lacks, and not what it holds smaller.
    SmallerNotSent,
    /// Of two concurrent writes a reconciliation exchanges only the greater.
    LesserNotExchanged,
    /// A reconciliation covers the feed to where that is when it ends.
    CoveredToEnd,
    /// A reconciliation covers the feed before it has ended.
    CoveredEarly,
    /// A cursor passes over what was replaced, also while the power may bring that back.
    ShadowPassed,
    /// A reconciliation leaves out what waits to be passed on, and covers it.
    WaitingNotReconciled,
    /// A node whose disk has forgotten what a peer saw of its feed goes on under its identity.
    ForgottenUnheeded,
    /// A node that meets its own identity keeps it.
    TwinUnheeded,
    /// A node that is told that it has a twin keeps its identity.
    TwinNewsIgnored,
    /// A node that greets with an earlier stretch than is connected is taken for one that has restarted.
    OlderTwinUnheeded,
    /// A node that is brought what it never wrote, under its own identity, keeps that.
    TwinWritesUnheeded,
    /// A node that takes another identity writes as the same author.
    RenewedInName,
    /// Where losers are to be kept, they are not.
    LoserNotKept,
    /// A loser is kept with the time at which it was.
    KeptWithOwnStamp,
    /// A loser is kept as a write of who keeps it.
    KeptUnderOwnDot,
    /// Losers of one key are kept in one place.
    KeptInOnePlace,
    /// What is kept is not sent.
    KeptNotSent,
    /// What the value knows of is shown as a conflict too.
    KnownLoserShown,
    /// What is kept counts as a key of a user.
    KeptCounted,
    /// What is kept is a row of the outbox.
    KeptIsRow,
    /// Losers are told to nobody.
    LoserUntold,
    /// A loser is told of whenever it comes.
    LoserToldAgain,
    /// A policy does not speak.
    AssertionNotMade,
    /// A write that a policy makes is like any other.
    AssertionUnflagged,
    /// A policy also speaks where others wrote both.
    AssertionByOthers,
    /// A policy also speaks against what a policy made.
    AssertionRepeated,
    /// A write that settles a conflict does not know its versions.
    ResolvedBlindly,
    /// Losers stay kept when their conflict is settled.
    ResolvedCopiesLeft,
    /// However many losers of a key are kept, they stay.
    SiblingsUnbounded,
    /// That a loser is not kept any more, because too many were, is told to nobody.
    SiblingsDroppedUntold,
    /// A connection carries all keys, whatever both sides want of it.
    ScopeIgnored,
    /// A connection that is called for a part of the keys carries whatever the node exchanges.
    PeerScopeIgnored,
    /// A cursor on a part of a feed is taken up for more of it.
    NarrowCursorTaken,
    /// States are compared as a whole, whatever a connection carries of them.
    WholeCompared,
    /// Whoever takes a part of the keys acknowledges all.
    RowsOutsideCount,
    /// Rows are not parted anew where a peer takes other keys.
    RowsPartedOnce,
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
