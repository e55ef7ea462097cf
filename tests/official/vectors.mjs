// Prints fingerprints of fixed identities, as libsignal shows them: node vectors.mjs FOLDER
//
// The test `official` compares them with shared/client/tests/vectors/fingerprints.json.
import { createHash } from 'node:crypto';
import { displayable, fingerprint, ITERATIONS, scannable, VERSION } from './fingerprint.mjs';
import { CURRENT, load } from './library.mjs';

const PAIRS = [
  ['https://a.example/user/alice', 'https://a.example/user/bob'],
  ['https://a.example/user/alice', 'https://b.example/user/alice'],
  ['https://chat.example:8443/user/a', 'http://localhost:8080/user/z_9'],
  ['https://b.example/user/carol', 'https://a.example/user/dave'],
  ['https://xn--bcher-kva.example/user/erin', 'https://a.example/user/abcdefghijklmnopqrstuvwxyz0123'],
];

const signal = await load(process.argv[2], CURRENT);

function identity(actor, index) {
  const sha256 = (text) => createHash('sha256').update(text);
  const secret = sha256(`${index} ${actor}`).digest();
  const set = { length: index * 999 + actor.length, head: sha256(`head ${index} ${actor}`).digest('hex') };
  return { actor, set, key: signal.PrivateKey.deserialize(secret).getPublicKey() };
}

function vector(pair, index) {
  const [a, b] = pair.map((actor) => identity(actor, index));
  const [byA, byB] = [fingerprint(signal, a, b), fingerprint(signal, b, a)];
  const base64 = (key) => Buffer.from(key.serialize()).toString('base64');
  const shown = ({ actor, set, key }) => ({ actor, deviceSet: set, identityKey: base64(key) });
  return {
    a: shown(a),
    b: shown(b),
    displayable: displayable(byA),
    scannableByA: scannable(byA, 'hex'),
    scannableByB: scannable(byB, 'hex'),
  };
}

console.log(JSON.stringify({ iterations: ITERATIONS, version: VERSION, pairs: PAIRS.map(vector) }, null, 2));
