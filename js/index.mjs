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
  salvage,
  TickResult,
  Value,
  verify,
} from './index.js';
