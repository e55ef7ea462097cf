"""Signing and verifying, all of it by other people's libraries. A request is a dict: method, url, headers, body."""

import asyncio
import datetime
from importlib.metadata import version
from types import SimpleNamespace
from urllib.parse import urlsplit

import apsig.draft
import apsig.rfc9421
import bovine.jsonld
from bovine.clients.signed_http import SignedHttpClient, legacy_digest_method_uppercase
from bovine.crypto import build_validate_http_signature_raw
from bovine.crypto.types import CryptographicIdentifier
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from http_message_signatures import (
    HTTPMessageSigner,
    HTTPMessageVerifier,
    HTTPSignatureKeyResolver,
)
from http_message_signatures.algorithms import RSA_V1_5_SHA256
from pyld import jsonld

CONTENT_TYPE = "application/activity+json"
WINDOW = datetime.timedelta(minutes=5)
TARGET = ("@method", "@target-uri")
SECURITY = "https://w3id.org/security"
# What there is of keys in https://w3id.org/security/v1.
SECURITY_V1 = {
    "owner": {"@id": f"{SECURITY}#owner", "@type": "@id"},
    "publicKey": {"@id": f"{SECURITY}#publicKey", "@type": "@id"},
    "publicKeyPem": f"{SECURITY}#publicKeyPem",
}


def named(library):
    return f"{library} {version(library)}"


def request(method, url, headers, body):
    return {"method": method, "url": url, "headers": {k.lower(): v for k, v in headers.items()}, "body": body}


def on_loopback(url):
    return urlsplit(url).hostname in ("127.0.0.1", "localhost")


def load_context(url, options):
    """JSON-LD contexts, for bovine too: those of servers on loopback are fetched, and nothing beyond."""
    if on_loopback(url) or url == "https://www.w3.org/ns/activitystreams":
        return bovine.jsonld.wrapper(url, options)
    context = SECURITY_V1 if url == f"{SECURITY}/v1" else {}
    return {"contentType": None, "contextUrl": None, "documentUrl": url, "document": {"@context": context}}


jsonld.set_document_loader(load_context)


def key_in(document):
    """The key of an actor's document, or of one of its own, which is read as linked data: by no name that its context
    does not give a meaning to."""
    [node] = jsonld.expand(document)
    [key] = node.get(f"{SECURITY}#publicKey", [node])
    [owner], [pem] = key[f"{SECURITY}#owner"], key[f"{SECURITY}#publicKeyPem"]
    return {"id": key["@id"], "owner": owner["@id"], "publicKeyPem": pem["@value"]}


def scheme(headers):
    """Of a request that came in."""
    if "signature-input" in headers:
        return "rfc9421"
    return "cavage" if "signature" in headers else None


class Captured:
    """Stands in for aiohttp's session, where bovine would send from."""

    async def post(self, url, data, headers):
        return request("POST", url, headers, data)

    async def get(self, url, headers, allow_redirects):
        return request("GET", url, headers, "")


def sign_with_bovine(private_pem, key_id, method, url, body="", digest_method=legacy_digest_method_uppercase):
    client = SignedHttpClient(Captured(), key_id, private_pem, digest_method=digest_method)
    return asyncio.run(client.post(url, body) if method == "POST" else client.get(url))


def sign_with_apsig_draft(private_pem, key_id, method, url, body=""):
    key = load_pem_private_key(private_pem.encode(), None)
    headers = {"content-type": CONTENT_TYPE} if body else {}
    signer = apsig.draft.Signer(headers, key, method, url, key_id, body.encode())
    return request(method, url, signer.sign(), body)


def sign_with_apsig_rfc9421(private_pem, key_id, method, url, body=""):
    signer = apsig.rfc9421.RFC9421Signer(load_pem_private_key(private_pem.encode(), None), key_id)
    parts = urlsplit(url)
    headers = {"host": parts.netloc, "content-type": CONTENT_TYPE}
    return request(method, url, signer.sign(method, parts.path, parts.netloc, headers, body.encode()), body)


class Resolver(HTTPSignatureKeyResolver):
    """Keys by id: of `public`, a function, or the one private key."""

    def __init__(self, public=None, private_pem=None):
        self.resolve_public_key = public
        self.private_pem = private_pem

    def resolve_private_key(self, key_id):
        return self.private_pem.encode()


def sign_with_http_message_signatures(
    private_pem, key_id, method, url, body="", components=TARGET, label="sig1", signer_class=HTTPMessageSigner, **options
):
    headers = {"host": urlsplit(url).netloc, "content-type": CONTENT_TYPE}
    message = SimpleNamespace(method=method, url=url, headers=headers)
    signer = signer_class(signature_algorithm=RSA_V1_5_SHA256, key_resolver=Resolver(private_pem=private_pem))
    body_bytes = body.encode() if method == "POST" else None
    signer.sign(
        message, key_id=key_id, covered_component_ids=components, label=label, body=body_bytes, **options
    )
    return request(method, url, message.headers, body)


async def verify_with_bovine(received, retrieve):
    """`retrieve` is a coroutine: key id to CryptographicIdentifier. Gives the key's owner."""

    async def body():
        return received["body"].encode()

    verify = build_validate_http_signature_raw(retrieve)
    owner = await verify(received["method"].lower(), received["url"], received["headers"], body)
    if owner is None:
        raise ValueError("bovine refuses the signature")
    return owner


def verify_with_apsig_draft(received, public_pem):
    return apsig.draft.Verifier(
        public_pem, received["method"], received["url"], received["headers"], received["body"].encode()
    ).verify(raise_on_fail=True)


def verify_with_http_message_signatures(received, resolve):
    """`resolve` is a function: key id to PEM bytes."""
    message = SimpleNamespace(method=received["method"], url=received["url"], headers=received["headers"])
    verifier = HTTPMessageVerifier(signature_algorithm=RSA_V1_5_SHA256, key_resolver=Resolver(public=resolve))
    verifier.verify(
        message, max_age=WINDOW, require_components=TARGET, body=received["body"].encode()
    )


def identifier(public_pem, owner):
    return CryptographicIdentifier.from_pem(public_pem, owner)
