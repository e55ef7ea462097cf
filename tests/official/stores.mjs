// libsignal's stores, in memory. Records are stored serialized, as by a client with a disk.
const same = (one, other) => Buffer.compare(one.serialize(), other.serialize()) === 0;

export function stores(signal, identity, registrationId) {
  const kept = (what) => {
    const records = new Map();
    return {
      set: (id, record) => records.set(String(id), record.serialize()),
      get: (id) => {
        const bytes = records.get(String(id));
        return bytes ? what.deserialize(bytes) : null;
      },
      need: (id) => {
        if (!records.has(String(id))) throw new Error(`there is no ${what.name} ${id}`);
        return what.deserialize(records.get(String(id)));
      },
      delete: (id) => records.delete(String(id)),
    };
  };

  class Sessions extends signal.SessionStore {
    records = kept(signal.SessionRecord);
    async saveSession(address, record) { this.records.set(address, record); }
    async getSession(address) { return this.records.get(address); }
    async getExistingSessions(addresses) { return addresses.map((address) => this.records.need(address)); }
  }

  class Identities extends signal.IdentityKeyStore {
    records = kept(signal.PublicKey);
    async getIdentityKey() { return identity; }
    async getLocalRegistrationId() { return registrationId; }
    async getIdentity(address) { return this.records.get(address); }
    // Nothing is trusted on first use: the user's chain says which key a device has
    // (Sessions.trust).
    async isTrustedIdentity(address, key) {
      const known = this.records.get(address);
      return known !== null && same(known, key);
    }
    async saveIdentity(address, key) {
      const known = this.records.get(address);
      this.records.set(address, key);
      const { NewOrUnchanged, ReplacedExisting } = signal.IdentityChange;
      return known && !same(known, key) ? ReplacedExisting : NewOrUnchanged;
    }
  }

  class PreKeys extends signal.PreKeyStore {
    records = kept(signal.PreKeyRecord);
    async savePreKey(id, record) { this.records.set(id, record); }
    async getPreKey(id) { return this.records.need(id); }
    async removePreKey(id) { this.records.delete(id); }
  }

  class SignedPreKeys extends signal.SignedPreKeyStore {
    records = kept(signal.SignedPreKeyRecord);
    async saveSignedPreKey(id, record) { this.records.set(id, record); }
    async getSignedPreKey(id) { return this.records.need(id); }
  }

  class KyberPreKeys extends signal.KyberPreKeyStore {
    records = kept(signal.KyberPreKeyRecord);
    lastResorts = new Set();
    // The id of the key that the latest session began with, which the message itself does not tell.
    used = null;
    async saveKyberPreKey(id, record) { this.records.set(id, record); }
    async getKyberPreKey(id) { return this.records.need(id); }
    async markKyberPreKeyUsed(id) {
      this.used = id;
      if (!this.lastResorts.has(id)) this.records.delete(id);
    }
  }

  return {
    sessions: new Sessions(),
    identities: new Identities(),
    preKeys: new PreKeys(),
    signedPreKeys: new SignedPreKeys(),
    kyberPreKeys: new KyberPreKeys(),
  };
}
