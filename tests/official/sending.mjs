// Sending (docs/protocol.md, section 5): one envelope for all devices of a user, until their server
// says that all of them are covered.
import { deviceOf } from './chain.mjs';
import { RefusalError } from './client.mjs';
import { envelopeId, note, pad, receipt } from './content.mjs';
import { isPreKeyMessage } from './sessions.mjs';

// The tries of one send. Devices may change between two tries, but hardly each time.
const TRIES = 4;

export class Sending {
  #sequences = new Map();

  constructor(device) {
    this.device = device;
  }

  // Sends one receipt to each author of these notes. A receipt wakes nobody.
  async receipts(owed) {
    for (const [author, ids] of owed) {
      const activity = receipt(this.device.actor, author, ids);
      await this.send({ to: author, activity, notify: false });
    }
    return {};
  }

  // Sends a text to a user, or a given activity; to the own user, as a sync.
  async send({ to, text, activity, notify = true }) {
    const recipient = await this.device.directory.find(to);
    activity ??= await this.#note(recipient, text);
    const [envelope, tries, taken] = [envelopeId(this.device.origin), [], []];
    let missing = null;
    for (let user = recipient; tries.length < TRIES; user = await this.device.directory.look(to)) {
      const messages = await this.#seal(user, missing ?? user.active.keys(), activity, taken);
      const { status, body } = await this.#post(user, envelope, messages, notify);
      tries.push({ status, messages, answer: body });
      if (status === 201 || status === 202) return { envelope, activity, tries, taken };
      // The envelope was refused for another reason than the device set, or for good.
      if (!body['eko:deviceSetOutOfDate']) throw new RefusalError(`to ${to}`, status, body);
      body.staleDevices.forEach((stale) => this.device.sessions.end(stale));
      // A Reject queued nothing, so the next try is for all devices again.
      missing = status === 207 ? body.missingKeyPackages.map(deviceOf) : null;
    }
    throw new Error(`${to} was not reached: ${JSON.stringify(tries)}`);
  }

  async #note(recipient, text) {
    const own = await this.device.directory.find(this.device.actor);
    const sequence = (this.#sequences.get(recipient.actor) ?? 0) + 1;
    this.#sequences.set(recipient.actor, sequence);
    const deviceSets = { [own.actor]: own.set, [recipient.actor]: recipient.set };
    return note(this.device, { to: recipient.actor, sequence, set: own.set, deviceSets, text });
  }

  // Encrypts the activity for each of these devices. A session begins with each device that has
  // none.
  async #seal(user, devices, activity, taken) {
    const { sessions, address, keys } = this.device;
    const others = [...devices].filter((device) => device !== address);
    const strangers = others.filter((device) => !sessions.has(device));
    const packages = strangers.length ? await this.device.take(user, strangers) : [];
    for (const item of packages) {
      await sessions.trust(user.active.get(item.device));
      await sessions.begin(item);
    }
    taken.push(...packages);
    const messages = [];
    for (const device of others) {
      const content = keys.spoilt('message', await sessions.seal(device, pad(activity)));
      const kind = isPreKeyMessage(content) ? 'preKey' : 'message';
      messages.push({ to: device, kind, content: content.toString('base64') });
    }
    return messages;
  }

  async #post(user, id, messages, notify) {
    const { actor, address: from } = this.device;
    const object = {
      type: ['Object', 'SignalEnvelope'],
      id,
      published: new Date().toISOString(),
      notify,
      'eko:deviceSet': user.set,
      messages: messages.map(({ to, content }) => ({ to, from, content })),
    };
    const due = [201, 202, 207, 409];
    return this.device.post(`${actor}/outbox`, { type: 'Create', to: user.actor, object }, due);
  }
}
