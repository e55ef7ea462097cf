//! The local server: everything wired together, from the first line that it prints to a clean end.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use eko_engines::Engines;
use eko_federation::client::public_roots;
use eko_federation::network::SystemNetwork;
use eko_federation::policy::FederationPolicy;
use eko_messaging::Limits;
use eko_protocol::address::Origin;
use eko_service::AppState;
use eko_service::aws::Account;
use eko_service::config::{Config, FederationConfig, OidcConfig, TokenKey};
use eko_service::state::{system_clock, system_random};
use eko_store::resources::{DELIVERIES, FEDERATION};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cloud::Cloud;
use crate::issuer::{self, Issuer};
use crate::listen::{Serving, listen};
use crate::{States, pump, secrets, sweep};

/// The audience of the development issuer's ID tokens: the local server's client id.
pub const AUDIENCE: &str = "eko-local";
/// Where the development issuer is mounted.
pub const ISSUER_PATH: &str = "/dev/oidc";
/// Batches for other servers that are handled at once, as Lambda has it: those that wait for a server which does
/// not answer hold up no other.
const FEDERATION_BATCHES: usize = 128;

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port on loopback; 0 takes a free one.
    pub port: u16,
    /// The public base URL; `http://localhost:PORT` when absent.
    pub origin: Option<String>,
    /// The data folder; a temporary store in memory when absent.
    pub data: Option<PathBuf>,
    /// Envelopes a minute from one sender to one recipient.
    pub sender_budget: u64,
    /// Bytes a minute to one recipient.
    pub recipient_bytes_budget: u64,
    /// Which other servers it talks with.
    pub policy: FederationPolicy,
}

/// A server that listens, not yet running.
pub struct Server {
    listeners: Vec<TcpListener>,
    app: Router,
    states: States,
    engines: Engines,
    cloud: Cloud,
    /// The public base URL.
    pub origin: Origin,
}

impl Server {
    /// Opens the state, binds the port on loopback, and wires the functions.
    ///
    /// Only loopback: the development issuer signs anyone in as anyone.
    pub async fn bind(options: &Options) -> anyhow::Result<Self> {
        let listeners = listen(options.port).await?;
        let port = listeners.first().context("no listener")?.local_addr()?.port();
        let origin = options.origin.clone().unwrap_or_else(|| format!("http://localhost:{port}"));
        let origin = Origin::parse(&origin).context("--origin")?;
        let engines = match &options.data {
            Some(dir) => Engines::open(dir)?,
            None => Engines::in_memory()?,
        };
        let account = Account::embedded(engines.http_client());
        let cloud = Cloud::open(&account).await?;
        let random = system_random();
        let issuer_url = format!("http://localhost:{port}{ISSUER_PATH}");
        let config = Config {
            names: cloud.names(),
            oidc: OidcConfig {
                issuer: issuer_url.clone(),
                audience: AUDIENCE.to_owned(),
                require_email_verified: false,
            },
            token_keys: TokenKey::list(&secrets::token_keys(options.data.as_deref(), &random)?)?,
            limits: Limits {
                sender_budget: options.sender_budget,
                recipient_bytes_budget: options.recipient_bytes_budget,
                ..Limits::default()
            },
            federation: Some(FederationConfig {
                policy: options.policy.clone(),
                ..FederationConfig::new(secrets::signing_key(options.data.as_deref())?)
            }),
            danger_allow_loopback_http: true,
            ..Config::new(origin.clone())
        };
        let clock = system_clock();
        let issuer = Issuer::new(&issuer_url, AUDIENCE, options.data.as_deref(), clock.clone())?;
        let state = AppState::new(config, cloud.store(), clock, random);
        let states = States::new(state, Arc::new(SystemNetwork), public_roots())?;
        let app = crate::app(&states).nest(ISSUER_PATH, issuer::router(issuer));
        Ok(Self { listeners, app, states, engines, cloud, origin })
    }

    /// Its table and queues.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Serves until `stop` is done; then ends the requests under way, drains the queues and brings the state
    /// to the disk. Answers how many activities still wait for other servers.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<usize> {
        let serving = Serving::start(self.listeners, &self.app);
        let (pump_stop, pump_told) = watch::channel(false);
        let (state, sqs) = (self.states.deliver.clone(), (**self.cloud.clients.sqs).clone());
        let url = self.cloud.deliveries.queue.clone();
        let deliver = tokio::spawn(pump::run(sqs, url, DELIVERIES, 1, pump_told.clone(), move |batch| {
            eko_deliver::handle(state.clone(), batch)
        }));
        let (state, sqs) = (self.states.federate.clone(), (**self.cloud.clients.sqs).clone());
        let url = self.cloud.federation.queue.clone();
        let federate =
            tokio::spawn(pump::run(sqs, url, FEDERATION, FEDERATION_BATCHES, pump_told, move |batch| {
                eko_federate::handle(state.clone(), batch)
            }));
        let sweeper = tokio::spawn(sweep::run(self.engines.clone()));
        stop.await;
        serving.end().await?;
        pump_stop.send_replace(true);
        // What is brought to other servers may have something to tell the devices here: it ends first.
        federate.await?;
        deliver.await?;
        pump::drain(&self.cloud.clients.sqs, &self.cloud.deliveries.queue, &DELIVERIES, &|batch| {
            eko_deliver::handle(self.states.deliver.clone(), batch)
        })
        .await?;
        let waiting = self.cloud.queued(&self.cloud.federation.queue).await?;
        sweeper.abort();
        self.engines.flush()?;
        Ok(waiting)
    }
}
