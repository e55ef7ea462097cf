// Fingerprints as libsignal makes them: of two users, each an actor id and an identity key (section 9).
export const ITERATIONS = 5200;
export const VERSION = 2;

export function fingerprint(signal, mine, theirs) {
  const [me, them] = [mine, theirs].map(({ actor }) => new TextEncoder().encode(actor));
  return signal.Fingerprint.new(ITERATIONS, VERSION, me, mine.key, them, theirs.key);
}

export const displayable = (of) => of.displayableFingerprint().toString();
export const scannable = (of, encoding) => Buffer.from(of.scannableFingerprint().toBuffer()).toString(encoding);
