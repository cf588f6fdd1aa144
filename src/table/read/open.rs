//! An open checkpoint. Opening reads its first and last bytes and the top of its index, whatever its size.

use std::ops::Bound;
use std::sync::{Arc, OnceLock};

use crate::core::checksum::placed_crc;
use crate::disk::storage::{Storage, StorageFile, read_full};

use super::feed::Feed;
use super::range::RangeCursor;
use super::source::{Place, Source};
use crate::table::block::fences::Fences;
use crate::table::block::index::IndexNode;
use crate::table::cache::block_cache::BlockCache;
use crate::table::error::CheckpointError;
use crate::table::footer::{FOOTER_BYTES_MAX, Footer, FooterError};
use crate::table::format::{CHECKSUM_BYTES, ROW_BODY_BYTES_MAX, what};
use crate::table::header::{self, HEADER_BYTES, Header, HeaderError};
use crate::table::row::{Body, BodyPlace, Extent, RowRef};

/// An open checkpoint. Clones share it; any number of threads may use it.
#[derive(Clone)]
pub struct Checkpoint {
    pub(in crate::table) open: Arc<Open>,
}

/// The state that all clones share.
pub(in crate::table) struct Open {
    pub(in crate::table) source: Source,
    pub(in crate::table) footer: Footer,
    /// Format version in which the file was written.
    version: u16,
    /// The top node of the index; empty if there is no row.
    pub(in crate::table) top: Arc<[u8]>,
    /// Fences of the top node; `None` if there is no row.
    pub(in crate::table) top_fences: Option<Fences>,
    /// Fences of each node below the top, made at the first lookup in it.
    pub(in crate::table) fences: Box<[OnceLock<Fences>]>,
}

impl Checkpoint {
    /// Opens the checkpoint with that name; `None` if there is no such file. Up to `cache_bytes` of verified blocks are
    /// kept in memory. Takes a few reads and the memory of the top of the index, about 60 bytes for a megabyte of rows,
    /// whatever the size of the file.
    ///
    /// # Errors
    /// If the file is not a checkpoint, needs a newer version, or is damaged or cut off in a part that opening reads.
    /// Other parts are verified when they are read.
    pub fn open(
        storage: &dyn Storage,
        name: &str,
        cache_bytes: usize,
    ) -> Result<Option<Self>, CheckpointError> {
        let shown = storage.shown(name);
        let failed = |error: std::io::Error| CheckpointError::Open {
            file: shown.clone(),
            cause: error.into(),
        };
        let Some(file) = storage.open(name).map_err(failed)? else {
            return Ok(None);
        };
        let file_bytes = file.len().map_err(failed)?;
        let Header { salt, version } = read_header(&*file, &shown)?;
        let source = Source {
            file,
            name: shown,
            salt,
            file_bytes,
            cache: BlockCache::new(cache_bytes, file_bytes),
        };
        let footer = read_footer(&source)?;
        let place = Place {
            offset: footer.top_offset,
            bytes: source.bytes(footer.top_bytes, footer.top_offset, what::TOP)?,
            what: what::TOP,
        };
        let top = if footer.rows == 0 {
            Arc::default()
        } else {
            source.load(place)?
        };
        let node = IndexNode::parse(&top);
        let nodes = node.as_ref().map_or(0, IndexNode::len);
        let open = Open {
            source,
            top_fences: node.map(|node| Fences::of(&node, true)),
            fences: std::iter::repeat_with(OnceLock::new).take(nodes).collect(),
            footer,
            top,
            version,
        };
        Ok(Some(Self {
            open: Arc::new(open),
        }))
    }

    /// The opaque bytes that were written with the rows. Reads and verifies all of them, each time.
    pub fn meta(&self) -> Result<Vec<u8>, CheckpointError> {
        let Open { source, footer, .. } = &*self.open;
        let mut meta = Vec::new();
        let place = Place {
            offset: footer.meta_offset,
            bytes: source.bytes(footer.meta_bytes, footer.meta_offset, what::META)?,
            what: what::META,
        };
        source.check(place)?;
        meta.resize(place.bytes, 0);
        source.fill(place, &mut meta)?;
        source.verify(place, &meta)?;
        meta.truncate(meta.len().saturating_sub(CHECKSUM_BYTES));
        Ok(meta)
    }

    /// The number of the log's frame up to which the checkpoint is complete.
    pub fn covers_frame(&self) -> u64 {
        self.open.footer.covers_frame
    }

