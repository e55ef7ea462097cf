//! Signature Version 4 of requests to S3: in the query of a presigned URL, or in the header
//! `Authorization`.
//!
//! A signature is verified by making it again with AWS's own signer, from the request and the
//! secret, and comparing the two.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use http::request::Parts;
use http::{HeaderName, Uri, header};
use s3s::{S3Error, S3Result, s3_error};
use url::form_urlencoded;

use super::ACCESS_KEY;

/// The algorithm of the signatures.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The parameters in which a presigned URL has its signature.
const PARAMETERS: [&str; 6] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
];

/// The most seconds for which a URL can be presigned.
const MAX_EXPIRES: u64 = 7 * 24 * 60 * 60;

/// The most seconds between the time of a signature and this clock.
const SKEW: i64 = 15 * 60;

/// The one who makes a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Somebody without a signature.
    Anonymous,
    /// The bearer of a presigned URL.
    Presigned,
    /// The holder of the key. The signature covers the body's digest, in hexadecimal, or a word that
    /// says that there is none.
    Signed {
        /// The value of `x-amz-content-sha256`.
        payload: String,
    },
}

/// The signature of a request, as the request has it.
struct Claim {
    algorithm: String,
    credential: String,
    date: String,
    signed_headers: String,
    signature: String,
    /// The seconds for which a URL is presigned. `None` for a signature in a header.
    expires: Option<String>,
}

/// Verifies the signature of a request, and its time at `now_ms`, unless that is `None`.
pub(super) fn verify(parts: &Parts, secret: &str, now_ms: Option<i64>) -> S3Result<Caller> {
    let Some(claim) = Claim::of(parts)? else { return Ok(Caller::Anonymous) };
    if claim.algorithm != ALGORITHM {
        return Err(s3_error!(InvalidRequest, "The algorithm of the signature is not supported."));
    }
    let (time, seconds) = moment(&claim.date).ok_or_else(|| s3_error!(AccessDenied, "Invalid date."))?;
    let expires = claim.expires.as_deref().map(seconds_of).transpose()?;
    if let Some(now_ms) = now_ms {
        check_time(seconds, expires, now_ms.div_euclid(1000))?;
    }
    let [key, day, region, "s3", "aws4_request"] = *claim.credential.split('/').collect::<Vec<_>>() else {
        return Err(s3_error!(AuthorizationHeaderMalformed));
    };
    if key != ACCESS_KEY {
        return Err(s3_error!(InvalidAccessKeyId));
    }
    if !claim.date.starts_with(day) {
        return Err(s3_error!(AuthorizationHeaderMalformed));
    }
    let names: Vec<&str> = claim.signed_headers.split(';').collect();
    let unsigned =
        |name: &&HeaderName| name.as_str().starts_with("x-amz-") && !names.contains(&name.as_str());
    if !names.contains(&"host") || parts.headers.keys().any(|name| unsigned(&name)) {
        return Err(s3_error!(
            AccessDenied,
            "There were headers present in the request which were not signed"
        ));
    }
    let payload = parts.headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok());
    let payload = match expires {
        Some(_) => "UNSIGNED-PAYLOAD",
        None => payload.ok_or_else(|| s3_error!(InvalidRequest, "Missing x-amz-content-sha256."))?,
    };
    if signature(parts, &names, payload, (region, secret), time, expires)? != claim.signature {
        return Err(s3_error!(SignatureDoesNotMatch));
    }
    Ok(match expires {
        Some(_) => Caller::Presigned,
        None => Caller::Signed { payload: payload.to_owned() },
    })
}

/// Returns the query without the parameters of a signature.
pub(super) fn unsigned_query(uri: &Uri) -> String {
    let pairs = uri.query().unwrap_or_default().split('&');
    let others = pairs.filter(|pair| !PARAMETERS.contains(&pair.split('=').next().unwrap_or_default()));
    others.collect::<Vec<_>>().join("&")
}

