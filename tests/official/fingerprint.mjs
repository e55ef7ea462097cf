// Fingerprints of two users, as libsignal makes them from a stable id and an identity key each
// (docs/protocol.md, section 9).
export const ITERATIONS = 5200;
export const VERSION = 2;

// The id of a user: the actor id, the length of their chain, and its head.
const stableId = ({ actor, set }) => new TextEncoder().encode(`${actor}\n${set.length}\n${set.head}`);

export function fingerprint(signal, mine, theirs) {
  const [me, them] = [mine, theirs].map(stableId);
  return signal.Fingerprint.new(ITERATIONS, VERSION, me, mine.key, them, theirs.key);
}

export const displayable = (of) => of.displayableFingerprint().toString();
export const scannable = (of, encoding) => Buffer.from(of.scannableFingerprint().toBuffer()).toString(encoding);
