//! The surroundings of functions that run as Lambdas under `cargo lambda watch`.
//!
//! They are the engines over HTTP with the table, the queues and the secrets, the event source
//! mappings, the WebSockets, the sweep of expired items, and the development issuer.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_sqs::types::QueueAttributeName;
use axum::Router;
use eko_engines::Engines;
use eko_protocol::address::Origin;
use eko_service::aws::AwsAccount;
use eko_service::state::{system_clock, system_random};
use eko_store::resources::{DELIVERIES, FEDERATION, PUSHES};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cloud::Cloud;
use crate::endpoint;
use crate::invoke::{InvokedFunction, QueueFunction};
use crate::issuer::{self, DevelopmentIssuer};
use crate::listen::{AppServer, listen};
use crate::server::{AUDIENCE, ISSUER_PATH};
use crate::sockets::{Gateway, GatewayLimits, SocketServer};
use crate::{front, owner, pump, secrets, sweep};

/// The name of the parameter that holds the token keys.
const TOKEN_KEYS: &str = "/eko/token-keys";

/// The name of the parameter that holds the signing key.
const SIGNING_KEY: &str = "/eko/signing-key";

/// The name of the parameter that holds the VAPID key.
const VAPID_KEY: &str = "/eko/vapid-key";

/// The time that invocations have to end after ^C.
const GRACE: Duration = Duration::from_secs(10);

/// The options of the command `engines`.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// The port on loopback. 0 means a free one.
    pub port: u16,
    /// The data folder. `None` keeps the state in memory.
    pub data: Option<PathBuf>,
    /// The public base URL of the functions.
    pub origin: Origin,
    /// The base URL of Lambda's `Invoke` API, where the queue functions are.
    pub invoke: String,
}

/// Engines that listen and are ready to run.
pub struct EngineServer {
    listeners: Vec<TcpListener>,
    app: Router,
    engines: Engines,
    cloud: Cloud,
    sockets: SocketServer,
    deliver: QueueFunction,
    federate: QueueFunction,
    push: QueueFunction,
    /// The base URL of the engines.
    pub url: String,
}

impl EngineServer {
    /// Opens the state, binds the port on loopback, and creates the table, the queues and the
    /// secrets.
    ///
    /// # Errors
    /// The port or the data folder cannot be used, or a resource cannot be created.
    pub async fn bind(options: &EngineOptions) -> anyhow::Result<Self> {
        let listeners = listen(options.port).await?;
        let port = listeners.first().context("no listener")?.local_addr()?.port();
        let url = format!("http://localhost:{port}");
        let data = options.data.as_deref();
        let engines = match data {
            Some(dir) => Engines::open(dir)?,
            None => Engines::in_memory()?,
        };
        owner::claim(data, &options.origin)?;
        engines.put_parameter(TOKEN_KEYS, &secrets::token_keys(data, &system_random())?);
        engines.put_parameter(SIGNING_KEY, &secrets::signing_key(data)?);
        engines.put_parameter(VAPID_KEY, &secrets::vapid_key(data)?);
        let account = AwsAccount::embedded(engines.http_client());
        let cloud = Cloud::open(&account).await?;
        let deliver =
            QueueFunction::new(&options.invoke, "deliver", arn(&cloud, &cloud.deliveries.queue).await?)?;
        let federate =
            QueueFunction::new(&options.invoke, "federate", arn(&cloud, &cloud.federation.queue).await?)?;
        let push = QueueFunction::new(&options.invoke, "push", arn(&cloud, &cloud.pushes.queue).await?)?;
        let issuer = DevelopmentIssuer::new(&format!("{url}{ISSUER_PATH}"), AUDIENCE, data, system_clock())?;
        let function = InvokedFunction::new(&options.invoke, "socket")?.socket_function();
        let sockets = SocketServer::new(Gateway::new(engines.clone(), function), GatewayLimits::LOCAL);
        let app = endpoint::router(engines.clone())
            .nest(ISSUER_PATH, issuer::router(issuer))
            .merge(sockets.router())
            .merge(front::of_engines(&cloud, &url, options.origin.as_str()));
        Ok(Self { listeners, app, engines, cloud, sockets, deliver, federate, push, url })
    }

    /// Serves until `stop` is done. Returns the number of messages that are left in the queues.
    ///
    /// A function gets one batch at a time, because `cargo lambda watch` runs one process of each
    /// function.
    ///
    /// # Errors
    /// A server ended with an error, or the state cannot be written.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<usize> {
        let serving = AppServer::start(self.listeners, &self.app);
        let sweeper = tokio::spawn(sweep::run(self.engines.clone()));
        let (stop_sender, stop_receiver) = watch::channel(false);
        let pump = |queue: &str, spec, function: QueueFunction| {
            let handle = move |batch| function.clone().handle(batch);
            let (sqs, queue) = ((**self.cloud.clients.sqs).clone(), queue.to_owned());
            tokio::spawn(pump::run(sqs, queue, spec, 1, stop_receiver.clone(), handle))
        };
        let pumps = [
            pump(&self.cloud.deliveries.queue, DELIVERIES, self.deliver),
            pump(&self.cloud.federation.queue, FEDERATION, self.federate),
            pump(&self.cloud.pushes.queue, PUSHES, self.push),
        ];
        stop.await;
        self.sockets.end().await;
        // The engines are served until the invocations have ended, because the functions call them.
        stop_sender.send_replace(true);
        for mut pump in pumps {
            if tokio::time::timeout(GRACE, &mut pump).await.is_err() {
                pump.abort();
            }
        }
        serving.end().await?;
        sweeper.abort();
        let deliveries = self.cloud.queued(&self.cloud.deliveries.queue).await?;
        let federation = self.cloud.queued(&self.cloud.federation.queue).await?;
        let pushes = self.cloud.queued(&self.cloud.pushes.queue).await?;
        self.engines.flush()?;
        Ok(deliveries.saturating_add(federation).saturating_add(pushes))
    }
}

/// Returns the ARN of a queue.
async fn arn(cloud: &Cloud, url: &str) -> anyhow::Result<String> {
    let name = QueueAttributeName::QueueArn;
    let ask = cloud.clients.sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone());
    let answer = ask.send().await?;
    answer.attributes.and_then(|mut attributes| attributes.remove(&name)).context("a queue has no ARN")
}
