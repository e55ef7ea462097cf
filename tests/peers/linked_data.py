"""Expands every document that this project shows, and compacts it again, with PyLD: `linked_data.py`.

The documents are the examples of `docs/protocol.md`, the vectors of `docs/vectors`, and the snapshots of the tests. Other
tests compare all of them with what servers and clients write. Nothing is fetched: the three contexts that the documents
refer to are in `contexts`.
"""

import json
import pathlib
import re
import sys

from pyld import jsonld

FOLDER = pathlib.Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent

VOCABULARY = "https://eko.network/ns#"
STANDARD = {
    "https://www.w3.org/ns/activitystreams": "activitystreams",
    "https://w3id.org/security/v1": "security-v1",
    "https://w3id.org/security/data-integrity/v1": "security-data-integrity-v1",
}
CONTEXTS = {url: json.loads((FOLDER / "contexts" / f"{name}.json").read_text()) for url, name in STANDARD.items()}
# The vocabularies in which members and types may have a meaning.
VOCABULARIES = (
    VOCABULARY,
    "https://www.w3.org/ns/activitystreams#",
    "https://w3id.org/security#",
    "http://www.w3.org/ns/ldp#",
    "https://purl.archive.org/socialweb/webfinger#",
)
LINK = re.compile(r"(https?://|urn:|acct:)")
EXAMPLE = re.compile(r'^[ ]*```\w+ title="([^"]+)"\n(.*?)^[ ]*```', re.MULTILINE | re.DOTALL)


def load(url, _options):
    """Returns one of the three contexts. Fails for any other URL."""
    return {"contentType": "application/ld+json", "contextUrl": None, "documentUrl": url, "document": CONTEXTS[url]}


def page():
    """Returns the contexts of the page by their placeholders, and the JSON documents of the examples by title."""
    blocks = EXAMPLE.findall((ROOT / "docs/protocol.md").read_text())
    texts = {title: text[match.start() :] for title, text in blocks if (match := re.search(r"^\s*[\[{]", text, re.MULTILINE))}
    contexts = {f"<{title}>": json.loads(text) for title, text in texts.items() if title.startswith("context")}
    appended = [*contexts["<context of a node>"][:2], contexts["<context>"][1]]
    contexts["<context of an appended node>"] = appended
    examples = {}
    for title, text in texts.items():
        for placeholder, context in contexts.items():
            text = text.replace(json.dumps(placeholder), json.dumps(context))
        examples[title] = json.loads(text)
        # An entry of a mailbox has the context of the page that it is in.
        if "eko:entry" in examples[title]:
            examples[title] = {"@context": contexts["<context>"], **examples[title]}
    return contexts, examples


def files():
    """Yields the documents of vectors and snapshots by file."""
    for path in sorted((ROOT / "docs/vectors").glob("*.json")):
        yield path.name, json.loads(path.read_text())
    for path in sorted(ROOT.glob("tests/*/snapshots/*.snap")):
        text = path.read_text().split("\n---\n", 1)[1]
        if text.lstrip().startswith(("{", "[")):
            yield path.name, json.loads(text)


def every_document(value):
    """Yields all parts of a value that have a context, also those in the text of another document."""
    if isinstance(value, dict) and isinstance(value.get("@context"), list):
        yield value
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from every_document(item)
    elif isinstance(value, str) and value.startswith('{"@context"'):
        yield json.loads(value)


def single(value):
    """Returns the value without contexts, and with an array of one value as that value: terms of ActivityStreams may be
    written either way. The signatures of an `Add` and of its keys are one property, which is written with one name."""
    if isinstance(value, dict):
        names = {"signature": "eko:signature"}
        return {names.get(name, name): single(item) for name, item in value.items() if name != "@context"}
    if isinstance(value, list):
        items = [single(item) for item in value]
        return items[0] if len(items) == 1 else items
    return value


def referred(value):
    """Returns the value with only the ids of the documents in it that have a context of their own."""
    if isinstance(value, dict) and isinstance(value.get("@context"), list) and "id" in value:
        return value["id"]
    if isinstance(value, dict):
        return {name: item if name == "@context" else referred(item) for name, item in value.items()}
    return [referred(item) for item in value] if isinstance(value, list) else value


def unprefixed(value):
    """Returns the value with `name` for `eko:name`. The short context of notes defines no such term, so that both are the
    same member and the shorter one is written."""
    if isinstance(value, dict):
        return {name.removeprefix("eko:"): unprefixed(item) for name, item in value.items()}
    return [unprefixed(item) for item in value] if isinstance(value, list) else value


def differences(before, after, path=""):
    """Yields the paths of members that differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted({*before, *after}):
            yield from differences(before.get(name), after.get(name), f"{path}/{name}")
    elif before != after:
        yield f"{path}: {json.dumps(before)} → {json.dumps(after)}"


def nodes(value):
    """Yields all objects in an expanded document. A JSON literal is one value, whatever is in it."""
    if isinstance(value, dict):
        yield value
        if value.get("@type") == "@json":
            return
    if isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from nodes(item)


def faults(document, short):
    """Yields what a reader of linked data would lose of a document, or would not understand."""
    try:
        expanded = jsonld.expand(document)
    except jsonld.JsonLdError as error:
        yield f"is not expanded: {error.details}"
        return
    is_content = document["@context"] == short
    for node in nodes(expanded):
        for name in [name for name in node if not name.startswith("@")] + list(node.get("@type") or [] if "@value" not in node else []):
            if not name.startswith(VOCABULARIES):
                yield f"{name} has no meaning"
        if isinstance(node.get("@value"), str) and LINK.match(node["@value"]) and not is_content:
            yield f"{node['@value']} is no link"
        # A snapshot has a text in brackets in place of what is random.
        # `formerType` is a link to a type in the context of ActivityStreams. Its examples have the short name.
        if not LINK.match(node.get("@id", "urn:")) and not node["@id"].startswith(("data:", "[")) and node != {"@id": "Person"}:
            yield f"{node['@id']} is no IRI"
    flat = {name: referred(value) for name, value in document.items()}
    compacted = jsonld.compact(flat, document["@context"])
    if is_content:
        flat = unprefixed(flat)
    for path in differences(single(flat), single(compacted)):
        yield f"{path} is not what it was when it is compacted again"
    for name, value in arrays(document["@context"], document):
        if compacted.get(name) != value:
            yield f"{name} is an array, and is compacted to {compacted.get(name)}"


def arrays(context, document):
    """Yields the outermost members that the context declares to be arrays."""
    for terms in context:
        for name, definition in terms.items() if isinstance(terms, dict) else ():
            if isinstance(definition, dict) and definition.get("@container") == "@set" and name in document:
                yield name, document[name]


def overridden(context):
    """Yields the terms of an inline context that one of the standard contexts defines."""
    for terms in context:
        for name in terms if isinstance(terms, dict) else ():
            for url, standard in CONTEXTS.items():
                if name in standard["@context"] and not name.startswith("@"):
                    yield f"{name} is a term of {url}"


def main():
    jsonld.set_document_loader(load)
    found, count = [], 0
    contexts, examples = page()
    short = contexts["<context of content>"]
    for title, value in [*examples.items(), *files()]:
        for document in every_document(value):
            count += 1
            found += [f"{title}: {fault}" for fault in [*faults(document, short), *overridden(document["@context"])]]
    print(f"{count} documents")
    sys.exit("\n".join(found) if found else 0)


if __name__ == "__main__":
    main()
