//! The faults of a signature that are found without a key.

/// The reason why a request's signature is refused before its key is fetched.
///
/// Some faults repeat a name from the request, cut to 64 printable characters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// The request has the headers of neither scheme. `Authorization: Signature …` is not read.
    #[error("the request is not signed")]
    Unsigned,
    /// The method has other characters than upper-case letters.
    #[error("the method is not in upper case")]
    Method,
    /// The target is not a path with an optional query in printable ASCII.
    #[error("the request target is not a path and query")]
    Target,
    /// A header that is read here appears more than once.
    #[error("the header `{0}` is there more than once")]
    Repeated(String),
    /// A header that is covered or required is missing.
    #[error("the header `{0}` is missing")]
    Absent(String),
    /// A header does not have the form that its standard requires.
    #[error("the header `{0}` is malformed")]
    Unreadable(String),
    /// A structured field names a member or a parameter twice, which the standard would merge
    /// silently, or has a value in another spelling than the standard writes.
    #[error("the header `{0}` names something twice or is not spelled canonically")]
    NotCanonical(&'static str),
    /// Several of the request's signatures have a key of the actor.
    #[error("the request has more than one signature of the actor")]
    SeveralLabels,
    /// None of the request's several signatures has a key on the actor's server.
    #[error("none of the request's signatures has a key on the actor's server")]
    NoLabel,
    /// `Signature` and `Signature-Input` do not name the same signatures.
    #[error("`Signature` and `Signature-Input` have different labels")]
    OtherLabel,
    /// A draft-cavage parameter appears more than once.
    #[error("the signature parameter `{0}` is there more than once")]
    ParameterTwice(String),
    /// A required parameter is missing.
    #[error("the signature parameter `{0}` is missing")]
    ParameterMissing(&'static str),
    /// A parameter's value has the wrong type.
    #[error("the signature parameter `{0}` is malformed")]
    Parameter(&'static str),
    /// A covered component, a parameter of a component, or a signature parameter is not supported
    /// here.
    #[error("`{0}` is not supported in a signature")]
    Unsupported(String),
    /// The algorithm is not RSASSA-PKCS1-v1_5 with SHA-256.
    #[error("the signature algorithm is not RSA with SHA-256")]
    Algorithm,
    /// `(created)` or `(expires)` is covered under the algorithm name rsa-sha256, which
    /// draft-cavage forbids.
    #[error("`{0}` cannot be covered with the algorithm rsa-sha256")]
    OldAlgorithm(String),
    /// The key id is empty, longer than 512 bytes, or not printable ASCII.
    #[error("the key id is not 1 to 512 printable characters")]
    KeyId,
    /// The signature is not base64, is empty, or is longer than any RSA key makes it.
    #[error("the signature is not base64 of 1 to 1024 bytes")]
    Signature,
    /// The list of covered components is empty.
    #[error("the signature covers nothing")]
    NothingCovered,
    /// The list of covered components is longer than 32.
    #[error("the signature covers more than 32 components")]
    TooMuchCovered,
    /// The list of covered components names one twice.
    #[error("the signature covers `{0}` twice")]
    CoveredTwice(String),
    /// A component that must be covered is not.
    #[error("the signature does not cover `{0}`")]
    NotCovered(&'static str),
    /// The signature was made longer ago than the window.
    #[error("the signature is too old")]
    TooOld,
    /// The time of the signature is further in the future than the window.
    #[error("the signature was made in the future")]
    TooNew,
    /// The time in `expires` has passed.
    #[error("the signature has expired")]
    Expired,
    /// The digest header has no SHA-256.
    #[error("the digest has no SHA-256")]
    NoSha256,
    /// The digest header has SHA-256 twice.
    #[error("the digest has SHA-256 twice")]
    Sha256Twice,
    /// The body does not have the digest that the header states.
    #[error("the body does not match its digest")]
    OtherBody,
}
