"""Runs a server of one actor on loopback, which signs and verifies with other people's libraries.

The port is the first line of the output.

`GET /actor` is the actor, `POST /actor/inbox` its inbox, which refuses with 401. README.md says what else it answers.
The entries of the log also have `method`, `verified`, `owner` of the key, `headers` and `activity`. `by` in an order to
send is `bovine`, `apsig` or `http-message-signatures`. With `"key": "another"` the key is not the actor's.
"""

import argparse
import asyncio
import json
import logging

import aiohttp
import requests
from aiohttp import web
from bovine.clients.signed_http import SignedHttpClient
from bovine.crypto import generate_rsa_public_private_key
from bovine.crypto.types import CryptographicIdentifier
from bovine.utils import webfinger_response_json
from urllib.parse import urlsplit

import libraries

ACTIVITY_STREAMS = "https://www.w3.org/ns/activitystreams"
TIMEOUT = aiohttp.ClientTimeout(total=30)


def fetch_key(key_id):
    """Fetches a key from a server on loopback, and returns its PEM and its identifier."""
    if not libraries.on_loopback(key_id):
        raise ValueError(f"not on loopback: {key_id}")
    answer = requests.get(key_id, headers={"accept": libraries.CONTENT_TYPE}, timeout=10, allow_redirects=False)
    answer.raise_for_status()
    key = libraries.key_in(answer.json())
    return key["publicKeyPem"], CryptographicIdentifier.from_public_key(key)


class Peer:
    """The actor, its key and its log.

    `only` is the one scheme that it reads. With `secure` it shows its actor to signed requests only.
    """

    def __init__(self, only=None, secure=False):
        self.public_pem, self.private_pem = generate_rsa_public_private_key()
        self.only = only
        self.secure = secure
        self.log = []
        self.answer = None
        self.origin = None

    @property
    def id(self):
        return f"{self.origin}/actor"

    @property
    def key_id(self):
        return f"{self.id}#main-key"

    async def actor(self, request):
        if self.secure and "error" in await self.note(request):
            return web.Response(status=401)
        document = {
            "@context": [ACTIVITY_STREAMS, "https://w3id.org/security/v1"],
            "id": self.id,
            "type": "Person",
            "preferredUsername": "actor",
            "inbox": f"{self.id}/inbox",
            "outbox": f"{self.id}/outbox",
            "eko:keyPackages": f"{self.id}/keyPackages",
            "publicKey": {"id": self.key_id, "owner": self.id, "publicKeyPem": self.public_pem},
        }
        return web.json_response(document, content_type=libraries.CONTENT_TYPE)

    async def webfinger(self, request):
        account = f"acct:actor@{urlsplit(self.origin).netloc}"
        if request.query.get("resource") not in (account, self.id):
            return web.Response(status=404)
        return web.json_response(webfinger_response_json(account, self.id), content_type="application/jrd+json")

    async def inbox(self, request):
        entry = await self.note(request)
        if "error" in entry:
            return web.json_response(entry, status=401)
        if self.answer is None:
            return web.Response(status=202)
        return web.json_response(
            self.answer["body"], status=self.answer["status"], content_type=libraries.CONTENT_TYPE
        )

    async def answered(self, request):
        self.answer = await request.json()
        return web.json_response(None)

    async def note(self, request):
        """Verifies a request and writes the verdict into the log."""
        body = await request.text()
        headers = {name.lower(): value for name, value in request.headers.items()}
        received = libraries.request(request.method, f"http://{request.host}{request.path_qs}", headers, body)
        scheme = libraries.scheme(headers)
        entry = {"method": request.method, "scheme": scheme, "verified": False, "activity": None, "headers": headers}
        self.log.append(entry)
        try:
            if self.only not in (None, scheme):
                raise ValueError(f"only {self.only} is read here")
            entry["owner"] = await self.verify(scheme, received)
            if body:
                entry["activity"] = json.loads(body)
                if entry["owner"] != entry["activity"]["actor"]:
                    raise ValueError(f"the key is {entry['owner']}'s, the activity {entry['activity']['actor']}'s")
            entry["verified"] = True
            entry["heard"] = {"activity": entry["activity"]}
        except Exception as error:
            entry["error"] = entry["refusal"] = repr(error)
        return entry

    async def verify(self, scheme, received):
        if scheme is None:
            raise ValueError("not signed")
        if scheme == "cavage":

            async def retrieve(key_id):
                return (await asyncio.to_thread(fetch_key, key_id))[1]

            return await libraries.verify_with_bovine(received, retrieve)
        owners = []

        def resolve(key_id):
            pem, owner = fetch_key(key_id)
            owners.append(owner.controller)
            return pem.encode()

        await asyncio.to_thread(libraries.verify_with_http_message_signatures, received, resolve)
        return owners[0]

    async def logged(self, _):
        return web.json_response(self.log)

    async def send(self, request):
        order = await request.json()
        url, body = order["inbox"], json.dumps(order["activity"])
        private_pem = generate_rsa_public_private_key()[1] if order.get("key") == "another" else self.private_pem
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            if order["by"] == "bovine":
                answer = await SignedHttpClient(session, self.key_id, private_pem).post(url, body)
            else:
                sign = {
                    "apsig": libraries.sign_with_apsig_draft,
                    "http-message-signatures": libraries.sign_with_http_message_signatures,
                }[order["by"]]
                signed = sign(private_pem, self.key_id, "POST", url, body)
                answer = await session.post(url, data=body.encode(), headers=signed["headers"], allow_redirects=False)
            return web.json_response({"status": answer.status, "body": await answer.text()})


async def serve(port, peer):
    app = web.Application()
    app.add_routes(
        [
            web.get("/actor", peer.actor),
            web.post("/actor/inbox", peer.inbox),
            web.get("/.well-known/webfinger", peer.webfinger),
            web.get("/log", peer.logged),
            web.post("/answer", peer.answered),
            web.post("/send", peer.send),
        ]
    )
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    port = runner.addresses[0][1]
    peer.origin = f"http://127.0.0.1:{port}"
    print(port, flush=True)
    await asyncio.Event().wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, help="port to listen on; 0 for any free one")
    parser.add_argument("--only", choices=("cavage", "rfc9421"), help="refuse any other scheme")
    parser.add_argument("--secure", action="store_true", help="show the actor to signed requests only")
    options = parser.parse_args()
    logging.basicConfig(level=logging.CRITICAL)
    try:
        asyncio.run(serve(options.port, Peer(options.only, options.secure)))
    except KeyboardInterrupt:
        pass


main()
