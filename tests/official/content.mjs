// The encrypted content: an activity, padded (docs/protocol.md, section 9).
import { randomUUID } from 'node:crypto';
import { CONTEXT } from './client.mjs';

const LENGTHS = [1024, 2048, 4096, 8192, 16384, 32768, 65536, 94080];
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
  const length = LENGTHS.find((length) => bytes.length < length);
  if (length === undefined) throw new Error('the activity is too long');
  const padded = Buffer.alloc(length);
  bytes.copy(padded);
  padded[bytes.length] = END;
  return padded;
}

export function unpad(padded) {
  const bytes = Buffer.from(padded);
  const end = bytes.findLastIndex((byte) => byte !== 0);
  if (!LENGTHS.includes(bytes.length) || bytes[end] !== END) throw new Error('the padding is not good');
  return JSON.parse(bytes.toString('utf8', 0, end));
}
