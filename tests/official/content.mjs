// The encrypted content: an activity, padded (docs/protocol.md, section 9).
import { randomUUID } from 'node:crypto';
import { canonical } from './canonical.mjs';
import { hash } from './chain.mjs';
import { CONTENT_CONTEXT } from './client.mjs';
import { encode } from './multibase.mjs';

const LENGTHS = [1536, 2048, 4096, 8192, 16384, 32768, 65536, 94080];
const END = 0x80;

export const uuid = () => `urn:uuid:${randomUUID()}`;

// A fresh envelope id of a user of the server at this origin.
export const envelopeId = (origin) => `${origin}/message/${randomUUID()}`;

// The text that a device signs to state its user's device set at a time.
function headBase({ actor, device, set, published }) {
  return `eko-device-head-v1\0${canonical({ actor, device, ...set, published })}`;
}

// Returns the time as Eko writes it.
const now = () => new Date().toISOString().replace(/\.?0+Z$/, 'Z');

// Returns a note of a device, whose user has a device set. `deviceSets` are those of both users.
export function note({ actor, address: device, keys }, { to, sequence, set, deviceSets, text }) {
  const published = now();
  const signature = keys.sign('head', headBase({ actor, device, set, published }));
  return {
    '@context': CONTENT_CONTEXT,
    type: 'Create',
    id: uuid(),
    actor,
    to: [to],
    published,
    'eko:sequence': sequence,
    'eko:deviceSet': set,
    'eko:signature': encode(signature),
    'eko:deviceSetsHash': hash(deviceSets),
    object: { type: 'Note', id: uuid(), content: text, mediaType: 'text/plain' },
  };
}

// A receipt for notes of one author.
export function receipt(actor, author, ids) {
  return {
    '@context': CONTENT_CONTEXT,
    type: 'Delivered',
    id: uuid(),
    actor,
    to: [author],
    published: new Date().toISOString(),
    object: ids,
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
