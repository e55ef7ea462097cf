//! What functions need around them that run elsewhere, as Lambdas under `cargo lambda watch`: the engines over
//! HTTP with the table, the queues and the secrets in them, the event source mappings, the sweep, and the
//! development issuer.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_sqs::types::QueueAttributeName;
use axum::Router;
use eko_engines::Engines;
use eko_service::aws::Account;
use eko_service::state::{system_clock, system_random};
use eko_store::resources::{DELIVERIES, FEDERATION};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::cloud::Cloud;
use crate::endpoint;
use crate::invoke::Function;
use crate::issuer::{self, Issuer};
use crate::listen::{Serving, listen};
use crate::server::{AUDIENCE, ISSUER_PATH};
use crate::{pump, secrets, sweep};

/// The parameter that holds the token keys.
const TOKEN_KEYS: &str = "/eko/token-keys";
/// The parameter that holds the signing key.
const SIGNING_KEY: &str = "/eko/signing-key";
/// How long invocations that are under way may take to end after ^C.
const GRACE: Duration = Duration::from_secs(10);

/// What the command line says.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port on loopback; 0 takes a free one.
    pub port: u16,
    /// The data folder; in memory when absent.
    pub data: Option<PathBuf>,
    /// Base URL of the `Invoke` API that the queue functions are at.
    pub invoke: String,
}

/// Engines that listen, not yet running.
pub struct Served {
    listeners: Vec<TcpListener>,
    app: Router,
    engines: Engines,
    cloud: Cloud,
    deliver: Function,
    federate: Function,
    /// Where they listen.
    pub url: String,
}

impl Served {
    /// Opens the state, binds the port on loopback, and puts in what a deployment has.
    pub async fn bind(options: &Options) -> anyhow::Result<Self> {
        let listeners = listen(options.port).await?;
        let port = listeners.first().context("no listener")?.local_addr()?.port();
        let url = format!("http://localhost:{port}");
        let data = options.data.as_deref();
        let engines = match data {
            Some(dir) => Engines::open(dir)?,
            None => Engines::in_memory()?,
        };
        engines.put_parameter(TOKEN_KEYS, &secrets::token_keys(data, &system_random())?);
        engines.put_parameter(SIGNING_KEY, &secrets::signing_key(data)?);
        let account = Account::embedded(engines.http_client());
        let cloud = Cloud::open(&account).await?;
        let deliver = Function::new(&options.invoke, "deliver", arn(&cloud, &cloud.deliveries.queue).await?)?;
        let federate =
            Function::new(&options.invoke, "federate", arn(&cloud, &cloud.federation.queue).await?)?;
        let issuer = Issuer::new(&format!("{url}{ISSUER_PATH}"), AUDIENCE, data, system_clock())?;
        let app = endpoint::router(engines.clone()).nest(ISSUER_PATH, issuer::router(issuer));
        Ok(Self { listeners, app, engines, cloud, deliver, federate, url })
    }

    /// Serves until `stop` is done; answers how many messages are left in the queues.
    ///
    /// Batches go to a function one after the other, since `cargo lambda watch` runs one of each.
    pub async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<usize> {
        let serving = Serving::start(self.listeners, &self.app);
        let sweeper = tokio::spawn(sweep::run(self.engines.clone()));
        let (tell, told) = watch::channel(false);
        let pump = |queue: &str, spec, function: Function| {
            let handle = move |batch| function.clone().handle(batch);
            let (sqs, queue) = ((**self.cloud.clients.sqs).clone(), queue.to_owned());
            tokio::spawn(pump::run(sqs, queue, spec, 1, told.clone(), handle))
        };
        let pumps = [
            pump(&self.cloud.deliveries.queue, DELIVERIES, self.deliver),
            pump(&self.cloud.federation.queue, FEDERATION, self.federate),
        ];
        stop.await;
        // The functions need the engines until their invocations have ended.
        tell.send_replace(true);
        for mut pump in pumps {
            if tokio::time::timeout(GRACE, &mut pump).await.is_err() {
                pump.abort();
            }
        }
        serving.end().await?;
        sweeper.abort();
        let deliveries = self.cloud.queued(&self.cloud.deliveries.queue).await?;
        let federation = self.cloud.queued(&self.cloud.federation.queue).await?;
        self.engines.flush()?;
        Ok(deliveries.saturating_add(federation))
    }
}

async fn arn(cloud: &Cloud, url: &str) -> anyhow::Result<String> {
    let name = QueueAttributeName::QueueArn;
    let ask = cloud.clients.sqs.get_queue_attributes().queue_url(url).attribute_names(name.clone());
    let answer = ask.send().await?;
    answer.attributes.and_then(|mut attributes| attributes.remove(&name)).context("a queue has no ARN")
}
