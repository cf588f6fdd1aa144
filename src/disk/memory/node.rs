//! One file of the memory disk: its durable bytes, the bytes that the system sees, and the changes in between.

use std::sync::Arc;

use super::content::Content;
use super::image::Choices;

/// Bytes that the disk writes whole or not at all.
pub(super) const SECTOR_BYTES: usize = 512;

const SECTOR: u64 = SECTOR_BYTES as u64;

#[derive(Clone)]
enum Pending {
    Write {
        offset: u64,
        bytes: Arc<[u8]>,
    },
    /// A write that is durable, unlike the pending ones before it.
    Through {
        offset: u64,
        bytes: Arc<[u8]>,
    },
    SetLen(u64),
}

/// A file of the memory disk; its names are kept by the disk.
#[derive(Clone, Default)]
pub(super) struct Node {
    /// The bytes that a power cut leaves at least.
    durable: Content,
    /// The bytes that the system saw when the last sync ended. They differ from `durable` where a sync failed.
    base: Content,
    /// The bytes that the system sees.
    seen: Content,
    /// Changes that led from `base` to `seen`, in order.
    pending: Vec<Pending>,
    /// The least length that the file had since its length was last made durable.
    cut_to: Option<u64>,
}

impl Node {
    pub(super) fn durable(bytes: &[u8]) -> Self {
        let content = Content::of(bytes);
        Self {
            durable: content.clone(),
            base: content.clone(),
            seen: content,
            pending: Vec::new(),
            cut_to: None,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.seen.len()
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.seen.to_vec()
    }

    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        self.seen.read(offset, buffer)
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.seen.write(offset, bytes);
        self.pending.push(Pending::Write {
            offset,
            bytes: bytes.into(),
        });
    }

