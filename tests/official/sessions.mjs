// Sessions with other devices. libsignal's address of a device is its URL, with device number 1.
import { bound } from './library.mjs';

const NUMBER = 1;
const bytes = (text) => Buffer.from(text, 'base64');

export class Sessions {
  #own;

  constructor(library, signal, keys, address) {
    Object.assign(this, { signal, stores: keys.stores });
    this.#own = bound(library, this.#at(address));
  }

  #at(device) {
    return this.signal.ProtocolAddress.new(device, NUMBER);
  }

  has(device) {
    return this.stores.sessions.records.get(this.#at(device))?.hasCurrentState() ?? false;
  }

  // Trusts a device to have the key that its user's chain names.
  async trust({ device, identityKey }) {
    const key = this.signal.PublicKey.deserialize(bytes(identityKey));
    await this.stores.identities.saveIdentity(this.#at(device), key);
  }

  end(device) {
    this.stores.sessions.records.delete(this.#at(device));
  }

  async begin(taken) {
    const { PreKeyBundle, PublicKey, KEMPublicKey } = this.signal;
    const curve = (text) => (text ? PublicKey.deserialize(bytes(text)) : null);
    const kem = (text) => (text ? KEMPublicKey.deserialize(bytes(text)) : null);
    const signature = (text) => (text ? bytes(text) : null);
    const bundle = PreKeyBundle.new(
      taken.registrationId,
      NUMBER,
      taken.preKeyId ?? null,
      curve(taken.preKey),
      taken.signedPreKeyId,
      curve(taken.signedPreKey),
      signature(taken.signedPreKeySignature),
      curve(taken.identityKey),
      taken.kyberPreKeyId ?? null,
      kem(taken.kyberPreKey),
      signature(taken.kyberPreKeySignature),
    );
    await this.signal.processPreKeyBundle(bundle, ...this.#session(taken.device));
  }

  // Returns the arguments that name a session with a device, for the library's functions.
  #session(device) {
    return [this.#at(device), ...this.#own, this.stores.sessions, this.stores.identities];
  }

  async seal(device, plaintext) {
    const sealed = await this.signal.signalEncrypt(plaintext, ...this.#session(device));
    return Buffer.from(sealed.serialize());
  }

  // Decrypts a message. Returns the plaintext and, if the message begins a session, the ids of the
  // keys that it began with.
  async open(device, content) {
    const { SignalMessage, PreKeySignalMessage } = this.signal;
    const { preKeys, signedPreKeys, kyberPreKeys } = this.stores;
    const session = this.#session(device);
    if (!isPreKeyMessage(content)) {
      const message = SignalMessage.deserialize(content);
      return { kind: 'message', plaintext: await this.signal.signalDecrypt(message, ...session) };
    }
    const message = PreKeySignalMessage.deserialize(content);
    kyberPreKeys.used = null;
    const its = [preKeys, signedPreKeys, kyberPreKeys];
    const plaintext = await this.signal.signalDecryptPreKey(message, ...session, ...its);
    return {
      kind: 'preKey',
      plaintext,
      version: message.version(),
      preKeyId: message.preKeyId(),
      signedPreKeyId: message.signedPreKeyId(),
      kyberPreKeyId: kyberPreKeys.used,
    };
  }
}

// A SignalMessage is a version byte and a protobuf whose first field is the ratchet key, number 1,
// as bytes. A PreKeySignalMessage begins with another field.
export function isPreKeyMessage(content) {
  return content[1] !== 0x0a;
}
