// Serves fauxqs, an SQS engine, at a port of 127.0.0.1: `node serve.mjs PORT`. Its own command
// listens on all addresses.
import { buildApp } from "fauxqs";

await buildApp({ logger: false }).listen({ host: "127.0.0.1", port: Number(process.argv[2]) });
