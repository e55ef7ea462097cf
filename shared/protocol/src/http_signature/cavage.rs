use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::clock::Clock;
use super::incoming::{Incoming, cut};
use super::{Claim, Fault, Scheme, check_covered, check_key_id, check_signature};

/// Parameters of one signature: the draft has seven.
const MAX_PARAMETERS: usize = 16;

/// The parameters that count here; others are ignored, as the draft wants it.
#[derive(Debug)]
struct Parameters<'a> {
    key_id: &'a str,
    signature: &'a str,
    covered: Vec<String>,
    algorithm: Option<&'a str>,
    created: Option<i64>,
    expires: Option<i64>,
}

pub(super) fn read(incoming: &Incoming<'_>, clock: Clock) -> Result<Claim, Fault> {
    let parameters = Parameters::read(incoming.header("signature")?)?;
    check_key_id(parameters.key_id)?;
    let signature = STANDARD.decode(parameters.signature).map_err(|_| Fault::Signature)?;
    let signature = check_signature(signature)?;
    check_coverage(incoming, &parameters)?;
    check_times(incoming, &parameters, clock)?;

    let mut lines = Vec::with_capacity(parameters.covered.len());
    for name in &parameters.covered {
        let value = match name.as_str() {
            "(request-target)" => {
                format!("{} {}", incoming.method().to_ascii_lowercase(), incoming.target())
            }
            "(created)" => parameters.created.ok_or(Fault::ParameterMissing("created"))?.to_string(),
            "(expires)" => parameters.expires.ok_or(Fault::ParameterMissing("expires"))?.to_string(),
            header => incoming.covered_header(header)?.to_owned(),
        };
        lines.push(format!("{name}: {value}"));
    }
    let key_id = parameters.key_id.to_owned();
    Ok(Claim { scheme: Scheme::Cavage, key_id, base: lines.join("\n").into_bytes(), signature })
}

fn check_coverage(incoming: &Incoming<'_>, parameters: &Parameters<'_>) -> Result<(), Fault> {
    check_covered(&parameters.covered)?;
    let covers = |name: &str| parameters.covered.iter().any(|covered| covered == name);
    for name in ["(request-target)", "host"] {
        if !covers(name) {
            return Err(Fault::NotCovered(name));
        }
    }
    if !covers("date") && !covers("(created)") {
        return Err(Fault::NotCovered("date"));
    }
    if incoming.needs_digest() && !covers("digest") {
        return Err(Fault::NotCovered("digest"));
    }
    match parameters.algorithm {
        // `hs2019` leaves the algorithm to the key's meta data; ours are RSA with SHA-256.
        None | Some("hs2019") => Ok(()),
        Some("rsa-sha256") => match ["(created)", "(expires)"].into_iter().find(|name| covers(name)) {
            Some(name) => Err(Fault::OldAlgorithm(name.to_owned())),
            None => Ok(()),
        },
        Some(_) => Err(Fault::Algorithm),
    }
}

/// Every time that is given has to be right, covered or not.
fn check_times(incoming: &Incoming<'_>, parameters: &Parameters<'_>, clock: Clock) -> Result<(), Fault> {
    if parameters.covered.iter().any(|name| name == "date") {
        clock.check_date(incoming.header("date")?)?;
    }
    parameters.created.map_or(Ok(()), |created| clock.check_created(created))?;
    parameters.expires.map_or(Ok(()), |expires| clock.check_expires(expires))
}

impl<'a> Parameters<'a> {
    fn read(header: &'a str) -> Result<Self, Fault> {
        let pairs = pairs(header)?;
        let get = |name: &str| pairs.iter().find(|(other, _)| *other == name).map(|(_, value)| *value);
        let need = |name: &'static str| get(name).ok_or(Fault::ParameterMissing(name));
        let time = |name: &'static str| get(name).map(|text| seconds(name, text)).transpose();
        Ok(Self {
            key_id: need("keyId")?,
            signature: need("signature")?,
            // The draft's default, `(created)` alone, would never be enough.
            covered: need("headers")?.split_ascii_whitespace().map(str::to_ascii_lowercase).collect(),
            algorithm: get("algorithm"),
            created: time("created")?,
            expires: time("expires")?,
        })
    }
}

/// `name="value",name=123`: no escapes, since no parameter needs one.
fn pairs(header: &str) -> Result<Vec<(&str, &str)>, Fault> {
    let fault = || Fault::Unreadable("signature".to_owned());
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
            return Err(Fault::ParameterTwice(cut(name)));
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

/// Whole seconds in their only spelling, since the text is signed; some senders put them in quotes.
fn seconds(name: &'static str, text: &str) -> Result<i64, Fault> {
    let seconds: i64 = text.parse().map_err(|_| Fault::Parameter(name))?;
    if seconds.to_string() == text { Ok(seconds) } else { Err(Fault::Parameter(name)) }
}
