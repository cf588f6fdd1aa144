//! Writes: queued at once, answered when they are as durable as was promised.

use std::sync::atomic::Ordering;

use crate::core::error_kind::ErrorKind;
use crate::core::limits::GROUP_BYTES_MAX;
use crate::store::commit::operation::{Operation, Receipt, Request, Ticket};
use crate::store::error::StoreError;

use super::handle::Node;
use crate::node::commit::committer::CommitDriver;
use crate::node::commit::queue::NotQueued;
use crate::node::failure::{ErrorCode, Failure};
use crate::node::shared::Shared;

impl Node {
    fn not_queued(why: NotQueued) -> Failure {
        match why {
            NotQueued::Closed => Failure::not_open(),
            NotQueued::Full => Failure::new(
                ErrorCode::InvalidState,
                ErrorKind::QueueFull,
                "too many writes are waiting: try again after the next commit",
            )
            .retryable(),
        }
    }

    /// Queues a write. Does not wake the committer: call [`Self::wake`] after a burst.
    #[doc(hidden)]
    pub fn submit(&self, operation: Operation) -> Result<Ticket, NotQueued> {
        let bytes = operation.bytes();
        self.shared
            .queue
            .submit(bytes, |ticket| Request::Write { ticket, operation })
    }

    /// Queues writes that become visible and durable together.
    #[doc(hidden)]
    pub fn submit_batch(&self, operations: Vec<Operation>) -> Result<Ticket, NotQueued> {
        let bytes = operations.iter().map(Operation::bytes).sum();
        self.shared
            .queue
            .submit(bytes, |ticket| Request::Batch { ticket, operations })
    }

    /// Checks that writes of that size together fit one frame.
    ///
    /// # Errors
    /// If several operations together are larger than a frame may be.
    pub fn check_batch(operations: &[Operation]) -> Result<(), StoreError> {
        let bytes = operations.iter().map(Operation::bytes).sum();
        if operations.len() > 1 && bytes > GROUP_BYTES_MAX {
            return Err(StoreError::BatchTooLarge { bytes });
        }
        Ok(())
    }

    /// Wakes the committer, which takes the queued writes.
    #[doc(hidden)]
    pub fn wake(&self) {
        self.shared.queue.wake();
    }

    /// True if a caller that has queued one write should call [`Self::commit_inline`] at the end of its turn, instead
    /// of waking the committer.
    #[doc(hidden)]
    pub fn is_lone(&self) -> bool {
        let shared = &self.shared;
        shared.inline_commit.are_awaited(shared.clock.elapsed_us()) && shared.queue.is_lone()
    }

    /// Inline commit: commits the queued write on the calling thread, if it is a single small one, nothing else is
    /// under way, and the disk is quick: handing it over and waiting for the answer would take longer. Only this caller
    /// gets the receipt. In any other case the commit thread takes it.
    #[doc(hidden)]
    pub fn commit_inline(&self) -> Option<Receipt> {
        let shared = &self.shared;
        let committed = if shared.inline_commit.are_awaited(shared.clock.elapsed_us()) {
            let commit_slot = self.commit_slot.try_lock();
            commit_slot.and_then(|mut commit_slot| {
                commit_slot.as_mut().and_then(CommitDriver::commit_inline)
            })
        } else {
            None
        };
        if committed.is_none() {
            self.wake();
        }
        committed
    }

    /// Writes, and waits until the write is as durable as was promised.
    ///
    /// # Errors
    /// If the write is malformed, or was refused: then nothing of it is visible in this opening. If the log failed while
    /// the write was under way, it may be there after the next opening; the message says so.
    ///
    /// # Cancel safety
    /// The write is queued when the future is first polled. Dropping the future after that only gives up the answer: the
    /// write commits all the same.
    pub async fn write(&self, operation: Operation) -> Result<Receipt, Failure> {
        self.check_value(operation.value().len())?;
        let bytes = operation.bytes();
        self.request(bytes, |ticket| Request::Write { ticket, operation })
            .await
    }

    /// Checks the size of a value.
    pub(in crate::node) fn check_value(&self, bytes: usize) -> Result<(), StoreError> {
        let limit = self.value_bytes_max();
        if bytes > limit {
            Err(StoreError::ValueTooLarge { bytes, limit })
        } else {
            Ok(())
        }
    }

    /// Writes as [`Self::write`] does, from a thread that may block. Must not be called in an async task.
    ///
    /// # Errors
    /// As of [`Self::write`].
    pub fn write_blocking(&self, operation: Operation) -> Result<Receipt, Failure> {
        self.check_value(operation.value().len())?;
        let bytes = operation.bytes();
        let receiver = self.enqueue(bytes, |ticket| Request::Write { ticket, operation })?;
        receiver.blocking_recv().map_err(|_| Failure::not_open())?
    }

    fn enqueue(
        &self,
        bytes: usize,
        request: impl FnOnce(Ticket) -> Request,
    ) -> Result<tokio::sync::oneshot::Receiver<Result<Receipt, Failure>>, Failure> {
        if let Some(refusal) = self.refusal() {
            return Err(refusal);
        }
        let mut receiver = None;
        self.shared
            .queue
            .submit(bytes, |ticket| {
                receiver = Some(self.shared.waiters.wait_for(ticket));
                request(ticket)
            })
            .map_err(Self::not_queued)?;
        self.wake();
        receiver.ok_or_else(|| Failure::internal("a request was queued without its waiter"))
    }

    async fn request(
        &self,
        bytes: usize,
        request: impl FnOnce(Ticket) -> Request,
    ) -> Result<Receipt, Failure> {
        self.enqueue(bytes, request)?
            .await
            .map_err(|_| Failure::not_open())?
    }

    /// Makes everything durable that was accepted so far, whatever `auto_flush` says.
    ///
    /// # Errors
    /// If the log fails; then every later write is refused.
    ///
    /// # Cancel safety
    /// Dropping the future ends the wait; a flush that is queued is carried out.
    pub async fn flush(&self) -> Result<(), Failure> {
        self.shared.flush().await
    }

    /// Sends a request to the committer; see [`Shared::request_apart`].
    pub(in crate::node) async fn request_apart(
        &self,
        bytes: usize,
        request: impl FnOnce(Ticket) -> Request,
    ) -> Result<Receipt, Failure> {
        self.shared.request_apart(bytes, request).await
    }
}

impl Shared {
    /// Makes everything durable that was accepted so far; see [`Node::flush`].
    pub(in crate::node) async fn flush(&self) -> Result<(), Failure> {
        self.request_apart(0, |ticket| Request::Flush { ticket })
            .await
            .map(drop)
    }

    /// Sends the committer a request whose ticket is numbered apart from those of writes, and waits for its receipt.
    async fn request_apart(
        &self,
        bytes: usize,
        request: impl FnOnce(Ticket) -> Request,
    ) -> Result<Receipt, Failure> {
        if self.is_refusing.load(Ordering::Acquire)
            && let Some(refusal) = self.refusal.lock().clone()
        {
            return Err(refusal);
        }
        let mut receiver = None;
        self.queue
            .submit_apart(bytes, |ticket| {
                receiver = Some(self.waiters.wait_for(ticket));
                request(ticket)
            })
            .map_err(Node::not_queued)?;
        match receiver {
            Some(receiver) => receiver.await.map_err(|_| Failure::not_open())?,
            None => Err(Failure::internal("a request was queued without its waiter")),
        }
    }
}
