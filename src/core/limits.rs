//! Limits that more than one layer must agree on, each with its reason. Checked before memory is taken.

/// Longest key of a user, in bytes of UTF-8. Keys are held in memory and travel whole in every message that names
/// them, so they are kept small.
pub const KEY_BYTES_MAX: usize = 1024;

/// Bytes that name the write of a sibling, after the key of a user: its author's 16 bytes and its sequence number.
pub const DOT_BYTES: usize = 16 + 8;

/// Longest stored key, in bytes: the namespace, a key of a user, and the name of a write to it.
pub const STORED_KEY_BYTES_MAX: usize = 1 + KEY_BYTES_MAX + DOT_BYTES;

/// Largest value, in bytes, and the default of `maxValueBytes`. A value is held whole in memory while it is written,
/// so the limit is set by small machines.
pub const VALUE_BYTES_MAX: usize = 64 << 20;

/// Longest node id, display name or version, in bytes: they are labels, and travel in every handshake.
pub const LABEL_BYTES_MAX: usize = 255;

/// Most origins in the version vector of a key. The vector of a key that more nodes have written forgets some of them,
/// never those whose writes it replaces; a forgotten origin counts as seen.
pub const VECTOR_ORIGINS_MAX: usize = 1024;

/// Most other origins in the version vector of a write that is made here. Each costs such a write up to five bytes of
/// the log for as long as the key is written, so all of them cost a kilobyte at most, whatever vectors peers send.
/// Further origins are forgotten, as where [`VECTOR_ORIGINS_MAX`] is exceeded.
pub const VECTOR_ORIGINS_WRITTEN_MAX: usize = 192;

/// Most authors that the entries of one store name, in their dots and vectors: a network of a thousand nodes that are
/// opened a thousand times each names half as many. Each takes 21 bytes of the checkpoint's meta area for good, which
/// then always has room for all.
pub const AUTHORS_MAX: usize = if cfg!(test) { 1 << 12 } else { 1 << 21 };

/// Highest version of a key. Programs read it as a JavaScript number, which is exact up to 2^53, with two bits for the
/// kind of the write; and no key is written that often. A write beyond it keeps this version.
pub const VERSION_MAX: u64 = 1 << 48;

/// Largest extension area of an entry, in bytes, that is kept and relayed for newer nodes.
pub const EXTENSION_BYTES_MAX: usize = 4096;

/// Largest body of a log frame that holds more than one operation, in bytes: bounds the time of one sync and the bytes
/// that recovery reads at once. A frame with a single operation may be larger.
pub const GROUP_BYTES_MAX: usize = 8 << 20;

/// Bytes up to which the committer fills a group when more requests wait (group commit): large enough that its sync
/// costs little a byte, small enough that the sender gets its answer while the next group is on its way, and that the
/// group's memory is still in the processor's cache when it is installed.
pub const GROUP_BYTES_TARGET: usize = 1 << 20;

/// Most bytes of writes that wait for the committer; beyond it a put waits for room.
pub const PENDING_BYTES_MAX: usize = 64 << 20;

/// Largest frame on the wire, in bytes, header and body.
pub const WIRE_FRAME_BYTES_MAX: usize = 1 << 20;

/// Largest value that travels whole, and largest chunk of a larger one, in bytes, so that a frame always has room for
/// the rest.
pub const CHUNK_BYTES_MAX: usize = 256 << 10;
