// Receiving (docs/protocol.md, section 6). A fetched entry is held until it is read or dropped, and
// the server keeps it until then. A receipt of another user's device is read as soon as it is there,
// and so is what an own device says: its decisions about other people are set aside.
import { unpad } from './content.mjs';

const LOOK_EVERY_MS = 20;
const LOOKS = 3000;
const pause = () => new Promise((resolve) => { setTimeout(resolve, LOOK_EVERY_MS); });

export class Mailbox {
  #held = new Map();
  // Receipts that came, and the notes for which none was sent: activity ids by author.
  #receipts = [];
  #owed = new Map();

  constructor(device) {
    this.device = device;
  }

  // Fetches until this many messages and this many reports are held.
  async hold({ messages = 0, reports = 0 } = {}) {
    for (let looks = 0; looks < LOOKS; looks++) {
      const left = await this.#fetch();
      const held = [...this.#held.values()];
      const creates = held.filter(({ type }) => type === 'Create');
      const others = held.length - creates.length + this.#receipts.length;
      if (creates.length >= messages && others >= reports) {
        return { held: creates.map(({ object }) => object.id), ...left };
      }
      await pause();
    }
    throw new Error(`waited in vain; held: ${JSON.stringify([...this.#held.values()])}`);
  }

  async #fetch() {
    for (let next = `${this.device.actor}/inbox`; ; ) {
      const page = (await this.device.call('GET', next)).body;
      for (const item of page.orderedItems) {
        if (this.#held.has(item['eko:entry'])) continue;
        if (this.#isReceipt(item)) await this.#take(item);
        else if (await this.#isDecisions(item)) await this.#discard(item);
        else this.#held.set(item['eko:entry'], item);
      }
      next = page.next;
      if (!next) return { preKeys: page['eko:preKeyCount'], kyberPreKeys: page['eko:kyberPreKeyCount'] };
    }
  }

  // Only receipts and syncs wake nobody.
  #isReceipt({ type, actor, object }) {
    return type === 'Create' && object.notify === false && actor !== this.device.actor;
  }

  // A copy by an own device is opened here once, and `read` returns what was opened.
  async #isDecisions(item) {
    if (item.type !== 'Create' || item.object.notify !== false) return false;
    item.opened = await this.#open(item);
    return item.opened.activity?.type === 'Decisions';
  }

  async #take(item) {
    const { failed, activity } = await this.#open(item);
    if (failed || ![activity.type].flat().includes('Delivered')) throw new Error(`no receipt: ${failed ?? activity.type}`);
    this.#receipts.push(activity);
    await this.device.call('DELETE', item['eko:entry'], { due: [204] });
  }

  // Takes the notes for which receipts are due: activity ids by author.
  owed() {
    const owed = this.#owed;
    this.#owed = new Map();
    return owed;
  }

  // Reads what is held: everything in the order of arrival, or these envelopes in this order.
  async read({ envelopes } = {}) {
    const held = [...this.#held.values()];
    const creates = envelopes?.map((id) => this.#message(id)) ?? held.filter(({ type }) => type === 'Create');
    const messages = [];
    for (const create of creates) messages.push(create.opened ?? await this.#open(create));
    if (creates.length) await this.#delivered(creates.map((create) => create['eko:entry']));
    const reports = envelopes ? [] : held.filter(({ type }) => type !== 'Create');
    for (const report of reports) await this.#discard(report);
    const receipts = this.#receipts.splice(0);
    return { messages, reports, receipts };
  }

  // Discards a message without reading it.
  async drop({ envelope }) {
    await this.#discard(this.#message(envelope));
    return {};
  }

  async fetch(until) {
    const { preKeys, kyberPreKeys } = await this.hold(until);
    return { ...(await this.read()), preKeys, kyberPreKeys };
  }

  #message(id) {
    const found = [...this.#held.values()].find(({ type, object }) => type === 'Create' && object.id === id);
    if (!found) throw new Error(`${id} is not held`);
    return found;
  }

  async #open({ actor, object }) {
    const { from, content } = object.messages[0];
    const message = { envelope: object.id, actor, from, content };
    try {
      await this.device.sessions.trust(await this.device.directory.device(actor, from));
      const { plaintext, ...session } = await this.device.sessions.open(from, Buffer.from(content, 'base64'));
      const activity = unpad(plaintext);
      if (activity.actor !== actor) throw new Error(`says to be by ${activity.actor}`);
      if (activity.type === 'Create' && actor !== this.device.actor) {
        this.#owed.set(actor, [...(this.#owed.get(actor) ?? []), activity.id]);
      }
      return { ...message, ...session, activity };
    } catch (error) {
      // A message that cannot be read must not hold up the others.
      return { ...message, failed: String(error) };
    }
  }

  async #delivered(entries) {
    await this.device.post(`${this.device.actor}/outbox`, { type: 'Delivered', object: entries }, [204]);
    for (const entry of entries) this.#held.delete(entry);
  }

  async #discard(item) {
    await this.device.call('DELETE', item['eko:entry'], { due: [204] });
    this.#held.delete(item['eko:entry']);
  }
}
