// Fingerprints of two users, as libsignal makes them from an actor id and an identity key each
// (docs/protocol.md, section 9).
export const ITERATIONS = 5200;
export const VERSION = 2;

export function fingerprint(signal, mine, theirs) {
  const [me, them] = [mine, theirs].map(({ actor }) => new TextEncoder().encode(actor));
  return signal.Fingerprint.new(ITERATIONS, VERSION, me, mine.key, them, theirs.key);
}

export const displayable = (of) => of.displayableFingerprint().toString();
export const scannable = (of, encoding) => Buffer.from(of.scannableFingerprint().toBuffer()).toString(encoding);
