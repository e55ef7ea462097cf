// A device that reads commands from its standard input, one JSON object a line: node driven.mjs
// FOLDER LIBRARY
import { createInterface } from 'node:readline';
import { call, RefusalError } from './client.mjs';
import { Device } from './device.mjs';
import { load } from './library.mjs';
import { Mailbox } from './mailbox.mjs';
import { Sending } from './sending.mjs';

const [folder, library] = process.argv.slice(2);
const signal = await load(folder, library);
let [device, mailbox, sending] = [];

function become(whom) {
  device = new Device(library, signal, whom);
  mailbox = new Mailbox(device);
  sending = new Sending(device);
}

const commands = {
  // A registration that was refused is tried again by the same device.
  register: (how) => device.register(how),
  pending: async () => ({ items: await device.pending() }),
  approve: ({ code }) => device.approve(code),
  revoke: ({ device: address }) => device.revoke(address),
  publish: ({ keys }) => device.publish(keys),
  chain: ({ of }) => device.chain(of),
  safetyNumber: ({ of }) => device.safetyNumber(of),
  // The public collection: reading it consumes nothing.
  packages: async ({ of }) => (await call('GET', (await device.directory.look(of)).keyPackages)).body,
  // Consumes one-time keys, and begins no session.
  async take({ of }) {
    const user = await device.directory.look(of);
    return { items: await device.take(user, [...user.active.keys()]) };
  },
  send: (what) => sending.send(what),
  hold: (until) => mailbox.hold(until),
  read: (which) => mailbox.read(which),
  drop: (which) => mailbox.drop(which),
  fetch: (until) => mailbox.fetch(until),
  receipts: () => sending.receipts(mailbox.owed()),
};

async function answer({ do: name, spoil, ...parameters }) {
  try {
    if (!Object.hasOwn(commands, name)) throw new Error(`there is no command ${name}`);
    if (name === 'register' && !device) become(parameters);
    if (!device) throw new Error('it is not registered');
    device.keys.spoil = spoil ?? null;
    return { done: await commands[name](parameters) };
  } catch (error) {
    if (error instanceof RefusalError) return { refused: { status: error.status, body: error.body } };
    return { failed: error.stack };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
}
