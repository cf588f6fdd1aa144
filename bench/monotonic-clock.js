// One clock for all processes of a run: Node's monotonic time counts from the same instant in every process of a
// machine on Linux, macOS and Windows, so a moment taken in one process may be subtracted from one taken in another.

/** @returns {number} nanoseconds; exact below 2^53, which is 104 days of uptime */
export function nowNs() {
  return Number(process.hrtime.bigint());
}
