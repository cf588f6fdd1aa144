// Frames on a TCP stream for the peers that bring no transport: u32 length (little-endian), one byte of kind, body.

const HEADER_BYTES = 5;

/**
 * @param {import('node:net').Socket} socket
 * @param {number} kind a byte that both sides agree on
 * @param {Uint8Array} body
 */
export function sendFrame(socket, kind, body) {
  const header = Buffer.allocUnsafe(HEADER_BYTES);
  header.writeUInt32LE(body.length, 0);
  header[4] = kind;
  socket.cork();
  socket.write(header);
  socket.write(body);
  socket.uncork();
}

/**
 * @param {import('node:net').Socket} socket
 * @param {(kind: number, body: Buffer) => void} onFrame called for every whole frame, in order
 */
export function receiveFrames(socket, onFrame) {
  let parts = [];
  let held = 0;
  let wanted = HEADER_BYTES;
  socket.on('data', (chunk) => {
    parts.push(chunk);
    held += chunk.length;
    if (held < wanted) return;
    const bytes = parts.length === 1 ? parts[0] : Buffer.concat(parts, held);
    let at = 0;
    wanted = HEADER_BYTES;
    while (bytes.length - at >= HEADER_BYTES) {
      const end = at + HEADER_BYTES + bytes.readUInt32LE(at);
      if (end > bytes.length) {
        wanted = end - at;
        break;
      }
      onFrame(bytes[at + 4], bytes.subarray(at + HEADER_BYTES, end));
      at = end;
    }
    parts = [bytes.subarray(at)];
    held = bytes.length - at;
  });
}
