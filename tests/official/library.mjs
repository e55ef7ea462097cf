// Loads Signal's library, in one of two versions, from a folder that has both under node_modules.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

export const CURRENT = 'libsignal-current';

export async function load(folder, name) {
  const path = createRequire(join(folder, 'package.json')).resolve(name);
  const module = await import(pathToFileURL(path));
  // The older version is CommonJS: its exports are the members of the default export.
  const signal = module.default ?? module;
  signal.initLogger(signal.LogLevel.Warn, (_level, target, _file, _line, message) => {
    console.error(`${name}: ${target}: ${message}`);
  });
  return signal;
}

// Returns the arguments that the newer version takes beside the other device's address, and the
// older one does not.
export function bound(name, own) {
  return name === CURRENT ? [own] : [];
}
