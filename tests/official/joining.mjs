// The joining code and its MACs (docs/protocol.md, section 3).
import { createHmac, hkdfSync, randomBytes } from 'node:crypto';

// A code of 40 digits is 29 times the secret.
const CHECK = 29n;

export function newCode() {
  const number = CHECK * BigInt(`0x${randomBytes(16).toString('hex')}`);
  return number.toString().padStart(40, '0').replace(/(.{5})(?=.)/g, '$1 ');
}

function secretOf(code) {
  const number = BigInt(code.replace(/\s/g, ''));
  if (number % CHECK !== 0n) throw new Error('a digit of the joining code is wrong');
  return Buffer.from((number / CHECK).toString(16).padStart(32, '0'), 'hex');
}

function mac(code, purpose, fields) {
  const key = hkdfSync('sha256', secretOf(code), '', `eko-join-v1 ${purpose}`, 32);
  const hmac = createHmac('sha256', Buffer.from(key));
  for (const field of fields) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    hmac.update(length).update(field);
  }
  return hmac.digest('base64');
}

function description({ actor, device, identityKey, registrationId }) {
  const id = Buffer.alloc(2);
  id.writeUInt16BE(registrationId);
  return [Buffer.from(actor), Buffer.from(device), Buffer.from(identityKey, 'base64'), id];
}

export function joiningMac(code, described) {
  return mac(code, 'registration', description(described));
}

// `set` counts the nodes before the approval, and `root` is the node of the device that all active
// ones descend from.
export function approvalMac(code, described, set, rootHash) {
  const seq = Buffer.alloc(8);
  seq.writeBigUInt64BE(BigInt(set.length));
  const place = [seq, Buffer.from(set.head), Buffer.from(rootHash)];
  return mac(code, 'approval', [...description(described), ...place]);
}
