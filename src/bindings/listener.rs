//! Commits and events of a node, on their way to JavaScript.

use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use napi::bindgen_prelude::{Array, Object, ToNapiValue};
use napi::{Env, sys};
use parking_lot::Mutex;

use super::channel::{Arguments, Channel};
use super::conflicts::NativeConflict;
use super::failure::NativeFailure;
use super::reports::signed_number;
use super::text::{key_of, value_of};
use crate::node::api::mailbox::{Event as Told, Mailbox};
use crate::node::machine::conversation::PeerEvent;
use crate::node::{
    Change, Conflict, Failure, IdentityConflict, IdentityEvent, NodeEvents, Receipt,
};

/// Counts with which [`Settled`] lets the process end once nothing is pending.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// The last ticket given to JavaScript.
    pub(super) issued: AtomicU64,
    /// The ticket up to which everything is settled and reported to JavaScript.
    pub(super) settled: AtomicU64,
}

impl Pending {
    /// Notes that JavaScript was told of everything up to this ticket. Returns the previous one.
    pub(super) fn settle(&self, ticket: u64) -> u64 {
        self.settled.swap(ticket, Ordering::Relaxed)
    }

    /// True if JavaScript waits for exactly one ticket.
    pub(super) fn is_one(&self) -> bool {
        self.issued.load(Ordering::Relaxed) == self.settled.load(Ordering::Relaxed) + 1
    }
}

/// One commit, as it is reported to JavaScript.
pub(super) struct Settled {
    highest: u64,
    receipts: Vec<Receipt>,
    failures: Vec<(u64, Failure)>,
    pending: Arc<Pending>,
    channel: std::sync::Weak<Channel<Settled>>,
}

/// A number in JavaScript's format, exact below 2^53.
#[allow(
    clippy::cast_precision_loss,
    reason = "tickets, versions and sequences stay far below 2^53"
)]
fn number(value: u64) -> f64 {
    value as f64
}

/// The numbers that [`Settled`] reports of a ticket, for one that is reported to its caller directly.
///
/// # Safety
/// `env` belongs to the call that is under way.
pub(super) unsafe fn numbers_of(env: sys::napi_env, receipt: &Receipt) -> sys::napi_value {
    let mut array = ptr::null_mut();
    // SAFETY: `env` is the environment of the call; the caller upholds this.
    unsafe {
        sys::napi_create_array_with_length(env, NUMBERS_A_TICKET, &raw mut array);
        for (place, reported) in (0..).zip([done_of(receipt), receipt.sequence]) {
            let mut value = ptr::null_mut();
            sys::napi_create_double(env, number(reported), &raw mut value);
            sys::napi_set_element(env, array, place, value);
        }
    }
    array
}

/// Version and status of a write in one number: four times the version, plus the status.
fn done_of(receipt: &Receipt) -> u64 {
    let status = u64::from(receipt.status as u8);
    receipt.version.saturating_mul(4).saturating_add(status)
}

/// Numbers for each ticket: version with status, and the operation's sequence.
const NUMBERS_A_TICKET: usize = 2;

