//! RFC 9421, read.

use sfv::{BareItem, Dictionary, FieldType as _, InnerList, Key, ListEntry, Parser, Version};

use super::choice::KeyPlace;
use super::clock::TimeWindow;
use super::incoming::{IncomingRequest, cut};
use super::{Scheme, SignatureClaim, SignatureFault, check_covered, check_key_id, check_signature};

/// The name of RSASSA-PKCS1-v1_5 with SHA-256 (RFC 9421, section 3.3.2).
pub(super) const ALGORITHM: &str = "rsa-v1_5-sha256";

/// The parameters of a signature that are read.
#[derive(Debug)]
struct Rfc9421Parameters<'a> {
    key_id: &'a str,
    created: i64,
    expires: Option<i64>,
}

/// Reads `Signature-Input`, and the header `Signature` as far as it is of this scheme, and builds the
/// signature base (RFC 9421, section 2.5).
///
/// ```text
/// "@method": POST
/// "@target-uri": https://a.example/user/bob/inbox
/// "content-digest": sha-256=:…:
/// "@signature-params": ("@method" "@target-uri" "content-digest");created=…;keyid="…";alg="…"
/// ```
pub(super) fn read(
    incoming: &IncomingRequest<'_>,
    signatures: &str,
    actor: &str,
    clock: TimeWindow,
) -> Result<SignatureClaim, SignatureFault> {
    let mut inputs = inputs(incoming)?;
    let mut signatures = dictionary("signature", signatures)?;
    if inputs.is_empty() || signatures.is_empty() {
        return Err(SignatureFault::Unsigned);
    }
    if inputs.len() != signatures.len() || !inputs.keys().all(|label| signatures.contains_key(label)) {
        return Err(SignatureFault::OtherLabel);
    }
    let label = label(&inputs, actor)?;
    let input = inputs.shift_remove(&label).ok_or(SignatureFault::Unsigned)?;
    let signature = signatures.shift_remove(&label).ok_or(SignatureFault::OtherLabel)?;
    let ListEntry::InnerList(input) = input else {
        return Err(SignatureFault::Unreadable("signature-input".to_owned()));
    };
    let signature = check_signature(bytes(signature)?)?;
    let names = names(&input)?;
    let parameters = parameters(&input)?;
    check_key_id(parameters.key_id)?;
    check_coverage(incoming, &names)?;
    clock.check_created(parameters.created)?;
    parameters.expires.map_or(Ok(()), |expires| clock.check_expires(expires))?;

    let mut base = String::new();
    for name in &names {
        base.push_str(&format!("\"{name}\": {}\n", component(incoming, name)?));
    }
    let key_id = parameters.key_id.to_owned();
    let input = vec![ListEntry::InnerList(input)].serialize();
    let input = input.ok_or_else(|| SignatureFault::Unreadable("signature-input".to_owned()))?;
    base.push_str(&format!("\"@signature-params\": {input}"));
    Ok(SignatureClaim { scheme: Scheme::Rfc9421, key_id, base: base.into_bytes(), signature })
}

/// Returns the value of a covered component in this request (RFC 9421, section 2).
fn component(incoming: &IncomingRequest<'_>, name: &str) -> Result<String, SignatureFault> {
    let (path, query) = match incoming.target().split_once('?') {
        Some((path, query)) => (path, query),
        None => (incoming.target(), ""),
    };
    let origin = incoming.origin();
    Ok(match name {
        "@method" => incoming.method().to_owned(),
        "@target-uri" => format!("{origin}{}", incoming.target()),
        "@authority" => origin.authority().to_owned(),
        "@scheme" => origin.as_str().split_once(':').map_or("", |(scheme, _)| scheme).to_owned(),
        "@request-target" => incoming.target().to_owned(),
        "@path" => path.to_owned(),
        "@query" => format!("?{query}"),
        header => incoming.covered_header(header)?,
    })
}

/// Refuses a signature that leaves out what must be covered.
fn check_coverage(incoming: &IncomingRequest<'_>, names: &[String]) -> Result<(), SignatureFault> {
    check_covered(names)?;
    let covers = |name: &str| names.iter().any(|covered| covered == name);
    if !covers("@method") {
        return Err(SignatureFault::NotCovered("@method"));
    }
    if !covers("@target-uri") {
        if !covers("@authority") {
            return Err(SignatureFault::NotCovered("@target-uri"));
        }
        if !covers("@request-target") {
            if !covers("@path") {
                return Err(SignatureFault::NotCovered("@path"));
            }
            if incoming.target().contains('?') && !covers("@query") {
                return Err(SignatureFault::NotCovered("@query"));
            }
        }
    }
    if incoming.needs_digest() && !covers("content-digest") {
        return Err(SignatureFault::NotCovered("content-digest"));
    }
    Ok(())
}