impl Claim {
    /// Reads the signature of a request. Returns `None` if it has none.
    fn of(parts: &Parts) -> S3Result<Option<Self>> {
        let query = parts.uri.query().unwrap_or_default();
        let parameter = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(other, _)| other == name).map(|(_, value)| value.into_owned())
        };
        let text = |name: &str| parameter(name).ok_or_else(|| s3_error!(AuthorizationQueryParametersError));
        if parameter("X-Amz-Signature").is_some() {
            return Ok(Some(Self {
                algorithm: text("X-Amz-Algorithm")?,
                credential: text("X-Amz-Credential")?,
                date: text("X-Amz-Date")?,
                signed_headers: text("X-Amz-SignedHeaders")?,
                signature: text("X-Amz-Signature")?,
                expires: Some(text("X-Amz-Expires")?),
            }));
        }
        let Some(value) = parts.headers.get(header::AUTHORIZATION) else { return Ok(None) };
        let malformed = || s3_error!(AuthorizationHeaderMalformed);
        let value = value.to_str().map_err(|_| malformed())?;
        let (algorithm, members) = value.split_once(' ').ok_or_else(malformed)?;
        let member = |name: &str| {
            let mut pairs = members.split(',').filter_map(|member| member.trim().split_once('='));
            let value = pairs.find(|(other, _)| *other == name).map(|(_, value)| value.to_owned());
            value.ok_or_else(malformed)
        };
        let date = parts.headers.get("x-amz-date").and_then(|date| date.to_str().ok());
        Ok(Some(Self {
            algorithm: algorithm.to_owned(),
            credential: member("Credential")?,
            date: date.ok_or_else(|| s3_error!(AccessDenied, "Missing x-amz-date."))?.to_owned(),
            signed_headers: member("SignedHeaders")?,
            signature: member("Signature")?,
            expires: None,
        }))
    }
}

/// Makes the signature that a request is due.
fn signature(
    parts: &Parts,
    signed_headers: &[&str],
    payload: &str,
    (region, secret): (&str, &str),
    time: SystemTime,
    expires: Option<u64>,
) -> S3Result<String> {
    let identity = Credentials::new(ACCESS_KEY, secret, None, None, "local").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.excluded_headers = None;
    settings.expires_in = expires.map(Duration::from_secs);
    settings.signature_location = match expires {
        Some(_) => SignatureLocation::QueryParams,
        None => SignatureLocation::Headers,
    };
    let params = v4::SigningParams::builder().identity(&identity).region(region).name("s3");
    let params = params.time(time).settings(settings).build().map_err(S3Error::internal_error)?.into();
    let host = parts.uri.authority().map(|authority| ("host", authority.as_str()));
    let host = host.filter(|_| !parts.headers.contains_key(header::HOST));
    let values = |name| parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let headers = signed_headers.iter().flat_map(|name| values(*name).map(move |value| (*name, value)));
    let uri = format!("{}?{}", parts.uri.path(), unsigned_query(&parts.uri));
    let body = SignableBody::Precomputed(payload.to_owned());
    let request = SignableRequest::new(parts.method.as_str(), uri, headers.chain(host), body);
    let signed = request.and_then(|request| sign(request, &params)).map_err(S3Error::internal_error)?;
    Ok(signed.signature().to_owned())
}

/// Checks the time of a signature against the time now, in seconds.
fn check_time(seconds: i64, expires: Option<u64>, now: i64) -> S3Result<()> {
    let age = now.saturating_sub(seconds);
    match expires {
        _ if age < -SKEW => Err(s3_error!(RequestTimeTooSkewed)),
        None if age > SKEW => Err(s3_error!(RequestTimeTooSkewed)),
        Some(expires) if age > i64::try_from(expires).unwrap_or(i64::MAX) => {
            Err(s3_error!(AccessDenied, "Request has expired"))
        }
        _ => Ok(()),
    }
}

/// Reads the seconds for which a URL is presigned.
fn seconds_of(text: &str) -> S3Result<u64> {
    let seconds = text.parse().ok().filter(|seconds| (1..=MAX_EXPIRES).contains(seconds));
    seconds.ok_or_else(|| s3_error!(AuthorizationQueryParametersError))
}

/// Reads the time of a signature (`20270115T080000Z`). Returns it also in seconds since the Unix epoch.
fn moment(text: &str) -> Option<(SystemTime, i64)> {
    let (day, time) = text.strip_suffix('Z')?.split_once('T')?;
    let is_number =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(day, 8) || !is_number(time, 6) {
        return None;
    }
    let (year, month, of_month) = (day.get(..4)?, day.get(4..6)?, day.get(6..)?);
    let (hour, minute, second) = (time.get(..2)?, time.get(2..4)?, time.get(4..)?);
    let text = format!("{year}-{month}-{of_month}T{hour}:{minute}:{second}Z");
    let date = DateTime::from_str(&text, Format::DateTime).ok()?;
    Some((SystemTime::try_from(date).ok()?, date.secs()))
}
