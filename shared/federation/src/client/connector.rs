//! The connector: resolves a name, checks the addresses, connects, and starts TLS.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Uri;
use http::uri::Scheme;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::{BoxError, Service};

use super::{FetchError, GuardRefusal, HTTPS_PORT, PrivateHosts, UrlPolicy};
use crate::address_guard::is_public;
use crate::network::Network;

/// The time for a connection to one of a host's addresses. A dead address leaves time for the next.
const CONNECT_TIME: Duration = Duration::from_secs(3);

/// The time for a connection with TLS. A request has its own deadline; this one ends a connection
/// that hyper continues to open for the pool after another connection served the request.
const OPENING_TIME: Duration = Duration::from_secs(10);

/// The connector of the guarded client: TLS 1.2 or later and HTTP/1.1 over [`Dialer`].
#[derive(Debug, Clone)]
pub(super) struct GuardedConnector(HttpsConnector<Dialer>);

impl GuardedConnector {
    pub(super) fn new(dialer: Dialer, roots: RootCertStore, urls: UrlPolicy) -> Result<Self, rustls::Error> {
        // The provider is named, because the process-wide default panics if two providers are
        // linked.
        let tls = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
        let builder =
            if urls.danger_allow_loopback_http { builder.https_or_http() } else { builder.https_only() };
        Ok(Self(builder.enable_http1().wrap_connector(dialer)))
    }
}

impl Service<Uri> for GuardedConnector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default().to_owned();
        let opening = self.0.call(uri);
        Box::pin(async move {
            timeout(OPENING_TIME, opening)
                .await
                .unwrap_or_else(|_| Err(FetchError::TimedOut { host, after: OPENING_TIME }.into()))
        })
    }
}

/// The connector below TLS. It resolves a host once and tries the allowed addresses in their order.
#[derive(Clone)]
pub(super) struct Dialer {
    network: Arc<dyn Network>,
    private: PrivateHosts,
}

impl Dialer {
    pub(super) fn new(network: Arc<dyn Network>, private: PrivateHosts) -> Self {
        Self { network, private }
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dialer")
    }
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = FetchError;
    type Future = BoxFuture<'static, Result<Self::Response, FetchError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), FetchError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialer = self.clone();
        Box::pin(async move { dial(&*dialer.network, &dialer.private, &uri).await })
    }
}

/// Connects to the first allowed address that accepts.
async fn dial(
    network: &dyn Network,
    private: &PrivateHosts,
    uri: &Uri,
) -> Result<TokioIo<TcpStream>, FetchError> {
    // hyper passes the URI only. Its scheme is enough: the URL policy allows http in local mode
    // only, and only to names of this machine.
    let loopback = uri.scheme() == Some(&Scheme::HTTP);
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(if loopback { 80 } else { HTTPS_PORT });
    let reach = match loopback {
        true => Reach::Loopback,
        false if private.contains(host, port) => Reach::Everywhere,
        false => Reach::Public,
    };
    let authority = uri.authority().map_or(host, |authority| authority.as_str());
    let unreachable = |reason: String| FetchError::Unreachable { host: authority.to_owned(), reason };
    let unresolvable = |reason: String| FetchError::Unresolvable { host: authority.to_owned(), reason };

    let mut failure = None;
    let found = resolve(network, host, port).await.map_err(unresolvable)?;
    for address in allowed(host, &found, reach)? {
        match timeout(CONNECT_TIME, network.connect(address)).await {
            Ok(Ok(stream)) => return Ok(TokioIo::new(stream)),
            Ok(Err(error)) => failure = Some(error.to_string()),
            Err(_) => failure = Some(format!("no connection within {CONNECT_TIME:?}")),
        }
    }
    Err(unreachable(failure.unwrap_or_default()))
}

/// Returns the addresses of a host, at least one, or the reason why there is none. An IP literal
/// needs no resolver.
async fn resolve(network: &dyn Network, host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    // The caller checks a literal like the addresses of a name.
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = literal.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let addresses = network.resolve(host, port).await.map_err(|error| error.to_string())?;
    if addresses.is_empty() { Err("it has no address".to_owned()) } else { Ok(addresses) }
}

/// The addresses at which a host may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Addresses of the public Internet.
    Public,
    /// Addresses of this machine, in local mode.
    Loopback,
    /// Every address: the operator vouches for the host.
    Everywhere,
}

/// Returns the addresses that may be connected to. If there is none, the refusal names the first
/// address.
fn allowed(host: &str, addresses: &[SocketAddr], reach: Reach) -> Result<Vec<SocketAddr>, GuardRefusal> {
    let may_be_dialled = |address: &&SocketAddr| match reach {
        Reach::Public => is_public(address.ip()),
        Reach::Loopback => address.ip().is_loopback(),
        Reach::Everywhere => true,
    };
    let allowed: Vec<_> = addresses.iter().filter(may_be_dialled).copied().collect();
    match addresses.first() {
        Some(first) if allowed.is_empty() => {
            let (host, address) = (host.to_owned(), first.ip());
            Err(match reach {
                Reach::Loopback => GuardRefusal::NotLoopback { host, address },
                Reach::Public | Reach::Everywhere => GuardRefusal::NotPublic { host, address },
            })
        }
        _ => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::tests::fake::FakeNet;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 443)).collect()
    }

    #[test]
    fn only_allowed_addresses_are_left_in_their_order() {
        let found = addresses(&["10.0.0.1", "2606:4700::1", "127.0.0.1", "1.1.1.1", "::1"]);
        assert_eq!(allowed("a.example", &found, Reach::Public), Ok(addresses(&["2606:4700::1", "1.1.1.1"])));
        assert_eq!(allowed("localhost", &found, Reach::Loopback), Ok(addresses(&["127.0.0.1", "::1"])));
        assert_eq!(allowed("push.lan", &found, Reach::Everywhere), Ok(found.clone()));
    }

    #[test]
    fn refusals_name_the_first_address() {
        let (host, address) = ("a.example".to_owned(), [10, 0, 0, 1].into());
        let refusal = GuardRefusal::NotPublic { host: host.clone(), address };
        assert_eq!(allowed(&host, &addresses(&["10.0.0.1", "::1"]), Reach::Public), Err(refusal));
        let refusal = GuardRefusal::NotLoopback { host: host.clone(), address };
        assert_eq!(allowed(&host, &addresses(&["10.0.0.1", "1.1.1.1"]), Reach::Loopback), Err(refusal));
    }

    // The URL policy refuses these URLs before. The connector is the second line of defence.
    #[tokio::test]
    async fn literal_addresses_are_judged_without_a_resolver() {
        let net = FakeNet::default();
        for uri in ["https://127.0.0.1/", "https://[::1]/", "https://[fd00:ec2::254]/", "http://10.0.0.1/"] {
            let error = dial(&net, &PrivateHosts::default(), &uri.parse().unwrap()).await.unwrap_err();
            assert!(matches!(error, FetchError::Refused(_)), "{error}");
        }
        assert_eq!((net.dialled(), net.resolved()), (vec![], vec![]));
    }
}
