//! An internet inside this process: names, public addresses, and TLS listeners, which in truth are
//! on loopback. No packet goes anywhere else. A connection to an address without a listener is
//! recorded and refused, whatever the address guard lets pass.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use axum::Router;
use axum::serve::Listener;
use eko_federation::client::Roots;
use eko_federation::network::Network;
use eko_service::state::Clock;
use futures_util::future::BoxFuture;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::START_MS;

/// The internet of one test. Clones are cheap and share it.
#[derive(Clone, Default)]
pub struct Internet {
    inner: Arc<Inner>,
}

struct Inner {
    now_ms: AtomicI64,
    sites: AtomicU8,
    names: Mutex<HashMap<String, VecDeque<Vec<IpAddr>>>>,
    routes: Mutex<HashMap<SocketAddr, SocketAddr>>,
    unplugged: Mutex<Vec<SocketAddr>>,
    /// A second handle of every connection, to cut it.
    connections: Mutex<Vec<(SocketAddr, std::net::TcpStream)>>,
    resolved: Mutex<Vec<String>>,
    dialled: Mutex<Vec<SocketAddr>>,
    serving: Mutex<Vec<JoinHandle<()>>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self {
            now_ms: AtomicI64::new(START_MS),
            sites: AtomicU8::default(),
            names: Mutex::default(),
            routes: Mutex::default(),
            unplugged: Mutex::default(),
            connections: Mutex::default(),
            resolved: Mutex::default(),
            dialled: Mutex::default(),
            serving: Mutex::default(),
        }
    }
}

/// Locks a mutex, even a poisoned one.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Internet {
    /// Makes an internet without sites, whose clock is at [`START_MS`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the time in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.inner.now_ms.load(Ordering::SeqCst)
    }

    /// Moves the clock forward.
    pub fn advance(&self, ms: i64) {
        self.inner.now_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Returns the clock.
    pub fn clock(&self) -> Clock {
        let internet = self.clone();
        Arc::new(move || internet.now_ms())
    }

    /// Adds a server with a name, a public address of its own, port 443, and TLS with a certificate
    /// for the name. It serves until the internet is dropped. Returns its address.
    pub async fn serve(&self, host: &str, router: Router) -> SocketAddr {
        let site = self.inner.sites.fetch_add(1, Ordering::SeqCst);
        let address = SocketAddr::from((Ipv4Addr::new(93, 184, 216, site), 443));
        self.serve_at(host, address, router).await;
        address
    }

    /// Adds a server as [`Internet::serve`] does, at an address of the test's choice.
    pub async fn serve_at(&self, host: &str, address: SocketAddr, router: Router) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        self.name(host, &[&address.ip().to_string()]);
        self.route(address, listener.local_addr().expect("an address"));
        let listener = TlsListener { listener, acceptor: acceptor(host) };
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("the site serves");
        });
        lock(&self.inner.serving).push(serving);
    }

    /// Sets the addresses that a name resolves to. Several calls for a name set several answers,
    /// which are given once each in their order. The last is given for ever.
    pub fn name(&self, host: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        lock(&self.inner.names).entry(host.to_owned()).or_default().push_back(addresses);
    }

    /// Sets the listener on loopback that an address leads to.
    pub fn route(&self, address: SocketAddr, listener: SocketAddr) {
        lock(&self.inner.routes).insert(address, listener);
    }

    /// Takes a site off the internet: its connections are cut, and new ones are refused.
    pub fn unplug(&self, address: SocketAddr) {
        lock(&self.inner.unplugged).push(address);
        lock(&self.inner.connections).retain(|(other, connection)| {
            if *other == address {
                let _ = connection.shutdown(std::net::Shutdown::Both);
            }
            *other != address
        });
    }

    /// Puts a site on the internet again.
    pub fn plug(&self, address: SocketAddr) {
        lock(&self.inner.unplugged).retain(|other| *other != address);
    }

    /// Returns the names that were resolved, in order.
    pub fn resolved(&self) -> Vec<String> {
        lock(&self.inner.resolved).clone()
    }

    /// Returns the addresses that were connected to, or tried, in order.
    pub fn dialled(&self) -> Vec<SocketAddr> {
        lock(&self.inner.dialled).clone()
    }

    /// Forgets the names and addresses that were used.
    pub fn forget(&self) {
        lock(&self.inner.resolved).clear();
        lock(&self.inner.dialled).clear();
    }

    /// Returns the root certificate of the certificate authority that the sites have. The authority
    /// is one in this process.
    pub fn roots() -> Roots {
        Arc::new(|| {
            let mut roots = RootCertStore::empty();
            roots.add(authority().1.clone()).expect("a root certificate");
            roots
        })
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        lock(&self.serving).iter().for_each(JoinHandle::abort);
    }
}

impl Network for Internet {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        lock(&self.inner.resolved).push(host.to_owned());
        let mut names = lock(&self.inner.names);
        let addresses = names.get_mut(host).and_then(|answers| {
            if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() }
        });
        let answer = addresses
            .map(|addresses| addresses.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such name"));
        Box::pin(async { answer })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>> {
        lock(&self.inner.dialled).push(address);
        let unplugged = lock(&self.inner.unplugged).contains(&address);
        let route = lock(&self.inner.routes).get(&address).copied().filter(|_| !unplugged);
        Box::pin(async move {
            match route {
                Some(listener) => {
                    let stream = TcpStream::connect(listener).await?.into_std()?;
                    lock(&self.inner.connections).push((address, stream.try_clone()?));
                    TcpStream::from_std(stream)
                }
                None => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    }
}

/// A listener that accepts TLS, one handshake at a time. A client whose handshake fails is dropped.
pub struct TlsListener {
    /// The listener for TCP.
    pub listener: TcpListener,
    /// The acceptor for TLS.
    pub acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

/// Returns the certificate authority and its certificate.
fn authority() -> &'static (Issuer<'static, KeyPair>, CertificateDer<'static>) {
    static AUTHORITY: OnceLock<(Issuer<'static, KeyPair>, CertificateDer<'static>)> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate").into();
        (Issuer::new(params, key), certificate)
    })
}

/// Makes an acceptor with a certificate for a name.
fn acceptor(host: &str) -> TlsAcceptor {
    let key = KeyPair::generate().expect("a key");
    let params = CertificateParams::new(vec![host.to_owned()]).expect("a name");
    let certificate = params.signed_by(&key, &authority().0).expect("a certificate");
    let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("TLS versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], private)
        .expect("a certificate that fits");
    TlsAcceptor::from(Arc::new(config))
}
