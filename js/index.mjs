// Exports the classes that `require` returns, so that `instanceof` holds for values of either kind of import.
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