impl Arguments for Settled {
    unsafe fn arguments(self, env: sys::napi_env) -> Vec<sys::napi_value> {
        let before = self.pending.settle(self.highest);
        if self.pending.issued.load(Ordering::Relaxed) <= self.highest
            && let Some(channel) = self.channel.upgrade()
        {
            // SAFETY: this is the channel's thread and environment.
            unsafe { channel.release(env) };
        }
        let tickets = usize::try_from(self.highest.saturating_sub(before)).unwrap_or(0);
        let mut numbers = vec![0_f64; tickets * NUMBERS_A_TICKET];
        for receipt in &self.receipts {
            let place = receipt
                .ticket
                .checked_sub(before + 1)
                .and_then(|place| usize::try_from(place).ok());
            let Some([done, sequence]) = place
                .and_then(|place| numbers.get_mut(place * NUMBERS_A_TICKET..))
                .and_then(|rest| rest.first_chunk_mut())
            else {
                continue;
            };
            *done = number(done_of(receipt));
            *sequence = number(receipt.sequence);
        }
        // SAFETY: `env` is the environment of the call; buffers have the given lengths.
        unsafe {
            let mut highest = ptr::null_mut();
            sys::napi_create_double(env, number(self.highest), &raw mut highest);
            let (mut data, mut buffer, mut results) =
                (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
            let bytes = std::mem::size_of_val(numbers.as_slice());
            if sys::napi_create_arraybuffer(env, bytes, &raw mut data, &raw mut buffer)
                != sys::Status::napi_ok
            {
                return Vec::new();
            }
            if !data.is_null() {
                ptr::copy_nonoverlapping(numbers.as_ptr(), data.cast::<f64>(), numbers.len());
            }
            let kind = sys::TypedarrayType::float64_array;
            sys::napi_create_typedarray(env, kind, numbers.len(), buffer, 0, &raw mut results);
            vec![highest, results, failures_value(env, self.failures)]
        }
    }
}

unsafe fn failures_value(env: sys::napi_env, failures: Vec<(u64, Failure)>) -> sys::napi_value {
    let mut array = ptr::null_mut();
    // SAFETY: `env` is the environment of the call; the caller upholds this.
    unsafe {
        if failures.is_empty() {
            sys::napi_get_null(env, &raw mut array);
            return array;
        }
        sys::napi_create_array_with_length(env, failures.len(), &raw mut array);
        for (place, (ticket, failure)) in failures.into_iter().enumerate() {
            let entry = || {
                let mut entry = Object::new(&Env::from_raw(env))?;
                entry.set("ticket", number(ticket))?;
                entry.set("error", NativeFailure::from(failure))?;
                ToNapiValue::to_napi_value(env, entry)
            };
            if let (Ok(entry), Ok(place)) = (entry(), u32::try_from(place)) {
                sys::napi_set_element(env, array, place, entry);
            }
        }
    }
    array
}

/// A call of JavaScript with the next event in the mailbox.
pub(super) struct Event(Arc<Mutex<Mailbox>>);

impl Arguments for Event {
    unsafe fn arguments(self, env: sys::napi_env) -> Vec<sys::napi_value> {
        let Some(event) = self.0.lock().take() else {
            return Vec::new();
        };
        // SAFETY: `env` is the environment of the call; the caller upholds this.
        let event = unsafe { event_value(env, event) };
        event.map_or_else(|_| Vec::new(), |event| vec![event])
    }
}

/// JavaScript's array of changes, in their order.
///
/// # Safety
/// `env` belongs to the call that is under way.
unsafe fn changes_value(env: &Env, changes: Vec<Change>) -> napi::Result<Array<'_>> {
    let mut list = env.create_array(u32::try_from(changes.len()).unwrap_or(u32::MAX))?;
    for (place, change) in changes.into_iter().enumerate() {
        // SAFETY: `env` is the environment of the call; the caller upholds this.
        let entry = unsafe { change_value(env, change) }?;
        list.set(u32::try_from(place).unwrap_or(u32::MAX), entry)?;
    }
    Ok(list)
}

/// JavaScript's object of one change. A removal has no property `value`.
///
/// # Safety
/// `env` belongs to the call that is under way.
unsafe fn change_value(env: &Env, change: Change) -> napi::Result<Object<'_>> {
    let mut entry = Object::new(env)?;
    // SAFETY: `env` is the environment of the call; the caller upholds this.
    unsafe {
        let object = napi::JsValue::raw(&entry);
        let key = key_of(env.raw(), &change.key);
        sys::napi_set_named_property(env.raw(), object, c"key".as_ptr(), key);
        if let Some(value) = &change.value {
            let value = value_of(env.raw(), value, change.ascii);
            sys::napi_set_named_property(env.raw(), object, c"value".as_ptr(), value);
        }
    }
    entry.set(
        "kind",
        if change.value.is_some() {
            "put"
        } else {
            "remove"
        },
    )?;
    entry.set("version", number(change.version))?;
    entry.set("local", change.node_id.is_none())?;
    entry.set("nodeId", change.node_id)?;
    Ok(entry)
}

