//! AWS endpoints for functions in processes of their own: the embedded engines over HTTP, or over
//! TLS under a certificate authority of this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use eko_engines::Engines;
use eko_testkit::TlsListener;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// A running endpoint. Dropping it ends the endpoint and all connections to it.
#[derive(Debug)]
pub struct AwsEndpoint {
    /// The URL for `AWS_ENDPOINT_URL`: `http://localhost:PORT` or `https://localhost:PORT`.
    pub url: String,
    /// The authority's certificate in PEM, for `AWS_CA_BUNDLE`; `None` without TLS.
    pub ca_bundle: Option<PathBuf>,
    /// A runtime of the endpoint's own, which ends everything that it serves.
    runtime: Option<Runtime>,
}

impl AwsEndpoint {
    /// Serves the engines over plain HTTP.
    ///
    /// # Errors
    /// No port is free.
    pub fn http(engines: Engines) -> anyhow::Result<Self> {
        let (listener, runtime) = listen()?;
        let url = format!("http://localhost:{}", listener.local_addr()?.port());
        runtime.spawn(
            async move { eko_local::endpoint::serve(engines, TcpListener::from_std(listener)?).await },
        );
        Ok(Self { url, ca_bundle: None, runtime: Some(runtime) })
    }

    /// Serves the engines over TLS, with a chain like AWS's: a root, an intermediate and a leaf.
    /// The root is written to a file in `folder`.
    ///
    /// # Errors
    /// No port is free, or the file cannot be written.
    pub fn https(engines: Engines, folder: &Path) -> anyhow::Result<Self> {
        let (config, root) = certificates()?;
        let path = folder.join("ca.pem");
        std::fs::write(&path, root).context("the authority's certificate")?;
        let (listener, runtime) = listen()?;
        let url = format!("https://localhost:{}", listener.local_addr()?.port());
        let app = eko_local::endpoint::router(engines);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener)?;
            axum::serve(TlsListener { listener, acceptor: TlsAcceptor::from(Arc::new(config)) }, app).await
        });
        Ok(Self { url, ca_bundle: Some(path), runtime: Some(runtime) })
    }
}

impl Drop for AwsEndpoint {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Listens on a free port, and makes a runtime for what is served there.
fn listen() -> std::io::Result<(std::net::TcpListener, Runtime)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    Ok((listener, tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?))
}

/// Makes the chain of certificates for `localhost`, and returns the TLS configuration and the root
/// in PEM.
fn certificates() -> anyhow::Result<(ServerConfig, String)> {
    let authority = |issuer: Option<&Issuer<'_, KeyPair>>| -> anyhow::Result<_> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let name = if issuer.is_some() { "intermediate" } else { "root" };
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = match issuer {
            None => params.self_signed(&key)?,
            Some(issuer) => params.signed_by(&key, issuer)?,
        };
        Ok((certificate, Issuer::new(params, key)))
    };
    let (root, root_issuer) = authority(None)?;
    let (intermediate, issuer) = authority(Some(&root_issuer))?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let leaf = CertificateParams::new(vec!["localhost".to_owned()])?.signed_by(&key, &issuer)?;
    let chain: Vec<CertificateDer<'static>> = vec![leaf.into(), intermediate.into()];
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok((config, root.pem()))
}
