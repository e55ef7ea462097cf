//! Listens on loopback, and serves a router until it is ended. Each request has a line in the log.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use axum::Router;
use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use eko_protocol::excerpt::excerpt;
use eko_protocol::limits::MAX_REASON_BYTES;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The part of a path before the id of a connection.
const CONNECTIONS_PATH: &str = "/@connections/";

/// The time that requests have to end after ^C.
const GRACE: Duration = Duration::from_secs(10);

/// Binds the port on 127.0.0.1, and on `[::1]` if the machine has it: `localhost` means either.
///
/// # Errors
/// The port is in use, or 127.0.0.1 cannot be bound.
pub(crate) async fn listen(port: u16) -> anyhow::Result<Vec<TcpListener>> {
    let v4 = match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
        Ok(listener) => listener,
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            bail!("port {port} is in use: stop what listens there, or choose another with --port")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot listen on port {port}")),
    };
    let port = v4.local_addr()?.port();
    let mut listeners = vec![v4];
    listeners.extend(TcpListener::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, port))).await);
    Ok(listeners)
}

/// Logs a request. Queries and the ids of connections are left out: whoever knows one may act by it.
async fn log(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let path = match request.uri().path() {
        path if path.starts_with(CONNECTIONS_PATH) => CONNECTIONS_PATH.to_owned(),
        path => excerpt(path, MAX_REASON_BYTES).to_owned(),
    };
    let response = next.run(request).await;
    let (status, ms) = (response.status().as_u16(), began.elapsed().as_millis());
    tracing::info!(method = method.as_str(), path, status, ms, "answered");
    response
}

/// A router that is being served on several sockets.
pub(crate) struct AppServer {
    stop: watch::Sender<bool>,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
}

impl AppServer {
    /// Starts to serve.
    pub(crate) fn start(listeners: Vec<TcpListener>, app: &Router) -> Self {
        let app = app.clone().layer(middleware::from_fn(log));
        let (stop, stop_receiver) = watch::channel(false);
        let serve = |listener| {
            let (app, mut stop_receiver) = (app.clone(), stop_receiver.clone());
            let serve = axum::serve(listener, app).with_graceful_shutdown(async move {
                let _ = stop_receiver.wait_for(|stop| *stop).await;
            });
            tokio::spawn(async move { serve.await })
        };
        Self { stop, servers: listeners.into_iter().map(serve).collect() }
    }

    /// Accepts no more connections, and waits for the requests that are running.
    ///
    /// # Errors
    /// A server ended with an error.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        for server in self.servers {
            if let Ok(result) = tokio::time::timeout(GRACE, server).await {
                result??;
            }
        }
        Ok(())
    }
}
