//! draft-cavage-http-signatures-12, read.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::choice::KeyPlace;
use super::clock::TimeWindow;
use super::incoming::{IncomingRequest, cut};
use super::{Scheme, SignatureClaim, SignatureFault, check_covered, check_key_id, check_signature};

/// The maximum number of parameters of one signature; the draft defines seven.
const MAX_PARAMETERS: usize = 16;

/// The parameters that are read. Others are ignored (section 2.1).
#[derive(Debug)]
struct CavageParameters<'a> {
    key_id: &'a str,
    signature: &'a str,
    covered: Vec<String>,
    algorithm: Option<&'a str>,
    created: Option<i64>,
    expires: Option<i64>,
}

/// Reads `header`, the `Signature` header, and builds the signed text (section 2.3).
///
/// ```text
/// (request-target): post /user/bob/inbox
/// host: a.example
/// date: Mon, 23 Nov 2026 00:00:00 GMT
/// digest: SHA-256=…
/// ```
pub(super) fn read(
    incoming: &IncomingRequest<'_>,
    header: &str,
    clock: TimeWindow,
) -> Result<SignatureClaim, SignatureFault> {
    let parameters = CavageParameters::read(header)?;
    check_key_id(parameters.key_id)?;
    let signature = STANDARD.decode(parameters.signature).map_err(|_| SignatureFault::Signature)?;
    let signature = check_signature(signature)?;
    check_coverage(incoming, &parameters)?;
    check_times(incoming, &parameters, clock)?;

    let mut lines = Vec::with_capacity(parameters.covered.len());
    for name in &parameters.covered {
        let value = match name.as_str() {
            "(request-target)" => {
                format!("{} {}", incoming.method().to_ascii_lowercase(), incoming.target())
            }
            "(created)" => parameters.created.ok_or(SignatureFault::ParameterMissing("created"))?.to_string(),
            "(expires)" => parameters.expires.ok_or(SignatureFault::ParameterMissing("expires"))?.to_string(),
            header => incoming.covered_header(header)?,
        };
        lines.push(format!("{name}: {value}"));
    }
    let key_id = parameters.key_id.to_owned();
    Ok(SignatureClaim { scheme: Scheme::Cavage, key_id, base: lines.join("\n").into_bytes(), signature })
}

/// Returns the place of the key of a signature, [`KeyPlace::Elsewhere`] if it cannot be read.
pub(super) fn key_place(header: &str, actor: &str) -> KeyPlace {
    let parameters = CavageParameters::read(header);
    parameters.map_or(KeyPlace::Elsewhere, |parameters| KeyPlace::of(parameters.key_id, actor))
}

/// Refuses a signature that leaves out what must be covered, or whose algorithm is not RSA with
/// SHA-256.
fn check_coverage(
    incoming: &IncomingRequest<'_>,
    parameters: &CavageParameters<'_>,
) -> Result<(), SignatureFault> {
    check_covered(&parameters.covered)?;
    let covers = |name: &str| parameters.covered.iter().any(|covered| covered == name);
    for name in ["(request-target)", "host"] {
        if !covers(name) {
            return Err(SignatureFault::NotCovered(name));
        }
    }
    if !covers("date") && !covers("(created)") {
        return Err(SignatureFault::NotCovered("date"));
    }
    if incoming.needs_digest() && !covers("digest") {
        return Err(SignatureFault::NotCovered("digest"));
    }
    match parameters.algorithm {
        // `hs2019` means the algorithm of the key, which is RSA with SHA-256.
        None | Some("hs2019") => Ok(()),
        Some("rsa-sha256") => match ["(created)", "(expires)"].into_iter().find(|name| covers(name)) {
            Some(name) => Err(SignatureFault::OldAlgorithm(name.to_owned())),
            None => Ok(()),
        },
        Some(_) => Err(SignatureFault::Algorithm),
    }
}

/// Checks each time that the request states, whether the signature covers it or not.
fn check_times(
    incoming: &IncomingRequest<'_>,
    parameters: &CavageParameters<'_>,
    clock: TimeWindow,
) -> Result<(), SignatureFault> {
    if parameters.covered.iter().any(|name| name == "date") {
        clock.check_date(incoming.header("date")?)?;
    }
    parameters.created.map_or(Ok(()), |created| clock.check_created(created))?;
    parameters.expires.map_or(Ok(()), |expires| clock.check_expires(expires))
}

impl<'a> CavageParameters<'a> {
    fn read(header: &'a str) -> Result<Self, SignatureFault> {
        let pairs = pairs(header)?;
        let get = |name: &str| pairs.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        let need = |name: &'static str| get(name).ok_or(SignatureFault::ParameterMissing(name));
        let time = |name: &'static str| get(name).map(|text| seconds(name, text)).transpose();
        Ok(Self {
            key_id: need("keyId")?,
            signature: need("signature")?,
            // The default of the draft, `(created)` alone, does not cover enough.
            covered: need("headers")?.split_ascii_whitespace().map(str::to_ascii_lowercase).collect(),
            algorithm: get("algorithm"),
            created: time("created")?,
            expires: time("expires")?,
        })
    }
}

/// Splits `name="value",name=123` into pairs. Escapes are refused, because no parameter needs them.
fn pairs(header: &str) -> Result<Vec<(&str, &str)>, SignatureFault> {
    let fault = || SignatureFault::Unreadable("signature".to_owned());
    let mut pairs: Vec<(&str, &str)> = Vec::new();
    let mut rest = header;
    loop {
        let (name, after) = rest.split_once('=').ok_or_else(fault)?;
        let name = name.trim_matches([' ', '\t']);
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or_else(fault)?,
            None => after.split_at_checked(after.find(',').unwrap_or(after.len())).ok_or_else(fault)?,
        };
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric()) || value.contains('\\') {
            return Err(fault());
        }
        if pairs.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Err(SignatureFault::ParameterTwice(cut(name)));
        }
        pairs.push((name, value));
        let after = after.trim_matches([' ', '\t']);
        if after.is_empty() {
            return Ok(pairs);
        }
        rest = after.strip_prefix(',').ok_or_else(fault)?;
        if pairs.len() >= MAX_PARAMETERS {
            return Err(fault());
        }
    }
}

/// Reads whole seconds in their shortest spelling, because the text itself is signed. Some senders
/// put them in quotes.
fn seconds(name: &'static str, text: &str) -> Result<i64, SignatureFault> {
    let seconds: i64 = text.parse().map_err(|_| SignatureFault::Parameter(name))?;
    if seconds.to_string() == text { Ok(seconds) } else { Err(SignatureFault::Parameter(name)) }
}
