'use strict';

// Exports of the package to `require`.

const { Client } = require('./client.js');
const { ClientOptions } = require('./client-options.js');
const { ErrorCode, SoftadastraError } = require('./error.js');
const { Key } = require('./key.js');
const { NodeInfo } = require('./node-info.js');
const { Peer } = require('./peer.js');
const { Result } = require('./result.js');
const { salvage, verify } = require('./store-files.js');
const { SyncResult } = require('./sync-result.js');
const { TickResult } = require('./tick-result.js');
const { Value } = require('./value.js');

module.exports = {
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
};
