// A device's keys, made and signed by libsignal, and their published form.
import { randomInt } from 'node:crypto';
import { canonical } from './canonical.mjs';
import { stores } from './stores.mjs';

const base64 = (bytes) => Buffer.from(bytes).toString('base64');

// Returns the text that a device signs to publish keys (docs/protocol.md, section 4).
export function publicationBase(members) {
  return `eko-publication-v1\0${canonical({ replacesAll: false, ...members })}`;
}

export class DeviceKeys {
  // The signature to be made wrong, and the bit of it to be flipped: {"what": …, "bit": …}.
  spoil = null;
  #next = { signed: 1, oneTime: 1, kyber: 1 };

  // `sign` is the sign bit that all signatures of the identity key shall have; without it, either.
  constructor(signal, sign) {
    this.signal = signal;
    do {
      this.identity = signal.PrivateKey.generate();
    } while (sign !== undefined && this.identity.sign(Buffer.of())[63] >> 7 !== sign);
    this.registrationId = randomInt(1, 0x4000);
    this.stores = stores(signal, this.identity, this.registrationId);
  }

  get identityKey() {
    return base64(this.identity.getPublicKey().serialize());
  }

  sign(what, bytes) {
    return this.spoilt(what, Buffer.from(this.identity.sign(Buffer.from(bytes))));
  }

  spoilt(what, bytes) {
    if (this.spoil?.what === what) bytes[this.spoil.bit >> 3] ^= 1 << (this.spoil.bit & 7);
    return bytes;
  }

  // Makes as many new keys of each kind as asked for, and returns them in their published form.
  async make({ signedPreKey = false, lastResort = false, preKeys = 0, kyberPreKeys = 0 }) {
    const made = {};
    if (signedPreKey) made.signedPreKey = await this.#signedPreKey();
    if (lastResort) {
      made.lastResortKyberPreKey = await this.#kyberPreKey('lastResortKyberPreKey');
      this.stores.kyberPreKeys.lastResorts.add(made.lastResortKyberPreKey.keyId);
    }
    const several = async (count, one) => {
      const keys = [];
      while (keys.length < count) keys.push(await one());
      return keys;
    };
    if (preKeys) made.preKeys = await several(preKeys, () => this.#preKey());
    if (kyberPreKeys) made.kyberPreKeys = await several(kyberPreKeys, () => this.#kyberPreKey('kyberPreKey'));
    return made;
  }

  async #preKey() {
    const [id, pair] = [this.#next.oneTime++, this.signal.PrivateKey.generate()];
    const key = pair.getPublicKey();
    await this.stores.preKeys.savePreKey(id, this.signal.PreKeyRecord.new(id, key, pair));
    return { keyId: id, key: base64(key.serialize()) };
  }

  async #signedPreKey() {
    const [id, pair] = [this.#next.signed++, this.signal.PrivateKey.generate()];
    const key = pair.getPublicKey();
    const signature = this.sign('signedPreKey', key.serialize());
    const record = this.signal.SignedPreKeyRecord.new(id, Date.now(), key, pair, signature);
    await this.stores.signedPreKeys.saveSignedPreKey(id, record);
    return { keyId: id, key: base64(key.serialize()), signature: base64(signature) };
  }

  async #kyberPreKey(what) {
    const [id, pair] = [this.#next.kyber++, this.signal.KEMKeyPair.generate()];
    const key = pair.getPublicKey().serialize();
    const signature = this.sign(what, key);
    const record = this.signal.KyberPreKeyRecord.new(id, Date.now(), pair, signature);
    await this.stores.kyberPreKeys.saveKyberPreKey(id, record);
    return { keyId: id, key: base64(key), signature: base64(signature) };
  }
}