/// Returns the names of the covered components. A component with a parameter (`sf`, `key`, `bs`,
/// `tr`, `req`, `name`) is refused: a parameter changes the meaning of a component, and no server
/// uses one.
fn names(input: &InnerList) -> Result<Vec<String>, SignatureFault> {
    let fault = || SignatureFault::Unreadable("signature-input".to_owned());
    let mut names = Vec::with_capacity(input.items.len());
    for item in &input.items {
        let name = item.bare_item.as_string().ok_or_else(fault)?.as_str();
        if let Some(parameter) = item.params.keys().next() {
            return Err(SignatureFault::Unsupported(format!("{};{}", cut(name), cut(parameter.as_str()))));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Reads the parameters of the signature (RFC 9421, section 2.3).
fn parameters(input: &InnerList) -> Result<Rfc9421Parameters<'_>, SignatureFault> {
    let (mut key_id, mut created, mut expires) = (None, None, None);
    for (name, value) in &input.params {
        match (name.as_str(), value) {
            ("keyid", BareItem::String(text)) => key_id = Some(text.as_str()),
            ("created", BareItem::Integer(number)) => created = Some(i64::from(*number)),
            ("expires", BareItem::Integer(number)) => expires = Some(i64::from(*number)),
            ("alg", BareItem::String(text)) if text.as_str() == ALGORITHM => {}
            ("alg", _) => return Err(SignatureFault::Algorithm),
            // The base covers them; they mean nothing to this server.
            ("nonce" | "tag", BareItem::String(_)) => {}
            ("keyid", _) => return Err(SignatureFault::Parameter("keyid")),
            ("created", _) => return Err(SignatureFault::Parameter("created")),
            ("expires", _) => return Err(SignatureFault::Parameter("expires")),
            (name, _) => return Err(SignatureFault::Unsupported(cut(name))),
        }
    }
    Ok(Rfc9421Parameters {
        key_id: key_id.ok_or(SignatureFault::ParameterMissing("keyid"))?,
        created: created.ok_or(SignatureFault::ParameterMissing("created"))?,
        expires,
    })
}

/// Returns the label of the signature that counts: the only one, or of several the one whose key is
/// on the actor's server. If several keys are there, as with a proxy of that server, it is the one
/// whose key is in the actor's own document.
fn label(inputs: &Dictionary, actor: &str) -> Result<Key, SignatureFault> {
    let place = |input| KeyPlace::of(key_document(input).unwrap_or_default(), actor);
    let labels: Vec<(&Key, KeyPlace)> = inputs.iter().map(|(label, input)| (label, place(input))).collect();
    let from = |least: KeyPlace| -> Vec<&Key> {
        labels.iter().filter(|(_, place)| *place >= least).map(|(label, _)| *label).collect()
    };
    let (there, own) = (from(KeyPlace::Server), from(KeyPlace::Document));
    match (labels.as_slice(), there.as_slice(), own.as_slice()) {
        ([], _, _) => Err(SignatureFault::Unsigned),
        ([(label, _)], _, _) => Ok((*label).clone()),
        (_, [], _) => Err(SignatureFault::NoLabel),
        (_, [label], _) | (_, _, [label]) => Ok((*label).clone()),
        _ => Err(SignatureFault::SeveralLabels),
    }
}

/// Returns the key id of a signature, without its fragment.
fn key_document(input: &ListEntry) -> Option<&str> {
    let ListEntry::InnerList(input) = input else { return None };
    match input.params.get("keyid")? {
        BareItem::String(id) => id.as_str().split('#').next(),
        _ => None,
    }
}

/// Returns the members of `Signature-Input`, which may have several lines.
fn inputs(incoming: &IncomingRequest<'_>) -> Result<Dictionary, SignatureFault> {
    dictionary("signature-input", &incoming.list("signature-input")?)
}

/// Returns the place of the key that is nearest to the actor, [`KeyPlace::Elsewhere`] if the
/// signatures cannot be read.
pub(super) fn key_place(incoming: &IncomingRequest<'_>, actor: &str) -> KeyPlace {
    let inputs = inputs(incoming).unwrap_or_default();
    let places = inputs.values().filter_map(key_document).map(|document| KeyPlace::of(document, actor));
    places.max().unwrap_or(KeyPlace::Elsewhere)
}

/// Returns the bytes of a `Signature` member, which has no parameters.
fn bytes(entry: ListEntry) -> Result<Vec<u8>, SignatureFault> {
    match entry {
        ListEntry::Item(item) if item.params.is_empty() => match item.bare_item {
            BareItem::ByteSequence(bytes) => Ok(bytes),
            _ => Err(SignatureFault::Unreadable("signature".to_owned())),
        },
        _ => Err(SignatureFault::Unreadable("signature".to_owned())),
    }
}

/// Reads a dictionary (RFC 8941) and refuses one in which a member or a parameter appears twice.
///
/// The standard takes the last of two, and other readers may take the first. The parser drops the
/// first silently, so the dictionary is written again and compared with the text.
pub(super) fn dictionary(name: &'static str, text: &str) -> Result<Dictionary, SignatureFault> {
    let dictionary: Dictionary = Parser::new(text)
        .with_version(Version::Rfc8941)
        .parse()
        .map_err(|_| SignatureFault::Unreadable(name.to_owned()))?;
    let again = dictionary.serialize().unwrap_or_default();
    if unspaced(&again) == unspaced(text) { Ok(dictionary) } else { Err(SignatureFault::NotCanonical(name)) }
}

/// Removes white space, of which the standard allows any amount between members and parameters. In
/// a string it is the same before and after.
fn unspaced(text: &str) -> String {
    text.replace([' ', '\t'], "")
}
