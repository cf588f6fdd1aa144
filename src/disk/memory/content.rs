//! The bytes of a file, in pages shared between all its images (copy on write).

use std::sync::{Arc, LazyLock};

/// Bytes that are shared or copied at once.
const PAGE_BYTES: usize = 4096;

type Page = [u8; PAGE_BYTES];

static ZERO_PAGE: LazyLock<Arc<Page>> = LazyLock::new(|| Arc::new([0; PAGE_BYTES]));

/// Bytes with a length; zeros from there to the end of the last page.
#[derive(Clone, Default)]
pub(super) struct Content {
    pages: Vec<Arc<Page>>,
    len: u64,
}

impl Content {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        content.write(0, bytes);
        content
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Truncates, or grows with zeros.
    pub(super) fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (index, within) = position(len);
            if within > 0
                && let Some(page) = self.pages.get_mut(index)
                && let Some(cut) = Arc::make_mut(page).get_mut(within..)
            {
                cut.fill(0);
            }
        }
        let pages = usize::try_from(len.div_ceil(PAGE_BYTES as u64)).unwrap_or(usize::MAX);
        self.pages.resize_with(pages, || Arc::clone(&ZERO_PAGE));
        self.len = len;
    }

    /// Copies bytes from `offset` on into `buffer`, up to the end. Returns their number.
    pub(super) fn read(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let count = usize::try_from(self.len.saturating_sub(offset))
            .map_or(buffer.len(), |left| left.min(buffer.len()));
        let mut done = 0;
        while done < count {
            let (index, within) = position(offset + done as u64);
            let take = (PAGE_BYTES - within).min(count - done);
            let from = self
                .pages
                .get(index)
                .and_then(|page| page.get(within..within + take));
            if let (Some(to), Some(from)) = (buffer.get_mut(done..done + take), from) {
                to.copy_from_slice(from);
            }
            done += take;
        }
        count
    }

    /// Writes `bytes` at `offset`, growing where needed.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let end = offset + bytes.len() as u64;
        if end > self.len {
            self.set_len(end);
        }
        let mut done = 0;
        while done < bytes.len() {
            let (index, within) = position(offset + done as u64);
            let take = (PAGE_BYTES - within).min(bytes.len() - done);
            if let Some(page) = self.pages.get_mut(index)
                && let Some(to) = Arc::make_mut(page).get_mut(within..within + take)
                && let Some(from) = bytes.get(done..done + take)
            {
                to.copy_from_slice(from);
            }
            done += take;
        }
    }

    /// Copies the bytes from `start` to `end` of `other`, as far as it has them; grows to hold them.
    pub(super) fn take_over(&mut self, other: &Self, start: u64, end: u64) {
        let end = end.min(other.len);
        let mut at = start;
        let mut sector = [0; super::node::SECTOR_BYTES];
        while at < end {
            let count =
                usize::try_from(end - at).map_or(sector.len(), |left| left.min(sector.len()));
            if let Some(room) = sector.get_mut(..count) {
                other.read(at, room);
                self.write(at, room);
            }
            at += count as u64;
        }
    }

    pub(super) fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.len).unwrap_or(usize::MAX)];
        self.read(0, &mut bytes);
        bytes
    }
}

/// The index of the page that holds an offset, and the place in the page.
fn position(offset: u64) -> (usize, usize) {
    let page_bytes = PAGE_BYTES as u64;
    (
        usize::try_from(offset / page_bytes).unwrap_or(usize::MAX),
        usize::try_from(offset % page_bytes).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_holds_what_a_vector_holds(
            steps in prop::collection::vec((0_u64..20_000, 0_usize..9_000, any::<u8>(), any::<bool>()), 1..12),
        ) {
            let mut content = Content::default();
            let mut model = Vec::new();
            for (offset, count, byte, cut) in steps {
                let at = usize::try_from(offset).unwrap();
                if cut {
                    content.set_len(offset);
                    model.resize(at, 0);
                } else {
                    content.write(offset, &vec![byte; count]);
                    model.resize(model.len().max(at + count), 0);
                    model[at..at + count].fill(byte);
                }
                prop_assert_eq!(content.to_vec(), model.clone());
                let copy = content.clone();
                content.write(0, b"changed");
                prop_assert_eq!(copy.to_vec(), model.clone());
                content = copy;
            }
        }
    }
}
