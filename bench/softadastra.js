// The product under measurement: the repository around this folder, or what SOFTADASTRA_SDK names.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const entry = process.env.SOFTADASTRA_SDK
  ? pathToFileURL(resolve(process.env.SOFTADASTRA_SDK)).href
  : new URL('../js/index.mjs', import.meta.url).href;

/** @returns {Promise<typeof import('@softadastra/sdk')>} the SDK's exports */
export function loadSdk() {
  return import(entry);
}
