// Multibase in base58btc, the encoding of proofs.
const DIGITS = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz';

export function encode(bytes) {
  const zeros = bytes.findIndex((byte) => byte !== 0);
  let text = '';
  for (let rest = BigInt(`0x${Buffer.from(bytes).toString('hex')}`); rest > 0n; rest /= 58n) {
    text = DIGITS[Number(rest % 58n)] + text;
  }
  return `z${DIGITS[0].repeat(zeros < 0 ? bytes.length : zeros)}${text}`;
}

export function decode(text) {
  const digits = [...text.slice(1)];
  const isBase58 = text[0] === 'z' && digits.every((digit) => DIGITS.includes(digit));
  if (!isBase58) throw new Error(`not base58btc: ${text}`);
  const value = digits.reduce((sum, digit) => sum * 58n + BigInt(DIGITS.indexOf(digit)), 0n);
  const hex = value === 0n ? '' : value.toString(16);
  const zeros = digits.findIndex((digit) => digit !== DIGITS[0]);
  const leading = Buffer.alloc(zeros < 0 ? digits.length : zeros);
  return Buffer.concat([leading, Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')]);
}
