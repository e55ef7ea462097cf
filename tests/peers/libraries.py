"""Signs and verifies HTTP requests with other people's libraries.

A request is a dict with the members `method`, `url`, `headers` and `body`. The functions `sign_with_…` return a signed
request; the functions `verify_with_…` raise an exception if the signature is not good.
"""

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
# The terms about keys of the context https://w3id.org/security/v1.
SECURITY_V1 = {
    "owner": {"@id": f"{SECURITY}#owner", "@type": "@id"},
    "publicKey": {"@id": f"{SECURITY}#publicKey", "@type": "@id"},
    "publicKeyPem": f"{SECURITY}#publicKeyPem",
}


def named(library):
    """Returns the name of a library with its installed version."""
    return f"{library} {version(library)}"


def request(method, url, headers, body):
    """Returns a request with the names of its headers in lower case."""
    return {"method": method, "url": url, "headers": {k.lower(): v for k, v in headers.items()}, "body": body}


def on_loopback(url):
    return urlsplit(url).hostname in ("127.0.0.1", "localhost")


def load_context(url, options):
    """Loads a JSON-LD context, for bovine too. Only contexts of servers on loopback are fetched."""
    if on_loopback(url) or url == "https://www.w3.org/ns/activitystreams":
        return bovine.jsonld.wrapper(url, options)
    context = SECURITY_V1 if url == f"{SECURITY}/v1" else {}
    return {"contentType": None, "contextUrl": None, "documentUrl": url, "document": {"@context": context}}


jsonld.set_document_loader(load_context)


def key_in(document):
    """Returns the key of an actor's document, or of a document of its own.

    The document is read as linked data: a member that its context gives no meaning to does not count.
    """
    [node] = jsonld.expand(document)
    [key] = node.get(f"{SECURITY}#publicKey", [node])
    [owner], [pem] = key[f"{SECURITY}#owner"], key[f"{SECURITY}#publicKeyPem"]
    return {"id": key["@id"], "owner": owner["@id"], "publicKeyPem": pem["@value"]}


def scheme(headers):
    """Returns the signature scheme of a received request, or None if it is not signed."""
    if "signature-input" in headers:
        return "rfc9421"
    return "cavage" if "signature" in headers else None


class CapturingSession:
    """Stands in for aiohttp's session, and returns the request that bovine would send."""

    async def post(self, url, data, headers):
        return request("POST", url, headers, data)

    async def get(self, url, headers, allow_redirects):
        return request("GET", url, headers, "")


def sign_with_bovine(private_pem, key_id, method, url, body="", digest_method=legacy_digest_method_uppercase):
    client = SignedHttpClient(CapturingSession(), key_id, private_pem, digest_method=digest_method)
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


class KeyResolver(HTTPSignatureKeyResolver):
    """Finds public keys by the function `public`, and returns the one private key for any id."""

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
    signer = signer_class(signature_algorithm=RSA_V1_5_SHA256, key_resolver=KeyResolver(private_pem=private_pem))
    body_bytes = body.encode() if method == "POST" else None
    signer.sign(
        message, key_id=key_id, covered_component_ids=components, label=label, body=body_bytes, **options
    )
    return request(method, url, message.headers, body)


async def verify_with_bovine(received, retrieve):
    """Returns the owner of the key. `retrieve` is a coroutine from a key id to a CryptographicIdentifier."""

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
    """Verifies a request by RFC 9421. `resolve` is a function from a key id to the bytes of a PEM."""
    message = SimpleNamespace(method=received["method"], url=received["url"], headers=received["headers"])
    verifier = HTTPMessageVerifier(signature_algorithm=RSA_V1_5_SHA256, key_resolver=KeyResolver(public=resolve))
    verifier.verify(
        message, max_age=WINDOW, require_components=TARGET, body=received["body"].encode()
    )


def identifier(public_pem, owner):
    return CryptographicIdentifier.from_pem(public_pem, owner)
