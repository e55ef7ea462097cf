//! A fake Internet in this process: names, routes from public addresses to listeners on loopback,
//! servers, and a record of lookups and connections. The servers live as long as the test's
//! runtime.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use http::HeaderValue;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::client::{ClientOptions, GuardedClient, PrivateHosts, UrlPolicy};
use crate::network::Network;

/// A network that connects only to the listeners that it has routes to.
#[derive(Default)]
pub(crate) struct FakeNet {
    names: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    routes: Mutex<HashMap<SocketAddr, SocketAddr>>,
    resolved: Mutex<Vec<String>>,
    dialled: Mutex<Vec<SocketAddr>>,
}

impl FakeNet {
    /// Adds an answer of the resolver for a name. Several answers are given in order, and the last
    /// one for ever.
    pub(crate) fn name(&self, host: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        self.names.lock().unwrap().entry(host.to_owned()).or_default().push_back(addresses);
    }

    /// Routes connections to an address to a listener.
    pub(crate) fn route(&self, address: &str, listener: SocketAddr) {
        self.routes.lock().unwrap().insert(address.parse().unwrap(), listener);
    }

    /// Returns the names that were looked up, in order.
    pub(crate) fn resolved(&self) -> Vec<String> {
        self.resolved.lock().unwrap().clone()
    }

    /// Returns the addresses to which connections were tried, in order.
    pub(crate) fn dialled(&self) -> Vec<SocketAddr> {
        self.dialled.lock().unwrap().clone()
    }
}

impl Network for FakeNet {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        self.resolved.lock().unwrap().push(host.to_owned());
        let mut names = self.names.lock().unwrap();
        let addresses = names.get_mut(host).and_then(|answers| {
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
        });
        let answer = addresses
            .map(|addresses| addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"));
        Box::pin(async { answer })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>> {
        self.dialled.lock().unwrap().push(address);
        let route = self.routes.lock().unwrap().get(&address).copied();
        Box::pin(async move {
            match route {
                Some(listener) => TcpStream::connect(listener).await,
                None => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}

/// The reaction of a test server to a request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Sends the bytes and closes.
    Send(Vec<u8>),
    /// Sends the bytes and waits for the next request.
    Keep(Vec<u8>),
    /// Sends the bytes and then nothing, without closing.
    Stall(Vec<u8>),
    /// Sends the first bytes once and the second bytes for ever.
    Endless(Vec<u8>, Vec<u8>),
}

/// Returns a 200 with a media type and a body.
pub(crate) fn ok(media_type: &str, body: &str) -> Reply {
    answer("200 OK", &[("Content-Type", media_type)], body)
}

/// Returns a redirect.
pub(crate) fn redirect(status: u16, location: &str) -> Reply {
    answer(&format!("{status} Elsewhere"), &[("Location", location)], "")
}

/// Returns an answer with a `Content-Length`.
pub(crate) fn answer(status: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    let length = body.len().to_string();
    let headers = [headers, &[("Content-Length", length.as_str()), ("Connection", "close")]].concat();
    Reply::Send(format!("{}{body}", head(status, &headers)).into_bytes())
}

/// Returns the head of an answer with its empty line.
pub(crate) fn head(status: &str, headers: &[(&str, &str)]) -> String {
    let fields: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{fields}\r\n")
}

/// A fake network with a certificate authority that its clients trust.
pub(crate) struct TestInternet {
    pub(crate) net: Arc<FakeNet>,
    asked: Arc<Mutex<Vec<String>>>,
    ca: Issuer<'static, KeyPair>,
    ca_certificate: CertificateDer<'static>,
}

impl TestInternet {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let ca_certificate = params.self_signed(&key).unwrap().into();
        Self { net: Arc::default(), asked: Arc::default(), ca: Issuer::new(params, key), ca_certificate }
    }

    /// Returns a client that trusts the authority.
    pub(crate) fn client(&self, danger_allow_loopback_http: bool) -> GuardedClient {
        self.client_exempting(danger_allow_loopback_http, PrivateHosts::default())
    }

    /// Returns a client that trusts the authority, and whose requests may go to these hosts.
    pub(crate) fn client_exempting(
        &self,
        danger_allow_loopback_http: bool,
        private: PrivateHosts,
    ) -> GuardedClient {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca_certificate.clone()).unwrap();
        let options = ClientOptions {
            user_agent: HeaderValue::from_static("eko-test (+https://eko.example)"),
            roots: Arc::new(move || roots.clone()),
            urls: UrlPolicy { danger_allow_loopback_http },
            private,
        };
        GuardedClient::new(self.net.clone(), options)
    }

    /// Starts a server at a name and a public address, port 443, with a certificate for the name.
    pub(crate) async fn site(
        &self,
        host: &str,
        address: &str,
        reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) {
        self.net.name(host, &[address]);
        let listener = self.https(host, reply).await;
        self.net.route(&SocketAddr::new(address.parse().unwrap(), 443).to_string(), listener);
    }

    /// Starts a server on loopback with a certificate for a name. `reply` gets the path of each
    /// request.
    pub(crate) async fn https(
        &self,
        certified: &str,
        reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> SocketAddr {
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new([certified.to_owned()]).unwrap().signed_by(&key, &self.ca).unwrap();
        let tls =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certificate.into()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
                .unwrap();
        let tls = TlsAcceptor::from(Arc::new(tls));
        self.serve(reply, move |stream| {
            let tls = tls.clone();
            async move { tls.accept(stream).await }
        })
        .await
    }

    /// Starts a server on loopback without TLS.
    pub(crate) async fn http(&self, reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> SocketAddr {
        self.serve(reply, async |stream| Ok(stream)).await
    }

    async fn serve<S, F>(
        &self,
        reply: impl Fn(&str) -> Reply + Send + Sync + 'static,
        accept: impl Fn(TcpStream) -> F + Send + Sync + 'static,
    ) -> SocketAddr
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
        F: Future<Output = io::Result<S>> + Send,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::clone(&self.asked);
        let (reply, accept) = (Arc::new(reply), Arc::new(accept));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (asked, reply, accept) = (asked.clone(), reply.clone(), accept.clone());
                // An error is ignored: in many tests the client closes the connection.
                tokio::spawn(async move { talk(accept(stream).await?, &asked, &*reply).await });
            }
        });
        address
    }

    /// Returns the requests that arrived at any server, as text.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    asked: &Mutex<Vec<String>>,
    reply: &(impl Fn(&str) -> Reply + ?Sized),
) -> io::Result<()> {
    loop {
        let mut request = Vec::new();
        while !is_complete(&request) {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let request = String::from_utf8(request).unwrap();
        let path = request.split(' ').nth(1).unwrap().to_owned();
        asked.lock().unwrap().push(request);
        match reply(&path) {
            Reply::Send(bytes) => {
                stream.write_all(&bytes).await?;
                return stream.shutdown().await;
            }
            Reply::Keep(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
            }
            Reply::Stall(bytes) => {
                stream.write_all(&bytes).await?;
                stream.flush().await?;
                return stream.read_u8().await.map(drop);
            }
            Reply::Endless(first, again) => {
                stream.write_all(&first).await?;
                loop {
                    stream.write_all(&again).await?;
                }
            }
        }
    }
}

fn is_complete(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.to_ascii_lowercase().lines().find_map(|line| {
        line.strip_prefix("content-length:").map(|length| length.trim().parse::<usize>().unwrap())
    });
    body.len() >= length.unwrap_or(0)
}
