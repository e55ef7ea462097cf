//! The embedded engines as AWS's endpoint for functions in processes of their own: over HTTP, or over TLS under a
//! certificate authority of this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use eko_engines::Engines;
use eko_testkit::Tls;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::ServerConfig;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// An endpoint; ends with the value, and with it every connection.
#[derive(Debug)]
pub struct Endpoint {
    /// `http://localhost:PORT` or `https://localhost:PORT`, for `AWS_ENDPOINT_URL`.
    pub url: String,
    /// The authority's certificate in PEM, for `AWS_CA_BUNDLE`, where there is TLS.
    pub ca_bundle: Option<PathBuf>,
    /// Its own, since what it serves ends with it.
    runtime: Option<Runtime>,
}

impl Endpoint {
    /// Plain HTTP.
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

    /// TLS with a chain as AWS's is: a root, an intermediate, a leaf. The root goes to a file in `folder`.
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
            axum::serve(Tls { listener, acceptor: TlsAcceptor::from(Arc::new(config)) }, app).await
        });
        Ok(Self { url, ca_bundle: Some(path), runtime: Some(runtime) })
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn listen() -> std::io::Result<(std::net::TcpListener, Runtime)> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    Ok((listener, tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?))
}

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
