"""Has other libraries verify the requests that our code signed: `verify.py signed.json`.

`signed.json` is the output of the example `signed_requests` of eko-federation, and must not be older than five minutes.
Each request must verify as it is, and must not verify with another path, method or body.
"""

import asyncio
import json
import logging
import pathlib
import sys
from urllib.parse import urlsplit

import libraries


def verifiers(request):
    """Returns the libraries that verify such a request, apart from the cases that README.md lists."""
    if request["scheme"] == "rfc9421":
        return [("http-message-signatures", http_message_signatures)]
    return [] if urlsplit(request["url"]).query else [("bovine", bovine), ("apsig", apsig)]


def http_message_signatures(request, document):
    libraries.verify_with_http_message_signatures(request, keys(document).get)


def bovine(request, document):
    async def retrieve(key_id):
        pem = keys(document).get(key_id)
        return libraries.identifier(pem.decode(), key_id.split("#")[0]) if pem else None

    asyncio.run(libraries.verify_with_bovine(request, retrieve))


def apsig(request, document):
    if libraries.verify_with_apsig_draft(request, document["publicKeyPem"]) != document["keyId"]:
        raise ValueError("another key id")


def keys(document):
    return {document["keyId"]: document["publicKeyPem"].encode()}


def changed(request):
    """Yields changed copies of a request, none of which may verify."""
    yield "path", {**request, "url": request["url"] + "x"}
    yield "method", {**request, "method": "PUT" if request["method"] == "POST" else "DELETE"}
    if request["body"]:
        yield "body", {**request, "body": request["body"] + " "}


def refuses(verify, request, document):
    try:
        verify(request, document)
    except Exception:
        return True
    return False


def main():
    logging.disable(logging.CRITICAL)
    document = json.loads(pathlib.Path(sys.argv[1]).read_text())
    verified = failed = 0
    for request in document["requests"]:
        what = f"{request['scheme']} {request['method']} {request['url']}"
        for library, verify in verifiers(request):
            try:
                verify(request, document)
                missed = [name for name, other in changed(request) if not refuses(verify, other, document)]
                outcome = f"verified, but also with another {', '.join(missed)}" if missed else "verified"
            except Exception as error:
                outcome = f"refused: {error!r}"
            print(f"{libraries.named(library)}: {what}: {outcome}")
            verified, failed = (verified + 1, failed) if outcome == "verified" else (verified, failed + 1)
    print(f"{verified} verified, {failed} failed")
    sys.exit(failed > 0 or verified == 0)


main()
