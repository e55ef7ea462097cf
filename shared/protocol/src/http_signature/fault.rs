/// Why a request's signature is refused before anyone fetches a key.
///
/// Names in the texts come from the request, cut to what a header name can be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureFault {
    /// Neither scheme's headers; `Authorization: Signature …` is not read.
    #[error("the request is not signed")]
    Unsigned,
    /// The method is not upper-case letters, so that two readers may see two methods.
    #[error("the method is not in upper case")]
    Method,
    /// The target is not a path with an optional query in printable ASCII.
    #[error("the request target is not a path and query")]
    Target,
    /// A header that counts is there more than once.
    #[error("the header `{0}` is there more than once")]
    Repeated(String),
    /// A header that is covered or needed is not there.
    #[error("the header `{0}` is missing")]
    Absent(String),
    /// A header cannot be read as what it is.
    #[error("the header `{0}` is malformed")]
    Unreadable(String),
    /// A structured field with a member or parameter twice, which the standard would quietly merge, or with a
    /// value in another spelling than the standard writes.
    #[error("the header `{0}` names something twice or is not spelled canonically")]
    NotCanonical(&'static str),
    /// RFC 9421 allows several signatures; which one was meant is anyone's guess.
    #[error("the request has more than one signature")]
    SeveralLabels,
    /// `Signature` and `Signature-Input` do not name the same signature.
    #[error("`Signature` and `Signature-Input` have different labels")]
    OtherLabel,
    /// A draft-cavage parameter is there more than once.
    #[error("the signature parameter `{0}` is there more than once")]
    ParameterTwice(String),
    /// A needed parameter is not there.
    #[error("the signature parameter `{0}` is missing")]
    ParameterMissing(&'static str),
    /// A parameter's value is not of its type.
    #[error("the signature parameter `{0}` is malformed")]
    Parameter(&'static str),
    /// A covered component, its parameter, or a signature parameter that is not known here.
    #[error("`{0}` is not supported in a signature")]
    Unsupported(String),
    /// The algorithm is not RSASSA-PKCS1-v1_5 with SHA-256.
    #[error("the signature algorithm is not RSA with SHA-256")]
    Algorithm,
    /// `(created)` or `(expires)` under an old algorithm name, which draft-cavage forbids.
    #[error("`{0}` cannot be covered with the algorithm rsa-sha256")]
    OldAlgorithm(String),
    /// The key id is empty, over 512 bytes or not printable ASCII.
    #[error("the key id is not 1 to 512 printable characters")]
    KeyId,
    /// The signature is not base64, empty, or longer than any RSA key makes it.
    #[error("the signature is not base64 of 1 to 1024 bytes")]
    Signature,
    /// The list of what is covered is empty.
    #[error("the signature covers nothing")]
    NothingCovered,
    /// The list of what is covered is longer than any server's.
    #[error("the signature covers more than 32 components")]
    TooMuchCovered,
    /// A component is covered twice.
    #[error("the signature covers `{0}` twice")]
    CoveredTwice(String),
    /// A component that has to be covered is not.
    #[error("the signature does not cover `{0}`")]
    NotCovered(&'static str),
    /// Made longer ago than the window.
    #[error("the signature is too old")]
    TooOld,
    /// Made further in the future than the window.
    #[error("the signature was made in the future")]
    TooNew,
    /// `expires` is past.
    #[error("the signature has expired")]
    Expired,
    /// The digest header has no SHA-256.
    #[error("the digest has no SHA-256")]
    NoSha256,
    /// The digest header has SHA-256 twice.
    #[error("the digest has SHA-256 twice")]
    Sha256Twice,
    /// The body is not what the digest says.
    #[error("the body does not match its digest")]
    OtherBody,
}
