//! The transport over HTTP.

mod web_socket;

use std::error::Error;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response, Uri, uri};
use reqwest::redirect::Policy;
use rustls::CertificateError;

use super::{CertificateFault, Transport, TransportError};

pub use web_socket::WebSocket;

/// The time within which an answer must arrive: a page of a mailbox over a slow line.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The time within which a server must accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The greatest length of an answer in bytes. A chain of a thousand nodes has 1.5 MB.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// HTTP/1.1 over TCP or TLS. Connections are kept. Cheap to clone.
#[derive(Clone)]
pub struct HttpTransport {
    client: reqwest::Client,
    through: Option<Uri>,
}

impl HttpTransport {
    /// Returns a client without connections. It follows no redirects, because a token must not
    /// travel to another host.
    ///
    /// # Errors
    /// [`TransportError`] if the system's TLS roots cannot be read.
    pub fn new() -> Result<Self, TransportError> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .user_agent(concat!("eko-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(failure)?;
        Ok(Self { client, through: None })
    }

    /// Sends every request to this scheme, host and port, whatever its URI says. For a server that
    /// listens elsewhere than at its public origin, as behind a tunnel.
    ///
    /// # Errors
    /// [`TransportError::Broken`] if `base` is no absolute URL.
    pub fn through(mut self, base: &str) -> Result<Self, TransportError> {
        let uri: Uri = base.parse().map_err(|error| TransportError::Broken(format!("{base}: {error}")))?;
        if uri.scheme().is_none() || uri.authority().is_none() {
            return Err(TransportError::Broken(format!("{base}: needs a scheme and a host")));
        }
        self.through = Some(uri);
        Ok(self)
    }

    fn target(&self, asked: &Uri) -> Result<Uri, TransportError> {
        let Some(through) = &self.through else { return Ok(asked.clone()) };
        let mut parts = uri::Parts::default();
        parts.scheme = through.scheme().cloned();
        parts.authority = through.authority().cloned();
        parts.path_and_query = asked.path_and_query().cloned();
        Uri::from_parts(parts).map_err(|error| TransportError::Broken(error.to_string()))
    }
}

impl Transport for HttpTransport {
    async fn send(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        *request.uri_mut() = self.target(request.uri())?;
        let request = reqwest::Request::try_from(request).map_err(failure)?;
        read_answer(self.client.execute(request).await.map_err(failure)?).await
    }
}

/// Reads an answer to its end.
async fn read_answer(mut answer: reqwest::Response) -> Result<Response<Bytes>, TransportError> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = answer.status();
    *response.headers_mut() = std::mem::take(answer.headers_mut());
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(failure)? {
        if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
            return Err(TransportError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    *response.body_mut() = body.freeze();
    Ok(response)
}

/// Returns the error with the server and its innermost reason, which says most: "connection refused" rather
/// than "error sending request".
fn failure(error: reqwest::Error) -> TransportError {
    let mut reason: &dyn Error = &error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    let server = error.url().map(reqwest::Url::authority).filter(|server| !server.is_empty());
    if let Some(fault) = certificate_fault(&error) {
        let server = server.unwrap_or("the server").to_owned();
        return TransportError::CertificateTime { server, fault };
    }
    let reason = match server {
        Some(server) => format!("{server}, {reason}"),
        None => reason.to_string(),
    };
    if error.is_connect() {
        TransportError::Connect(reason)
    } else if error.is_timeout() {
        TransportError::Timeout
    } else {
        TransportError::Broken(reason)
    }
}

/// Returns the fault if an error says that a certificate is not valid at this time.
fn certificate_fault(error: &(dyn Error + 'static)) -> Option<CertificateFault> {
    if let Some(rustls::Error::InvalidCertificate(fault)) = error.downcast_ref() {
        return match fault {
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Some(CertificateFault::Early)
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                Some(CertificateFault::Expired)
            }
            _ => None,
        };
    }
    // The source of an I/O error is not the error in it, but the source of that one.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(inner) => certificate_fault(inner),
        None => certificate_fault(error.source()?),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use rustls::pki_types::PrivateKeyDer;
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// A certificate is judged by the clock of this machine, and a clock that is wrong by years is common after
    /// an empty battery.
    #[tokio::test]
    async fn a_certificate_that_is_not_valid_now_is_told_from_a_server_that_is_out_of_reach() {
        for (years, fault) in [(2000..2001, CertificateFault::Expired), (4000..4001, CertificateFault::Early)]
        {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
            params.not_before = date_time_ymd(years.start, 1, 1);
            params.not_after = date_time_ymd(years.end, 1, 1);
            let certificate = params.self_signed(&key).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let config = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![certificate.der().clone()],
                    PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
                )
                .unwrap();
            let acceptor = TlsAcceptor::from(Arc::new(config));
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = listener.local_addr().unwrap().port();
            let serving = tokio::spawn(async move {
                let (socket, _) = listener.accept().await.unwrap();
                acceptor.accept(socket).await.map(drop)
            });
            let root = reqwest::Certificate::from_der(certificate.der()).unwrap();
            let client = reqwest::Client::builder().tls_certs_only([root]).build().unwrap();
            let http = HttpTransport { client, through: None };
            let request = Request::get(format!("https://localhost:{port}/")).body(Bytes::new()).unwrap();
            let server = format!("localhost:{port}");
            assert_eq!(
                http.send(request).await.unwrap_err(),
                TransportError::CertificateTime { server, fault }
            );
            assert!(serving.await.unwrap().is_err());
        }
    }

    #[test]
    fn requests_go_through_where_they_must() {
        let asked: Uri = "https://a.example/user/bob/inbox?after=1".parse().unwrap();
        let http = HttpTransport::new().unwrap();
        assert_eq!(http.target(&asked).unwrap(), asked);
        let http = http.through("http://127.0.0.1:8080").unwrap();
        assert_eq!(http.target(&asked).unwrap(), "http://127.0.0.1:8080/user/bob/inbox?after=1");
        for base in ["localhost:8080", "/x", ""] {
            assert!(HttpTransport::new().unwrap().through(base).is_err(), "{base}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_told_from_a_broken_answer() {
        let http = HttpTransport::new().unwrap();
        let request = Request::get("http://127.0.0.1:9/").body(Bytes::new()).unwrap();
        let Err(TransportError::Connect(why)) = http.send(request).await else { panic!() };
        assert!(why.starts_with("127.0.0.1:9, "), "{why}");
    }
}
