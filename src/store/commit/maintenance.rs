//! Work of the committer between and after groups: syncs, watermarks, seals, and the end of the log.

use super::committer::Committer;
use super::ledger::{FeedPosition, Ledger};
use crate::core::identity::Origin;
use crate::core::rules::{Rule, is_broken, unless};
use crate::disk::storage::Storage;
use crate::store::error::StoreError;
use crate::store::maintain::recovery::Seeds;
use crate::store::record::{Record, encode};
use crate::store::scope::Scope;
use crate::wal::format::FileHeader;
use crate::wal::log::Log;
use crate::wal::log::segment::SealedLog;
use crate::wal::log::segment_removal::Removal;

/// The records of all peers of a ledger.
pub(in crate::store) fn peers_of(ledger: &Ledger) -> impl Iterator<Item = Record> + '_ {
    let peers = ledger.peers.iter();
    peers.map(|(peer, record)| Record::Peer {
        peer: *peer,
        record: record.clone(),
    })
}

impl Committer {
    /// Does nothing, unless the simulator breaks the rule that cursors lie in one frame with the entries that they
    /// cover.
    pub(in crate::store) fn append_early(
        &mut self,
        cursors: &[(Origin, FeedPosition, Scope)],
    ) -> Result<(), StoreError> {
        if let Some(log) = &mut self.log
            && is_broken(Rule::CursorInAnotherFrame)
        {
            self.buffer.clear();
            for (peer, position, scope) in cursors {
                let (peer, position, scope) = (*peer, *position, scope.clone());
                let cursor = Record::Cursor {
                    peer,
                    position,
                    scope,
                };
                encode(self.buffer.body(), &mut self.origins, &cursor);
            }
            log.append(&mut self.buffer)?;
        }
        Ok(())
    }

    /// Makes everything durable that was accepted so far. Returns the local sequence up to which everything is.
    ///
    /// # Errors
    /// If the log fails, or its path does not lead to it any more: then the next sync checks again.
    pub fn sync(&mut self) -> Result<u64, StoreError> {
        if let Some(log) = &mut self.log {
            log.sync()?;
            log.check_place()?;
        }
        self.durable_lseq = self.ledger.last_lseq;
        Ok(self.durable_lseq)
    }

    /// Appends a watermark to the log while nothing else is under way: everything before it is durable. Without it the
    /// last group could not be told from a torn one.
    pub fn watermark(&mut self) -> Result<(), StoreError> {
        Ok(self.log.as_mut().map_or(Ok(()), Log::watermark)?)
    }

    /// Seals the log; see [`Log::seal`]. `None` also without a log. A plan made before a seal must not be written after
    /// it.
    pub fn seal(
        &mut self,
        storage: &dyn Storage,
        salt: u64,
    ) -> Result<Option<SealedLog>, StoreError> {
        if !self.opening.is_empty() {
            // Pending records belong before the seal, so that the covered part holds them.
            self.write_records(&[])?;
        }
        let log = self.log.as_mut();
        let sealed = log.map_or(Ok(None), |log| log.seal(storage, salt))?;
        if sealed.is_some() {
            // Each log file numbers its origins anew.
            self.origins = self.origins.of_next_file();
            self.durable_lseq = self.ledger.last_lseq;
        }
        Ok(sealed)
    }

    /// Appends records of the node itself and makes them durable, with everything before them.
    ///
    /// # Errors
    /// If the log fails, or its path does not lead to it.
    pub fn write_records(&mut self, records: &[Record]) -> Result<(), StoreError> {
        self.check_place()?;
        self.write_records_anywhere(records)
    }

    /// Checks that the path of the log still leads to it. Always succeeds without a log.
    ///
    /// # Errors
    /// If the path leads elsewhere.
    pub fn check_place(&mut self) -> Result<(), StoreError> {
        Ok(self.log.as_mut().map_or(Ok(()), Log::check_place)?)
    }