    /// Format version in which the file was written.
    pub fn format_version(&self) -> u16 {
        self.open.version
    }

    /// Number of rows.
    pub fn rows(&self) -> u32 {
        self.open.footer.rows
    }

    /// The sum of all rows, modulo 2^128.
    pub fn sum(&self) -> u128 {
        self.open.footer.sum
    }

    /// Length of the file, in bytes.
    pub fn file_bytes(&self) -> u64 {
        self.open.source.file_bytes
    }

    /// The numbers that the writer left for readers.
    pub fn notes(&self) -> &[u64] {
        &self.open.footer.notes
    }

    /// Name of the file, as the user gave it.
    pub fn file(&self) -> &str {
        &self.open.source.name
    }

    /// The body of a row of this checkpoint. Reads nothing if it lies in the row's block.
    pub fn body(&self, row: &RowRef) -> Result<Body, CheckpointError> {
        let extent = match &row.body {
            BodyPlace::Inline(range) => return Ok(Body::inline(&row.block, range)),
            BodyPlace::Extent(extent) => extent,
        };
        Ok(Body::whole(self.body_at(extent)?))
    }

    /// The body at a place outside of its row's block.
    pub(in crate::table) fn body_at(&self, extent: &Extent) -> Result<Arc<[u8]>, CheckpointError> {
        let source = &self.open.source;
        let place = Place {
            offset: extent.offset,
            bytes: extent.bytes as usize,
            what: what::BODY,
        };
        if place.bytes > ROW_BODY_BYTES_MAX {
            return Err(source.damaged(place.offset, place.what));
        }
        let bytes = source.read(place)?;
        if placed_crc(source.salt, place.offset, &[&bytes]) != extent.checksum {
            return Err(source.damaged(place.offset, place.what));
        }
        Ok(bytes)
    }

    /// A cursor over the rows from a key on, in ascending order.
    pub fn range(&self, from: Bound<&[u8]>) -> Result<RangeCursor, CheckpointError> {
        RangeCursor::new(self.clone(), from)
    }

    /// The feed of a stream: its rows in the order of local sequences. Empty for a stream that does not exist.
    pub fn feed(&self, stream: u8) -> Feed {
        let place = self.open.footer.feeds.get(usize::from(stream)).copied();
        Feed::new(self.clone(), stream, place.unwrap_or_default())
    }
}

impl std::fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checkpoint")
            .field("file", &self.open.source.name)
            .field("footer", &self.open.footer)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// A length from the footer as `usize`; an error if memory cannot have it.
    fn bytes(&self, bytes: u64, offset: u64, what: &'static str) -> Result<usize, CheckpointError> {
        usize::try_from(bytes).map_err(|_| self.damaged(offset, what))
    }
}

pub(in crate::table) fn read_header(
    file: &dyn StorageFile,
    shown: &str,
) -> Result<Header, CheckpointError> {
    let mut bytes = [0; HEADER_BYTES];
    let read = read_full(file, 0, &mut bytes).map_err(|error| CheckpointError::Read {
        file: shown.to_owned(),
        offset: 0,
        cause: error.into(),
    })?;
    header::decode(bytes.get(..read).unwrap_or_default()).map_err(|error| match error {
        HeaderError::Foreign => CheckpointError::Foreign {
            file: shown.to_owned(),
        },
        HeaderError::Newer(version) => CheckpointError::NewerVersion {
            file: shown.to_owned(),
            needs: format!("format {version}"),
        },
        HeaderError::Damaged => CheckpointError::Damaged {
            file: shown.to_owned(),
            offset: 0,
            what: what::HEADER,
        },
    })
}

pub(in crate::table) fn read_footer(source: &Source) -> Result<Footer, CheckpointError> {
    let bytes = usize::try_from(source.file_bytes)
        .map_or(FOOTER_BYTES_MAX, |bytes| bytes.min(FOOTER_BYTES_MAX));
    let place = Place {
        offset: source.file_bytes - bytes as u64,
        bytes,
        what: what::FOOTER,
    };
    let mut end = vec![0; bytes];
    source.fill(place, &mut end)?;
    Footer::decode(&end, source.salt, source.file_bytes).map_err(|error| match error {
        FooterError::Damaged => source.damaged(place.offset, place.what),
        FooterError::Newer(field) => CheckpointError::NewerVersion {
            file: source.name.clone(),
            needs: format!("field {field} of a checkpoint"),
        },
    })
}
