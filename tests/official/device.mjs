// One device of one user.
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { canonical } from './canonical.mjs';
import { call, CONTEXT, idToken } from './client.mjs';
import { hash, possessionBase, signedNode } from './chain.mjs';
import { Directory } from './directory.mjs';
import { displayable, fingerprint, scannable } from './fingerprint.mjs';
import { approvalMac, joiningMac, newCode } from './joining.mjs';
import { DeviceKeys, publicationBase } from './keys.mjs';
import { encode } from './multibase.mjs';
import { Sessions } from './sessions.mjs';

// Returns the nonce of an ID token, which binds it to this device at this server (docs/protocol.md,
// section 10).
function signInNonce(members) {
  return createHash('sha256').update(`eko-oidc-v1\0${canonical(members)}`).digest('hex');
}

export class Device {
  #token;

  constructor(library, signal, { origin, user, sign }) {
    Object.assign(this, { origin, user, id: randomUUID(), actor: `${origin}/user/${user}` });
    this.address = `${this.actor}/device/${this.id}`;
    this.code = newCode();
    this.keys = new DeviceKeys(signal, sign);
    this.directory = new Directory(signal);
    this.sessions = new Sessions(library, signal, this.keys, this.address);
  }

  async call(method, url, options) {
    return call(method, url, { ...options, token: this.#token });
  }

  // Posts an activity of this user's.
  async post(url, activity, due) {
    return this.call('POST', url, { body: { '@context': CONTEXT, actor: this.actor, ...activity }, due });
  }

  #described() {
    const { actor, address: device, keys } = this;
    const claim = { actor, device, identityKey: keys.identityKey, registrationId: keys.registrationId };
    return { ...claim, possession: encode(keys.sign('possession', possessionBase(claim))) };
  }

  // Registers the user's first device, or a further one, which is pending then.
  async register({ first, keys }) {
    const described = this.#described();
    const { identityKey, registrationId, possession } = described;
    const body = {
      username: this.user,
      deviceId: this.id,
      identityKey,
      registrationId,
      possession,
      ...(await this.keys.make({ signedPreKey: true, ...keys })),
    };
    if (first) body.node = signedNode('AddDevice', this, described);
    else body.joiningMac = joiningMac(this.code, described);
    const random = randomBytes(32).toString('base64');
    body.nonceRandom = random;
    const nonce = signInNonce({ identityKey, origin: this.origin, random });
    const token = await idToken(this.origin, this.user, nonce);
    const answer = (await call('POST', `${this.origin}/auth/devices`, { token, body, due: [201] })).body;
    this.#token = answer.accessToken;
    const { actor, device, status, 'eko:deviceSet': deviceSet } = answer;
    return { actor, device, status, deviceSet, joiningCode: this.code };
  }

  async pending() {
    return (await this.call('GET', `${this.actor}/devices/pending`)).body.items;
  }

  // Approves the device that has this joining code.
  async approve(code) {
    const described = (item) => ({ ...item, device: item.id });
    const found = (await this.pending()).find((item) => joiningMac(code, described(item)) === item.joiningMac);
    if (!found) throw new Error('no device that waits has this code');
    const { set, root } = await this.directory.look(this.actor);
    const { id: device, identityKey, registrationId, possession } = found;
    const mac = approvalMac(code, described(found), set, hash(root));
    return this.#append('AddDevice', { device, identityKey, registrationId, possession, approvalMac: mac });
  }

  async revoke(address) {
    return this.#append('RevokeDevice', { device: address });
  }

  async #append(kind, members) {
    const { set, last } = await this.directory.look(this.actor);
    const node = signedNode(kind, this, { set, last, ...members });
    await this.call('POST', `${this.actor}/devices`, { body: node, due: [201] });
    return (await this.directory.look(this.actor)).set;
  }

  // Fetches a user's chain and replays it.
  async chain(actor) {
    const { active, set } = await this.directory.look(actor);
    return { deviceSet: set, devices: [...active.keys()] };
  }

  // Returns what this user and another one compare: libsignal's fingerprint of both chains, as each
  // of the two shows it. The key of a chain is that of its first active device.
  async safetyNumber(actor) {
    const { signal } = this.keys;
    const anchor = ({ active, root }) => active.values().next().value ?? root;
    const key = (user) => signal.PublicKey.deserialize(Buffer.from(anchor(user).identityKey, 'base64'));
    const end = (user) => ({ actor: user.actor, set: user.set, key: key(user) });
    const [mine, theirs] = [await this.directory.look(this.actor), await this.directory.look(actor)].map(end);
    const [shown, wanted] = [fingerprint(signal, mine, theirs), fingerprint(signal, theirs, mine)];
    return {
      displayable: displayable(shown),
      scannable: scannable(shown, 'base64'),
      scannableByThem: scannable(wanted, 'base64'),
    };
  }

  // Makes keys and publishes them, and returns how many one-time keys the server has then.
  async publish(keys) {
    const [object, published] = [await this.keys.make(keys), new Date().toISOString()];
    const signed = publicationBase({ actor: this.actor, device: this.address, object, published });
    const signature = encode(this.keys.sign('publication', signed));
    const activity = { type: 'Add', published, object, 'eko:signature': signature };
    const counts = (await this.post(`${this.actor}/keyPackages`, activity, [200])).body;
    return { preKeys: counts['eko:preKeyCount'], kyberPreKeys: counts['eko:kyberPreKeyCount'] };
  }

  // Takes packages of a user's devices and compares them with the chain. Packages on another server
  // are taken through the own one.
  async take(user, devices) {
    const local = new URL(user.actor).origin === this.origin;
    const object = devices.map((device) => user.active.get(device).keyPackage);
    const url = local ? user.keyPackages : `${this.actor}/outbox`;
    const taken = (await this.post(url, { type: 'Take', object }, [200])).body.items;
    for (const item of taken) {
      const node = user.active.get(item.device);
      const same = node?.identityKey === item.identityKey && node?.registrationId === item.registrationId;
      if (!same) throw new Error(`${item.id} is not what the chain says`);
    }
    return taken;
  }
}
