// Runs a server of one actor on loopback, made of Fedify: `node fedify.mjs 1` or `node fedify.mjs 2`. README.md says what
// it answers. The port is the first line of the output.

import { serve } from "@hono/node-server";

const [version] = process.argv.slice(2);
const { createFederation, generateCryptoKeyPair, MemoryKvStore, signRequest } = await import(`fedify-${version}`);
const { Activity, Person } = await import(version === "1" ? "fedify-1" : "@fedify/vocab");

const federation = createFederation({ kv: new MemoryKvStore(), allowPrivateAddress: true });
const keys = await generateCryptoKeyPair("RSASSA-PKCS1-v1_5");
const log = [];
// The answer of the application to the next activities that Fedify accepts; Fedify's own if it is null.
let answer = null;
// The activity that Fedify's listener was given last.
let heard = null;

federation
  .setActorDispatcher("/user/{identifier}", async (context, identifier) => {
    const [{ cryptographicKey }] = await context.getActorKeyPairs(identifier);
    return new Person({
      id: context.getActorUri(identifier),
      preferredUsername: identifier,
      inbox: context.getInboxUri(identifier),
      publicKey: cryptographicKey,
    });
  })
  .setKeyPairsDispatcher(() => [keys]);

federation.setInboxListeners("/user/{identifier}/inbox", "/inbox").on(Activity, async (context, activity) => {
  // A listener reads the object of a `Create` by `getObject`, which fetches an object of another origin.
  const kind = activity.constructor.name;
  const object = kind === "Create" ? await activity.getObject({ ...context, suppressError: true }) : null;
  heard = { kind, objectId: activity.objectId?.href, object: object?.id?.href, activity: await activity.toJsonLd() };
});

function json(body, status = 200, type = "application/json") {
  return new Response(JSON.stringify(body), { status, headers: { "content-type": type } });
}

/** Has Fedify handle a request to an inbox, and notes its verdict. */
async function inbox(request) {
  heard = null;
  const verdict = await federation.fetch(request, { contextData: undefined });
  const signed = request.headers.has("signature") ? "cavage" : null;
  const scheme = request.headers.has("signature-input") ? "rfc9421" : signed;
  const refusal = verdict.ok ? null : await verdict.text();
  log.push({ scheme, status: verdict.status, refusal, heard });
  if (!verdict.ok) return new Response(refusal, { status: verdict.status });
  return answer === null ? verdict : json(answer.body, answer.status, "application/activity+json");
}

/** Signs an activity with Fedify and delivers it. */
async function send(origin, { inbox, activity, by }) {
  const request = new Request(inbox, {
    method: "POST",
    headers: { "content-type": "application/activity+json" },
    body: JSON.stringify(activity),
  });
  const key = new URL("/user/actor#main-key", origin);
  const options = by === "rfc9421" ? { spec: "rfc9421" } : {};
  const response = await fetch(await signRequest(request, keys.privateKey, key, options));
  return { status: response.status, body: await response.text() };
}

async function handle(request) {
  const { origin, pathname } = new URL(request.url);
  if (pathname.endsWith("/inbox")) return await inbox(request);
  if (pathname === "/log") return json(log);
  if (pathname === "/answer") {
    answer = await request.json();
    return json(null);
  }
  if (pathname === "/send") return json(await send(origin, await request.json()));
  return await federation.fetch(request, { contextData: undefined });
}

serve({ fetch: handle, port: 0, hostname: "127.0.0.1" }, ({ port }) => console.log(port));
