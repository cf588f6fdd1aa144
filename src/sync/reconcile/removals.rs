//! Removals of siblings, which are sent after all other entries of a reconciliation, because the entry that settled
//! their conflict must not come after them. Peers can make a node hold any number of them, so only the lowest keys
//! are remembered, up to a limit. Where there are more, the range of the others is offered to the peer once more when
//! the first are sent, and they are found again.

use std::collections::BTreeSet;

use super::reply::Reply;
use super::view::View;
use crate::store::conflict::policy::is_sibling_removal;
use crate::store::entry::Namespace;
use crate::store::error::StoreError;
use crate::sync::message::Claim;

/// Keys that one reconciliation remembers: 4 MB of the longest ones, and so many removals that a turn which finds them
/// again is small beside sending them.
pub(super) const REMOVALS_MAX: usize = if cfg!(test) { 64 } else { 4_096 };

/// Exclusive end of the keys of siblings.
const KEPT_END: [u8; 1] = [Namespace::Conflict as u8 + 1];

/// The removals that one exchange still has to send.
#[derive(Debug, Clone, Default)]
pub(super) struct Removals {
    keys: BTreeSet<Vec<u8>>,
    /// From this key on some removals were not remembered.
    beyond: Option<Vec<u8>>,
}

impl Removals {
    /// Remembers a removal to be sent, if there is room.
    pub(super) fn note(&mut self, key: &[u8]) {
        if self
            .beyond
            .as_ref()
            .is_some_and(|beyond| key >= &beyond[..])
        {
            return;
        }
        self.keys.insert(key.to_vec());
        if self.keys.len() > REMOVALS_MAX {
            self.beyond = self.keys.pop_last();
        }
    }

    /// Moves keys of removals from the keys that the peer asks for into this set.
    pub(super) fn put_off(
        &mut self,
        view: &View<'_>,
        keys: &mut Vec<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let mut others = Vec::with_capacity(keys.len());
        for key in keys.drain(..) {
            let is_kept = key.first() == Some(&(Namespace::Conflict as u8));
            let held = if is_kept { view.get(&key)? } else { None };
            if held.is_some_and(|held| is_sibling_removal(&held.entry)) {
                self.note(&key);
            } else {
                others.push(key);
            }
        }
        *keys = others;
        Ok(())
    }

    /// Removes and returns all remembered keys; those that find no place in the message have to be noted again.
    pub(super) fn take(&mut self) -> Vec<Vec<u8>> {
        Vec::from_iter(std::mem::take(&mut self.keys))
    }

    /// Has the peer look again at the range whose removals were not remembered, once all others are sent.
    pub(super) fn ask_again(
        &mut self,
        view: &View<'_>,
        reply: &mut Reply,
    ) -> Result<(), StoreError> {
        if self.keys.is_empty()
            && let Some(from) = self.beyond.take()
        {
            let sum = view.sum(&from, &KEPT_END)?;
            reply.say(&from, &KEPT_END, Claim::Sum(sum));
        }
        Ok(())
    }

    /// True if all removals are sent.
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.beyond.is_none()
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.keys.len()
    }
}