/// JavaScript's object of one event.
///
/// # Safety
/// `env` belongs to the call that is under way.
unsafe fn event_value(env: sys::napi_env, event: Told) -> napi::Result<sys::napi_value> {
    let wrapped = Env::from_raw(env);
    let mut object = Object::new(&wrapped)?;
    match event {
        Told::Changed(changes) => {
            object.set("type", "change")?;
            // SAFETY: `env` is the environment of the call; the caller upholds this.
            object.set("changes", unsafe { changes_value(&wrapped, changes) }?)?;
        }
        Told::Conflicted(conflicts) => {
            object.set("type", "conflict")?;
            let conflicts = conflicts.into_iter().map(NativeConflict::from);
            object.set("conflicts", conflicts.collect::<Vec<_>>())?;
        }
        Told::Peer(peer) => {
            object.set("type", "peer")?;
            object.set("nodeId", peer.node_id)?;
            object.set("host", peer.host)?;
            object.set("port", u32::from(peer.port))?;
            object.set("state", peer.state.as_str())?;
            object.set("skewMs", peer.skew_ms.map(signed_number))?;
        }
        Told::Identity(identity) => {
            object.set("type", "identity")?;
            match identity {
                IdentityEvent::CopyNoticed => object.set("kind", "copy_noticed")?,
                IdentityEvent::Renamed { from } => {
                    object.set("kind", "renamed")?;
                    object.set("from", from)?;
                }
                IdentityEvent::Renewed(IdentityConflict { reason, node_id }) => {
                    object.set("kind", reason.as_str())?;
                    object.set("nodeId", node_id)?;
                }
            }
        }
        Told::Failed(failure) => {
            object.set("type", "error")?;
            object.set("error", NativeFailure::from(failure))?;
        }
    }
    // SAFETY: `env` is the environment of the call; the caller upholds this.
    unsafe { ToNapiValue::to_napi_value(env, object) }
}

/// Forwards a node's commits and events to JavaScript.
pub(super) struct Listener {
    pub(super) commits: Arc<Channel<Settled>>,
    pub(super) events: Arc<Channel<Event>>,
    pub(super) pending: Arc<Pending>,
    pub(super) mailbox: Arc<Mutex<Mailbox>>,
}

impl Listener {
    /// Puts an event into the mailbox, and calls JavaScript once for each event that this adds.
    fn post(&self, event: Told) {
        let calls = self.mailbox.lock().push(event);
        for _ in 0..calls {
            self.events.send(Event(Arc::clone(&self.mailbox)));
        }
    }
}

impl NodeEvents for Listener {
    fn committed(&self, highest: u64, receipts: &[Receipt], failures: &[(u64, Failure)]) {
        self.commits.send(Settled {
            highest,
            receipts: receipts.to_vec(),
            failures: failures.to_vec(),
            pending: Arc::clone(&self.pending),
            channel: Arc::downgrade(&self.commits),
        });
    }

    fn changed(&self, changes: Vec<Change>) {
        self.post(Told::Changed(changes));
    }

    fn conflicted(&self, conflicts: Vec<Conflict>) {
        self.post(Told::Conflicted(conflicts));
    }

    fn peer(&self, event: PeerEvent) {
        self.post(Told::Peer(event));
    }

    fn identity(&self, event: IdentityEvent) {
        self.post(Told::Identity(event));
    }

    fn failed(&self, failure: Failure) {
        self.post(Told::Failed(failure));
    }
}

/// The channels of a node that is being opened: until the node takes over, they end with their environment.
pub(super) struct Opening {
    pub(super) commits: Arc<Channel<Settled>>,
    pub(super) events: Arc<Channel<Event>>,
}

impl Opening {
    /// Adds a cleanup hook that closes the channels with their environment: a worker may be terminated while it opens.
    ///
    /// # Safety
    /// `env` belongs to the call that is under way.
    pub(super) unsafe fn hook(self: &Arc<Self>, env: sys::napi_env) {
        let data = Arc::into_raw(Arc::clone(self)).cast::<c_void>().cast_mut();
        // SAFETY: the data is a reference of its own, given back by the hook or by `unhook`.
        unsafe { sys::napi_add_env_cleanup_hook(env, Some(end), data) };
    }

    /// Removes the cleanup hook, because the node takes over. Called once.
    ///
    /// # Safety
    /// `env` is the environment that was given to [`Self::hook`], and this is its thread.
    pub(super) unsafe fn unhook(self: &Arc<Self>, env: sys::napi_env) {
        let data = Arc::as_ptr(self).cast::<c_void>().cast_mut();
        // SAFETY: the environment lives, so the hook did not run; its reference is given back.
        unsafe {
            sys::napi_remove_env_cleanup_hook(env, Some(end), data);
            drop(Arc::from_raw(data.cast::<Self>().cast_const()));
        }
    }
}

unsafe extern "C" fn end(data: *mut c_void) {
    // SAFETY: the pointer is the reference that `hook` gave away; the hook runs once.
    let opening = unsafe { Arc::from_raw(data.cast::<Opening>().cast_const()) };
    opening.commits.close();
    opening.events.close();
}