    /// Marks the last write as durable.
    pub(super) fn written_through(&mut self) {
        if let Some(Pending::Write { offset, bytes }) = self.pending.pop() {
            let (start, end) = sectors(offset, bytes.len());
            let within = self.durable.len();
            self.durable.take_over(&self.seen, start, end.min(within));
            // The write stays in its place after earlier ones, which may reach the disk later.
            self.pending.push(Pending::Through { offset, bytes });
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        self.seen.set_len(len);
        self.pending.push(Pending::SetLen(len));
        self.cut_to = Some(self.cut_to.map_or(len, |least| least.min(len)));
    }

    /// Makes all writes since the last sync durable: within the durable length, or with the length.
    pub(super) fn sync(&mut self, length_too: bool) {
        if length_too {
            if let Some(least) = self.cut_to.take() {
                self.durable.set_len(self.durable.len().min(least));
            }
            self.durable.set_len(self.seen.len());
        }
        let within = self.durable.len();
        for pending in &self.pending {
            if let Pending::Write { offset, bytes } | Pending::Through { offset, bytes } = pending {
                let (start, end) = sectors(*offset, bytes.len());
                self.durable.take_over(&self.seen, start, end.min(within));
            }
        }
        self.pending.clear();
        self.base = self.seen.clone();
        if self.seen.len() > within {
            // The bytes after the durable length wait for a sync of the length.
            let mut tail = vec![0; usize::try_from(self.seen.len() - within).unwrap_or(usize::MAX)];
            self.seen.read(within, &mut tail);
            self.base.set_len(within);
            self.pending.push(Pending::Write {
                offset: within,
                bytes: tail.into(),
            });
        } else if self.seen.len() < within {
            self.base = self.durable.clone();
            self.pending.push(Pending::SetLen(self.seen.len()));
        }
    }

    /// Takes in that a sync failed: all writes stay readable, but nothing remembers that they are not durable. Lengths
    /// are kept in the journal of the file system and are not forgotten.
    pub(super) fn forget_pending(&mut self) {
        self.pending.clear();
        self.base = self.seen.clone();
        self.cut_to = Some(self.cut_to.unwrap_or(u64::MAX).min(self.seen.len()));
    }

    /// One of the states that a power cut may leave, all of it durable.
    pub(super) fn after_power_cut(&self, choices: &mut Choices) -> Self {
        let mut left = self.durable.clone();
        let mut seen = self.base.clone();
        let habit = choices.habit();
        for pending in &self.pending {
            match pending {
                Pending::SetLen(len) => {
                    seen.set_len(*len);
                    if choices.happens(habit) {
                        left.set_len(*len);
                    }
                }
                Pending::Through { offset, bytes } => {
                    seen.write(*offset, bytes);
                    let (at, end) = sectors(*offset, bytes.len());
                    left.take_over(&seen, at, end.min(left.len()));
                }
                Pending::Write { offset, bytes } => {
                    seen.write(*offset, bytes);
                    // The length may reach the disk before any of the bytes.
                    if seen.len() > left.len() && choices.happens(habit) {
                        left.set_len(seen.len());
                    }
                    let (mut at, end) = sectors(*offset, bytes.len());
                    while at < end {
                        if choices.happens(habit) {
                            left.take_over(&seen, at, at + SECTOR);
                        }
                        at += SECTOR;
                    }
                }
            }
        }
        Self {
            durable: left.clone(),
            base: left.clone(),
            seen: left,
            pending: Vec::new(),
            cut_to: None,
        }
    }
}

/// The offset of the first sector of a stretch of bytes, and the one after the last.
fn sectors(offset: u64, count: usize) -> (u64, u64) {
    let end = offset + count as u64;
    (offset / SECTOR * SECTOR, end.next_multiple_of(SECTOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every state that a power cut may leave of one-sector files, over many tries.
    fn outcomes(node: &Node) -> std::collections::BTreeSet<Vec<u8>> {
        (0..400)
            .map(|seed| node.after_power_cut(&mut Choices::new(seed)).bytes())
            .collect()
    }

    #[test]
    fn what_was_synced_stays_and_the_rest_may_be_any_state_of_its_sector() {
        let mut node = Node::durable(b"aaaa");
        node.write(0, b"b");
        node.sync(false);
        node.write(1, b"c");
        node.write(2, b"d");
        let expected = [&b"baaa"[..], b"bcaa", b"bcda"];
        assert_eq!(outcomes(&node), expected.map(<[u8]>::to_vec).into());
    }

    #[test]
    fn sectors_are_written_in_any_order() {
        let mut node = Node::durable(&[0; 1024]);
        node.write(0, &[1]);
        node.write(512, &[2]);
        let states: std::collections::BTreeSet<_> = outcomes(&node)
            .into_iter()
            .map(|bytes| (bytes[0], bytes[512]))
            .collect();
        assert_eq!(states.len(), 4);
    }

    #[test]
    fn what_was_written_through_stays_and_what_was_written_before_may_not() {
        let mut node = Node::durable(&[0; 1024]);
        node.write(0, &[1]);
        node.write(512, &[2]);
        node.write(512, &[3]);
        node.written_through();
        let states: std::collections::BTreeSet<_> = outcomes(&node)
            .into_iter()
            .map(|bytes| (bytes[0], bytes[512]))
            .collect();
        assert_eq!(states, [(0, 3), (1, 3)].into());
        let mut failed = node.clone();
        failed.forget_pending();
        let left = outcomes(&failed);
        assert!(
            left.iter().all(|bytes| bytes[512] == 3),
            "whatever sync fails"
        );
        node.sync(false);
        assert_eq!(outcomes(&node).len(), 1);
    }

    #[test]
    fn a_length_waits_for_the_sync_of_all() {
        let mut node = Node::durable(b"");
        node.write(0, b"abc");
        node.sync(false);
        assert!(outcomes(&node).contains(&Vec::new()));
        node.sync(true);
        assert_eq!(outcomes(&node), [b"abc".to_vec()].into());
        node.set_len(1);
        node.sync(false);
        assert_eq!(outcomes(&node), [b"abc".to_vec(), b"a".to_vec()].into());
        node.set_len(2);
        node.sync(true);
        assert_eq!(outcomes(&node), [b"a\0".to_vec()].into());
    }

    #[test]
    fn what_a_failed_sync_lost_comes_back_only_when_it_is_written_anew() {
        let mut node = Node::durable(b"aaaa");
        node.write(0, b"b");
        node.forget_pending();
        node.sync(true);
        assert_eq!(node.bytes(), b"baaa");
        assert_eq!(outcomes(&node), [b"aaaa".to_vec()].into());
        node.write(3, b"c");
        node.sync(true);
        assert_eq!(outcomes(&node), [b"baac".to_vec()].into());
    }
}
