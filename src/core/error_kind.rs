//! Kinds of errors: a stable name for each thing that can go wrong, finer than the error codes. Programs and people see
//! these names, so each stands here once, for all layers.

/// Declares the kinds, each with its name at the surface.
macro_rules! error_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// Stable name of what went wrong, finer than an error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind {
            $($(#[$doc])* $variant,)*
        }

        impl ErrorKind {
            /// The name at the surface, in snake case.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

error_kinds! {
    /// The caller's signal ended the call.
    Aborted = "aborted",
    /// Another program listens at the address.
    AddressInUse = "address_in_use",
    /// A file is at the path of the backup.
    BackupExists = "backup_exists",
    /// A batch has more operations or bytes than one commit takes.
    BatchTooLarge = "batch_too_large",
    /// A checkpoint does not hold what was written to it.
    CheckpointDamaged = "checkpoint_damaged",
    /// The file in a checkpoint's place is not one.
    CheckpointForeign = "checkpoint_foreign",
    /// The checkpoint belongs to another log.
    CheckpointMismatch = "checkpoint_mismatch",
    /// The log needs a checkpoint that is not there.
    CheckpointMissing = "checkpoint_missing",
    /// A newer version of the package wrote the checkpoint.
    CheckpointNewerVersion = "checkpoint_newer_version",
    /// The system did not open a checkpoint.
    CheckpointOpen = "checkpoint_open",
    /// The system did not read a checkpoint.
    CheckpointRead = "checkpoint_read",
    /// A checkpoint was not made, because what it would hold contradicts itself.
    CheckpointRefused = "checkpoint_refused",
    /// A checkpoint would be larger than its format can say.
    CheckpointTooLarge = "checkpoint_too_large",
    /// The system did not write a checkpoint.
    CheckpointWrite = "checkpoint_write",
    /// The node closed while the call ran.
    Closed = "closed",
    /// The node closed before what the call waited for was known.
    ClosedWhileWaiting = "closed_while_waiting",
    /// The key has no open conflict.
    ConflictNotFound = "conflict_not_found",
    /// A key had more siblings than are kept. Those that a later version has seen were removed first, then the oldest.
    ConflictVersionsDropped = "conflict_versions_dropped",
    /// A connection could not be made, for a reason that has no kind of its own.
    ConnectFailed = "connect_failed",
    /// The connection ended, or its peer went silent.
    ConnectionLost = "connection_lost",
    /// Nothing listens at the address.
    ConnectionRefused = "connection_refused",
    /// The directory of the file does not exist.
    DirectoryMissing = "directory_missing",
    /// The options do not allow discovery.
    DiscoveryDisabled = "discovery_disabled",
    /// This version has no discovery.
    DiscoveryUnsupported = "discovery_unsupported",
    /// There is no room: on the disk, in the quota, or below the largest size of a file.
    DiskFull = "disk_full",
    /// The program was told of the newest change of each key only, because it was busy.
    EventsMerged = "events_merged",
    /// Two nodes have one identity: one is a copy of the other's files.
    Identity = "identity",
    /// The node took a new identity while the call waited.
    IdentityRenewed = "identity_renewed",
    /// The address is on another machine, and connections are not encrypted.
    InsecureHost = "insecure_host",
    /// A defect of this package.
    Internal = "internal",
    /// The text is not a host and a port.
    InvalidAddress = "invalid_address",
    /// The path of a backup would share a file with a log beside it.
    InvalidBackup = "invalid_backup",
    /// An option has a value that it cannot have.
    InvalidConfiguration = "invalid_configuration",
    /// The text is not the id of a write.
    InvalidOperation = "invalid_operation",
    /// The path cannot be that of a log.
    InvalidPath = "invalid_path",
    /// The node id, address or prefixes of a peer cannot be used.
    InvalidPeer = "invalid_peer",
    /// A directory is where the file should be.
    IsDirectory = "is_directory",
    /// The key is empty.
    KeyEmpty = "key_empty",
    /// The key is longer than keys may be.
    KeyTooLong = "key_too_long",
    /// The system did not let the node listen, for a reason that has no kind of its own.
    ListenFailed = "listen_failed",
    /// The node has no log, which the call needs.
    NoLog = "no_log",
    /// The system gave no random bytes.
    NoRandomness = "no_randomness",
    /// The system gave no thread.
    NoThreads = "no_threads",
    /// Something else is where a directory of the path should be.
    NotADirectory = "not_a_directory",
    /// The peer does not let this node in.
    NotAllowed = "not_allowed",
    /// The node is not open.
    NotOpen = "not_open",
    /// The file is a device, a pipe or a socket.
    NotRegularFile = "not_regular_file",
    /// This node has not made the write, or replaced it before it was opened.
    OperationNotFound = "operation_not_found",
    /// The key is not within the prefixes that are exchanged with the peer.
    OutsidePrefixes = "outside_prefixes",
    /// A defect ended the thread that did the work.
    Panicked = "panicked",
    /// The peer has as many connections as it takes.
    PeerBusy = "peer_busy",
    /// The peer closes.
    PeerClosing = "peer_closing",
    /// The peer's program ended the connection.
    PeerDisconnected = "peer_disconnected",
    /// The peer heard nothing for too long.
    PeerIdle = "peer_idle",
    /// The peer ended the connection for a reason that this version does not know.
    PeerLeft = "peer_left",
    /// The peer is known and not connected.
    PeerNotConnected = "peer_not_connected",
    /// The peer was never met, and no address of it is known.
    PeerNotFound = "peer_not_found",
    /// The peer's version cannot do what was asked.
    PeerTooOld = "peer_too_old",
    /// The process may not read or write the file.
    PermissionDenied = "permission_denied",
    /// An earlier failure of the disk made the log refuse writes.
    Poisoned = "poisoned",
    /// The peer sent what the protocol does not allow.
    Protocol = "protocol",
    /// The two versions have no protocol in common.
    ProtocolVersion = "protocol_version",
    /// As many writes wait as are let in.
    QueueFull = "queue_full",
    /// The file system is read-only.
    ReadOnly = "read_only",
    /// A whole record does not say what this version understands.
    RecordMalformed = "record_malformed",
    /// The peer keeps another connection to this node.
    Replaced = "replaced",
    /// The node called itself.
    SelfConnection = "self_connection",
    /// The call was given up, because the node stops its transport or forgets the peer.
    Stopped = "stopped",
    /// The other side did not answer in time.
    TimedOut = "timed_out",
    /// Fewer peers than asked for can take what is waited for.
    TooFewPeers = "too_few_peers",
    /// The options do not allow a transport.
    TransportDisabled = "transport_disabled",
    /// The name of the host leads to no address.
    UnknownHost = "unknown_host",
    /// The store here cannot be read, so the peer cannot be sent what it lacks.
    Unreadable = "unreadable",
    /// The value is larger than the options allow.
    ValueTooLarge = "value_too_large",
    /// The system did not write to the log.
    WalAppend = "wal_append",
    /// The log is older than a file that belongs to it.
    WalBehind = "wal_behind",
    /// One record is larger than a frame of the log.
    WalBodyTooLarge = "wal_body_too_large",
    /// The log does not hold what was written to it.
    WalCorrupt = "wal_corrupt",
    /// A file is where the salvaged log should go.
    WalExists = "wal_exists",
    /// The system did not make the log durable.
    WalFlush = "wal_flush",
    /// The file is not a log.
    WalForeign = "wal_foreign",
    /// Another node has the log open.
    WalInUse = "wal_in_use",
    /// The log is gone, and files that belong to it are there.
    WalMissing = "wal_missing",
    /// A newer version of the package wrote the log.
    WalNewerVersion = "wal_newer_version",
    /// There is no log at the path.
    WalNotFound = "wal_not_found",
    /// The system did not open the log.
    WalOpen = "wal_open",
    /// A sealed part of the log is not there.
    WalPartMissing = "wal_part_missing",
    /// The system did not read the log.
    WalRead = "wal_read",
    /// The system did not let the log be recovered.
    WalRecover = "wal_recover",
    /// The system did not remove a file of the log.
    WalRemove = "wal_remove",
    /// The files of the open log are not at their path any more.
    WalRemoved = "wal_removed",
    /// Something else is at the path of the open log.
    WalReplaced = "wal_replaced",
    /// The system did not let the log go on in a new file.
    WalSeal = "wal_seal",
    /// Another node than the expected one is at the address.
    WrongNode = "wrong_node",
}

impl std::fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
