// The device chain (docs/protocol.md, section 3): nodes are made, signed and replayed.
import { createHash } from 'node:crypto';
import { canonical } from './canonical.mjs';
import { NODE_CONTEXT } from './client.mjs';
import { decode, encode } from './multibase.mjs';

const EMPTY = { length: 0, head: null };

export const hash = (node) => createHash('sha256').update(canonical(node)).digest('hex');

export function possessionBase({ actor, device, identityKey, registrationId }) {
  return `eko-device-possession-v1\0${canonical({ actor, device, identityKey, registrationId })}`;
}

function proofBase({ proof, id, ...rest }) {
  return `eko-device-chain-v1\0${canonical(rest)}`;
}

// These two convert between the address of a device and that of its key package.
const keyPackageOf = (device) => device.replace('/device/', '/keyPackage/');
export const deviceOf = (keyPackage) => keyPackage.replace('/keyPackage/', '/device/');

// Returns a node about `device`, signed by `signer`, that follows the nodes which `set` counts. The
// last of them was made at `last`, in epoch milliseconds.
export function signedNode(kind, signer, { set = EMPTY, last = 0, device, ...described }) {
  const { actor, address, keys } = signer;
  const node = {
    '@context': NODE_CONTEXT,
    type: ['Object', kind],
    id: `${actor}/devices/${set.length}`,
    actor,
    seq: set.length,
    ...(set.head && { previous: set.head }),
    device,
    // The times of a chain never run backwards, whatever this clock says.
    published: new Date(Math.max(Date.now(), last)).toISOString(),
    ...described,
  };
  if (kind !== 'RevokeDevice') node.keyPackage = keyPackageOf(device);
  node.proof = {
    type: 'DataIntegrityProof',
    cryptosuite: 'xeddsa-2022',
    proofPurpose: 'authentication',
    verificationMethod: address,
    proofValue: encode(keys.sign('proof', proofBase(node))),
  };
  return node;
}

// Verifies a user's chain and returns the nodes of the active devices by address, in the chain's
// order, the length and head of the chain, its root (the node of the device that all of them descend
// from), and the time of the last node in epoch milliseconds.
export function replay(signal, actor, nodes) {
  let [active, set, root, last] = [new Map(), EMPTY, null, -Infinity];
  for (const node of nodes) {
    const check = (holds, what) => {
      if (!holds) throw new Error(`node ${set.length} of ${actor}: ${what}`);
    };
    const { device, identityKey, possession, proof } = node;
    check(node.actor === actor && node.seq === set.length && (node.previous ?? null) === set.head, 'is not the next one');
    const published = Date.parse(node.published);
    check(published >= last, 'is dated before the last one');
    const kind = node.type[1];
    const itself = kind === 'ResetDevices' || (kind === 'AddDevice' && set.length === 0);
    const signer = itself ? node : active.get(proof.verificationMethod);
    check(signer && signer.device === proof.verificationMethod, 'is signed by no device of then');
    const good = (by, base, text) => {
      const key = signal.PublicKey.deserialize(Buffer.from(by.identityKey, 'base64'));
      return key.verify(Buffer.from(base), decode(text));
    };
    check(good(signer, proofBase(node), proof.proofValue), 'has a bad proof');
    if (kind === 'RevokeDevice') {
      check(active.delete(device), 'revokes what is not active');
    } else {
      check(kind === 'AddDevice' || kind === 'ResetDevices', 'is of an unknown kind');
      check(identityKey && good(node, possessionBase(node), possession), 'has a bad possession');
      check(!active.has(device), 'adds what is active');
      check(Boolean(node.approvalMac) !== itself, 'has an approval, or lacks one');
      if (kind === 'ResetDevices') active = new Map();
      active.set(device, node);
      if (itself) root = node;
    }
    set = { length: set.length + 1, head: hash(node) };
    last = published;
  }
  return { active, set, root, last };
}
