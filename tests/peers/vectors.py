"""Writes requests that other libraries signed, for our tests to verify: `vectors.py OUTPUT`.

The member `outcome` of a request is "verified", or the reason why our server must refuse it.
"""

import json
import pathlib
import sys
import time

from bovine.clients.signed_http import legacy_digest_method
from bovine.crypto.helper import content_digest_sha256_rfc_9530
from http_message_signatures import HTTPMessageSigner
from http_message_signatures.digests import ContentDigest

import libraries

KEYS = pathlib.Path(__file__).parents[2] / "shared/federation/testdata/keys"
KEY_ID = "https://b.example/user/alice#main-key"
INBOX = "https://a.example/user/bob/inbox"
ACTOR = "https://a.example/user/bob"
QUERY = "https://a.example/user/bob/outbox?page=2&x=%2F"
BODY = json.dumps({"type": "Create", "actor": "https://b.example/user/alice", "summary": "ä ✓"}, ensure_ascii=False)
VERIFIED, NOT_VERIFIED = "verified", "not verified"


class Sha512(ContentDigest):
    """A content digest by SHA-512, which our server does not read."""

    algorithm = "sha-512"


class Sha512Signer(HTTPMessageSigner):
    """A signer that digests the body by SHA-512."""

    content_digest_class = Sha512


def bovine(private):
    sign = lambda *rest, **options: libraries.sign_with_bovine(private, KEY_ID, *rest, **options)
    yield VERIFIED, sign("POST", INBOX, BODY)
    yield VERIFIED, sign("POST", INBOX, BODY, digest_method=legacy_digest_method)
    yield VERIFIED, sign("POST", "https://a.example/inbox", "")
    yield VERIFIED, sign("GET", ACTOR)
    yield VERIFIED, sign("GET", QUERY)
    # This is draft-cavage with the digest of RFC 9530.
    yield "the signature does not cover `digest`", sign(
        "POST", INBOX, BODY, digest_method=content_digest_sha256_rfc_9530
    )
    yield "the signature does not cover `digest`", {**sign("GET", INBOX), "method": "POST", "body": BODY}
    yield NOT_VERIFIED, sign("POST", INBOX.replace("a.example", "c.example"), BODY)
    yield "the body does not match its digest", {**sign("POST", INBOX, BODY), "body": BODY + " "}
    yield NOT_VERIFIED, {**sign("POST", INBOX, BODY), "url": "https://a.example/user/carol/inbox"}


def apsig_draft(private):
    sign = lambda *rest: libraries.sign_with_apsig_draft(private, KEY_ID, *rest)
    yield VERIFIED, sign("POST", INBOX, BODY)
    yield VERIFIED, sign("GET", ACTOR)
    # apsig signs the path without the query.
    yield NOT_VERIFIED, sign("GET", QUERY)
    yield NOT_VERIFIED, {**sign("GET", ACTOR), "url": INBOX}


def apsig_rfc9421(private):
    sign = lambda *rest: libraries.sign_with_apsig_rfc9421(private, KEY_ID, *rest)
    yield VERIFIED, sign("GET", ACTOR)
    yield "the signature does not cover `content-digest`", sign("POST", INBOX, BODY)
    yield "the signature does not cover `@query`", sign("GET", QUERY)


def http_message_signatures(private):
    sign = lambda *rest, **options: libraries.sign_with_http_message_signatures(private, KEY_ID, *rest, **options)
    parts = ("@method", "@path", "@authority")
    yield VERIFIED, sign("POST", INBOX, BODY)
    yield VERIFIED, sign("POST", INBOX, BODY, label="pyhms", include_alg=False)
    yield VERIFIED, sign("POST", INBOX, BODY, components=(*parts, "host", "content-type"))
    yield VERIFIED, sign("POST", INBOX, BODY, components=("@target-uri", "@scheme", "@query", "@request-target", *parts))
    yield VERIFIED, sign("POST", INBOX, BODY, nonce='a "nonce" \\', tag="activity")
    yield VERIFIED, sign("POST", INBOX, "")
    yield VERIFIED, sign("GET", ACTOR)
    yield VERIFIED, sign("GET", QUERY)
    yield VERIFIED, sign("GET", QUERY, components=(*parts, "@query"))
    yield "the signature does not cover `@query`", sign("GET", QUERY, components=parts)
    yield "the signature does not cover `@target-uri`", sign("GET", ACTOR, components=("@method", "@path"))
    yield "`@query-param;name` is not supported in a signature", sign(
        "GET", QUERY, components=("@method", "@target-uri", '"@query-param";name="page"')
    )
    yield "`content-digest;sf` is not supported in a signature", sign(
        "POST", INBOX, BODY, components=("@method", "@target-uri", '"content-digest";sf')
    )
    yield "the digest has no SHA-256", sign("POST", INBOX, BODY, signer_class=Sha512Signer)
    yield "the body does not match its digest", {**sign("POST", INBOX, BODY), "body": BODY + " "}
    yield NOT_VERIFIED, sign("POST", INBOX.replace("a.example", "c.example"), BODY)
    yield NOT_VERIFIED, {**sign("POST", INBOX, BODY), "method": "PUT"}
    yield NOT_VERIFIED, {**sign("GET", ACTOR), "url": QUERY}


def main():
    private = (KEYS / "rsa.private.pem").read_text()
    now_ms = int(time.time() * 1000)
    vectors = [
        {"by": libraries.named(library), "scheme": scheme, "outcome": outcome, **request}
        for library, scheme, requests in (
            ("bovine", "cavage", bovine),
            ("apsig", "cavage", apsig_draft),
            ("apsig", "rfc9421", apsig_rfc9421),
            ("http-message-signatures", "rfc9421", http_message_signatures),
        )
        for outcome, request in requests(private)
    ]
    document = {"nowMs": now_ms, "origin": "https://a.example", "keyId": KEY_ID, "requests": vectors}
    text = json.dumps(document, ensure_ascii=False, indent=1)
    pathlib.Path(sys.argv[1]).write_text(text + "\n")
    print(f"{len(vectors)} requests")


main()