    fn write_records_anywhere(&mut self, records: &[Record]) -> Result<(), StoreError> {
        if let Some(log) = &mut self.log {
            self.buffer.clear();
            let body = self.buffer.body();
            for record in self.opening.iter().chain(records) {
                encode(body, &mut self.origins, record);
            }
            log.append(&mut self.buffer)?;
            self.opening.clear();
            log.sync()?;
        }
        self.durable_lseq = self.ledger.last_lseq;
        Ok(())
    }

    /// Takes another identity and writes as another author from now on. Earlier writes keep the old author, and stay in
    /// this node's outbox until a peer has them. Returns once the change is durable. The caller must report it to the
    /// map with [`crate::store::state::map::EntryMap::know_authorship`]; a plan made before must not be written after.
    ///
    /// # Errors
    /// If the path of the log does not lead to it: then nothing has changed. If the log fails: then every later request
    /// is refused.
    pub fn renew(&mut self, seeds: &Seeds) -> Result<(), StoreError> {
        // After these changes only a broken log may refuse.
        self.check_place()?;
        let ledger = &mut self.ledger;
        let origin = unless(Rule::RenewedInName, seeds.origin, ledger.origin);
        ledger.take_identity(origin, seeds.lease, seeds.incarnation);
        let mut records = vec![
            Record::Identity {
                origin: ledger.origin,
                lease: ledger.lease,
                node_id: ledger.node_id.clone(),
                fresh_chain: true,
            },
            Record::Author(ledger.authorship.clone()),
            Record::Stretch {
                incarnation: seeds.incarnation,
                began_after: ledger.last_lseq,
            },
        ];
        records.extend(peers_of(ledger));
        self.write_records_anywhere(&records)
    }

    /// Ends the log cleanly: reserved sequences and stamps are on record, everything is durable, the file is trimmed.
    ///
    /// # Errors
    /// If the log fails. If the path of the log, or of a file that it needs, does not lead to it any more: the log is
    /// ended cleanly where it is, unless something else was written over it, which is left as it is.
    pub fn close(mut self) -> Result<(), StoreError> {
        let mut place = Ok(());
        if let Some(log) = &mut self.log {
            log.check_content()?;
            place = log.check_parts();
        }
        let reserve = Record::Reserve {
            sequence: self.ledger.last_sequence,
            clock: self.ledger.clock.high_water(),
        };
        self.write_records_anywhere(&[reserve])?;
        self.log.map_or(Ok(()), Log::close)?;
        Ok(place?)
    }

    /// Id of the log; `None` without one.
    pub fn file_id(&self) -> Option<[u8; 16]> {
        self.log.as_ref().map(|log| log.header().file_id)
    }

    /// The header of the log, and the number of the last appended frame; `None` without a log.
    pub fn end(&self) -> Option<(FileHeader, u64)> {
        let log = self.log.as_ref()?;
        Some((*log.header(), log.appended_frame()))
    }

    /// The last frame of the sealed parts of the log; `None` if there are none.
    pub fn sealed_frame(&self) -> Option<u64> {
        let sealed = self.log.as_ref()?.sealed();
        sealed.last().map(|part| part.last_frame)
    }

    /// Bytes that can be appended before the log has to grow; without a log, any number.
    pub fn room_bytes(&self) -> usize {
        self.log.as_ref().map_or(usize::MAX, Log::room_bytes)
    }

    /// Size of the log in bytes, sealed parts included.
    pub fn log_bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, Log::log_bytes)
    }

    /// The removal of the sealed parts of the log that a checkpoint covers. Any thread may run it before the next seal.
    /// `None` without a log.
    ///
    /// # Errors
    /// If the log has failed.
    pub fn covered(&self, covers_frame: u64) -> Result<Option<Removal>, StoreError> {
        let log = self.log.as_ref();
        Ok(log.map(|log| log.covered(covers_frame)).transpose()?)
    }

    /// Stops counting the parts that a removal has removed.
    pub fn forget(&mut self, removal: &Removal) {
        if let Some(log) = &mut self.log {
            log.forget(removal);
        }
    }
}
