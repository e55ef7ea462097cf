// The users that a device knows: their addresses and devices, as fetched last.
import { call } from './client.mjs';
import { replay } from './chain.mjs';

export class Directory {
  #known = new Map();

  constructor(signal) {
    this.signal = signal;
  }

  async find(actor) {
    return this.#known.get(actor) ?? this.look(actor);
  }

  // Fetches a user from their own server, known or not.
  async look(actor) {
    const document = (await call('GET', actor)).body;
    const chain = (await call('GET', document['eko:devices'])).body;
    const { active, set, root, last } = replay(this.signal, actor, chain.orderedItems);
    const { length, head } = chain['eko:deviceSet'];
    if (length !== set.length || head !== set.head) throw new Error(`${actor}: another head is said`);
    const user = { actor, keyPackages: document['eko:keyPackages'], active, set, root, last };
    this.#known.set(actor, user);
    return user;
  }

  // Returns the node of a device; the user is fetched again if the device is not among the known
  // ones.
  async device(actor, address) {
    const among = async (user) => (await user).active.get(address);
    const node = (await among(this.find(actor))) ?? (await among(this.look(actor)));
    if (!node) throw new Error(`${address} is no device of ${actor}`);
    return node;
  }
}
