//! The local server: engines, functions, queues and issuer, wired together.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use eko_engines::Engines;
use eko_federation::client::{PrivateHosts, public_roots};
use eko_federation::network::SystemNetwork;
use eko_federation::policy::FederationPolicy;
use eko_messaging::Limits;
use eko_protocol::address::Origin;
use eko_service::AppState;
use eko_service::aws::AwsAccount;
use eko_service::config::{
    Config, FederationConfig, OidcConfig, PushConfig, SIGNATURE_WINDOW_SECONDS, TokenKey,
};
use eko_service::state::{system_clock, system_random};
use eko_store::resources::{DELIVERIES, FEDERATION, PUSHES};
use eko_web_push::Contact;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cloud::Cloud;
use crate::issuer::{self, DevelopmentIssuer};
use crate::listen::{AppServer, listen};
use crate::sockets::{Gateway, GatewayLimits, LIVE_PATH, SOCKETS_URL, SocketServer};
use crate::{States, front, owner, pump, secrets, sockets, sweep};

/// The audience of the development issuer's ID tokens, which is the client id of the local server.
pub const AUDIENCE: &str = "eko-local";

/// The path of the development issuer.
pub const ISSUER_PATH: &str = "/dev/oidc";

/// The number of batches of the queue `federation` that are handled at once, as in Lambda. Batches
/// that wait for a silent server do not delay the others.
const FEDERATION_BATCHES: usize = 128;

/// The number of batches of the queue `pushes` that are handled at once.
const PUSH_BATCHES: usize = 16;

/// The options of the command `serve`.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// The port on loopback. 0 means a free one.
    pub port: u16,
    /// The public base URL. `None` means `http://localhost:PORT`.
    pub origin: Option<Origin>,
    /// The domain of the users' handles. `None` means that of the origin.
    pub handle_domain: Option<String>,
    /// The data folder. `None` keeps the state in memory.
    pub data: Option<PathBuf>,
    /// The limits.
    pub limits: Limits,
    /// The other servers that it federates with.
    pub policy: FederationPolicy,
    /// The largest difference between the time of a signature and this clock, in seconds.
    pub signature_window_seconds: u64,
    /// The limits of sockets.
    pub gateway_limits: GatewayLimits,
    /// The push services that may be at private addresses.
    pub push_allow: PrivateHosts,
    /// The address by which push services can complain.
    pub contact: Contact,
    /// The issuer of ID tokens. `None` means a development issuer of this server.
    pub issuer: Option<OidcConfig>,
}

impl Default for ServerOptions {
    /// Returns the options of a server on a free port, with its state in memory.
    fn default() -> Self {
        Self {
            port: 0,
            origin: None,
            handle_domain: None,
            data: None,
            limits: Limits::default(),
            policy: FederationPolicy::default(),
            signature_window_seconds: SIGNATURE_WINDOW_SECONDS,
            gateway_limits: GatewayLimits::LOCAL,
            push_allow: PrivateHosts::default(),
            contact: Contact::of_local_server(),
            issuer: None,
        }
    }
}

/// A server that listens and is ready to run.
pub struct BoundServer {
    listeners: Vec<TcpListener>,
    app: Router,
    sockets: SocketServer,
    states: States,
    engines: Engines,
    cloud: Cloud,
    /// The URL at which it listens.
    pub url: String,
    /// The public base URL.
    pub origin: Origin,
    /// The issuer of ID tokens.
    pub issuer: String,
}

