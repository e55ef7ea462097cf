// Calls of the HTTP API.
const ACTIVITY_STREAMS = 'https://www.w3.org/ns/activitystreams';
const VOCABULARY = 'https://eko.network/ns#';
const LINK = { '@type': '@id' };
// The contexts of docs/protocol.md, section 1, as far as these activities need them: of what a client sends to its
// server, of a node, and of what clients encrypt.
export const CONTEXT = [ACTIVITY_STREAMS, { '@vocab': VOCABULARY, eko: VOCABULARY, from: LINK }];
export const NODE_CONTEXT = [
  ACTIVITY_STREAMS,
  'https://w3id.org/security/data-integrity/v1',
  { '@vocab': VOCABULARY, device: LINK, keyPackage: LINK },
];
export const CONTENT_CONTEXT = [ACTIVITY_STREAMS, { '@vocab': VOCABULARY, eko: VOCABULARY }];
const ACTIVITY_JSON = 'application/activity+json';

// Thrown for an answer whose status is not one of the expected ones.
export class RefusalError extends Error {
  constructor(what, status, body) {
    super(`${what}: ${status} ${JSON.stringify(body)}`);
    Object.assign(this, { status, body });
  }
}

export async function call(method, url, { token, body, due = [200] } = {}) {
  const headers = { accept: ACTIVITY_JSON };
  if (token) headers.authorization = `Bearer ${token}`;
  if (body && !(body instanceof URLSearchParams)) {
    headers['content-type'] = ACTIVITY_JSON;
    body = JSON.stringify(body);
  }
  const answer = await fetch(url, { method, headers, body });
  const text = await answer.text();
  const isJson = answer.headers.get('content-type')?.includes('json');
  const document = isJson ? JSON.parse(text) : text;
  if (!due.includes(answer.status)) throw new RefusalError(`${method} ${url}`, answer.status, document);
  return { status: answer.status, body: document };
}

// Returns an ID token of the issuer that a server trusts, with this nonce. The development issuer
// takes anyone at their word.
export async function idToken(origin, user, nonce) {
  const { auth } = (await call('GET', `${origin}/.well-known/ecp`)).body;
  const issuer = (await call('GET', `${auth.issuer}/.well-known/openid-configuration`)).body;
  const form = { grant_type: 'password', username: user, client_id: auth.audience, nonce };
  const body = new URLSearchParams(form);
  return (await call('POST', issuer.token_endpoint, { body })).body.id_token;
}
