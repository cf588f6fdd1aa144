// The same classes as for `require`, so that an `instanceof` holds whichever way a value came.
export {
  Client,
  ClientOptions,
  ErrorCode,
  Key,
  NodeInfo,
  Peer,
  Result,
  SoftadastraError,
  SyncResult,
  TickResult,
  Value,
  salvage,
  verify,
} from './index.js';