impl BoundServer {
    /// Opens the state, binds the port on loopback, and wires the functions.
    ///
    /// The server listens on loopback only, because the development issuer signs anyone in as
    /// anyone.
    ///
    /// # Errors
    /// The port or the data folder cannot be used.
    pub async fn bind(options: &ServerOptions) -> anyhow::Result<Self> {
        let listeners = listen(options.port).await?;
        let port = listeners.first().context("no listener")?.local_addr()?.port();
        let url = format!("http://localhost:{port}");
        let origin = match &options.origin {
            Some(origin) => origin.clone(),
            None => Origin::parse(&url)?,
        };
        let engines = match &options.data {
            Some(dir) => Engines::open(dir)?,
            None => Engines::in_memory()?,
        };
        owner::claim(options.data.as_deref(), &origin)?;
        let account = AwsAccount::embedded(engines.http_client());
        let cloud = Cloud::open(&account).await?;
        let random = system_random();
        let own_issuer = format!("{url}{ISSUER_PATH}");
        let oidc = options.issuer.clone().unwrap_or_else(|| OidcConfig {
            issuer: own_issuer.clone(),
            audience: AUDIENCE.to_owned(),
            require_email_verified: false,
        });
        let issuer = oidc.issuer.clone();
        let handle_domain = options.handle_domain.clone().unwrap_or_else(|| origin.authority().to_owned());
        let config = Config {
            names: cloud.names(),
            handle_domain,
            sockets_url: Some(SOCKETS_URL.to_owned()),
            live_url: Some(live_url(origin.as_str())),
            oidc,
            token_keys: TokenKey::list(&secrets::token_keys(options.data.as_deref(), &random)?)?,
            limits: options.limits.clone(),
            federation: Some(FederationConfig {
                policy: options.policy.clone(),
                window_seconds: options.signature_window_seconds,
                ..FederationConfig::new(secrets::signing_key(options.data.as_deref())?)
            }),
            push: Some(PushConfig { contact: options.contact.clone(), private: options.push_allow.clone() }),
            vapid_key: Some(secrets::vapid_key(options.data.as_deref())?),
            danger_allow_loopback_http: true,
            ..Config::new(origin.clone())
        };
        let clock = system_clock();
        let development = match options.issuer {
            Some(_) => Router::new(),
            None => {
                let data = options.data.as_deref();
                let issuer = DevelopmentIssuer::new(&own_issuer, AUDIENCE, data, clock.clone())?;
                Router::new().nest(ISSUER_PATH, issuer::router(issuer))
            }
        };
        let state = AppState::new(config, cloud.store(), clock, random);
        let states = States::new(state, Arc::new(SystemNetwork), public_roots())?;
        let gateway = Gateway::new(engines.clone(), sockets::in_process(states.socket.clone()));
        let sockets = SocketServer::new(gateway, options.gateway_limits);
        let app = crate::app(&states)
            .merge(development)
            .merge(sockets.router())
            .merge(front::of_server(&cloud, &url, &issuer));
        Ok(Self { listeners, app, sockets, states, engines, cloud, url, origin, issuer })
    }

    /// Returns the table and the queues.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// Serves until `stop` is done. Then ends the sockets, waits for the running requests, empties
    /// the queues, and writes the state to the disk. Returns the number of activities that still wait
    /// for other servers.
    ///
    /// # Errors
    /// A server or a task ended with an error, or the state cannot be written.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<usize> {
        let serving = AppServer::start(self.listeners, &self.app);
        let (stop_sender, stop_receiver) = watch::channel(false);
        let (state, sqs) = (self.states.deliver.clone(), (**self.cloud.clients.sqs).clone());
        let url = self.cloud.deliveries.queue.clone();
        let deliver = tokio::spawn(pump::run(sqs, url, DELIVERIES, 1, stop_receiver.clone(), move |batch| {
            eko_deliver::handle(state.clone(), batch)
        }));
        let (state, sqs) = (self.states.federate.clone(), (**self.cloud.clients.sqs).clone());
        let url = self.cloud.federation.queue.clone();
        let federate = tokio::spawn(pump::run(
            sqs,
            url,
            FEDERATION,
            FEDERATION_BATCHES,
            stop_receiver.clone(),
            move |batch| eko_federate::handle(state.clone(), batch),
        ));
        let (state, sqs) = (self.states.push.clone(), (**self.cloud.clients.sqs).clone());
        let url = self.cloud.pushes.queue.clone();
        let push = tokio::spawn(pump::run(sqs, url, PUSHES, PUSH_BATCHES, stop_receiver, move |batch| {
            eko_push::handle(state.clone(), batch)
        }));
        let sweeper = tokio::spawn(sweep::run(self.engines.clone()));
        stop.await;
        self.sockets.end().await;
        serving.end().await?;
        stop_sender.send_replace(true);
        // `federate` ends first, because it may queue reports for devices, which `deliver`
        // delivers.
        federate.await?;
        deliver.await?;
        pump::drain(&self.cloud.clients.sqs, &self.cloud.deliveries.queue, &DELIVERIES, &|batch| {
            eko_deliver::handle(self.states.deliver.clone(), batch)
        })
        .await?;
        push.await?;
        let waiting = self.cloud.queued(&self.cloud.federation.queue).await?;
        sweeper.abort();
        self.engines.flush()?;
        Ok(waiting)
    }
}

/// Returns the address of the sockets of a server at this URL.
pub fn live_url(base: &str) -> String {
    format!("ws{}{LIVE_PATH}", base.strip_prefix("http").unwrap_or(base))
}
