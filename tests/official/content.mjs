// The encrypted content: an activity, padded (docs/protocol.md, section 9).
import { randomUUID } from 'node:crypto';
import { CONTEXT } from './client.mjs';

const BLOCK = 160;
const END = 0x80;

export const uuid = () => `urn:uuid:${randomUUID()}`;

export function note(actor, to, sequence, deviceSets, text) {
  return {
    '@context': CONTEXT,
    type: 'Create',
    id: uuid(),
    actor,
    to: [to],
    published: new Date().toISOString(),
    'eko:sequence': sequence,
    'eko:deviceSets': deviceSets,
    object: { type: 'Note', id: uuid(), content: text, mediaType: 'text/plain' },
  };
}

export function pad(activity) {
  const bytes = Buffer.from(JSON.stringify(activity));
  const padded = Buffer.alloc(Math.ceil((bytes.length + 1) / BLOCK) * BLOCK);
  bytes.copy(padded);
  padded[bytes.length] = END;
  return padded;
}

export function unpad(padded) {
  const bytes = Buffer.from(padded);
  const end = bytes.findLastIndex((byte) => byte !== 0);
  if (bytes.length % BLOCK !== 0 || bytes[end] !== END) throw new Error('the padding is not good');
  return JSON.parse(bytes.toString('utf8', 0, end));
}
