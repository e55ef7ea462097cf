//! Sockets on loopback, and what is served on them until it is told to end.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long requests that are under way may take to end after ^C.
const GRACE: Duration = Duration::from_secs(10);

/// Binds the port on 127.0.0.1, and on [::1] where there is one: `localhost` means either.
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

/// One app on several sockets.
pub(crate) struct Serving {
    tell: watch::Sender<bool>,
    servers: Vec<JoinHandle<std::io::Result<()>>>,
}

impl Serving {
    pub(crate) fn start(listeners: Vec<TcpListener>, app: &Router) -> Self {
        let (tell, told) = watch::channel(false);
        let serve = |listener| {
            let (app, mut told) = (app.clone(), told.clone());
            let serve = axum::serve(listener, app).with_graceful_shutdown(async move {
                let _ = told.wait_for(|stop| *stop).await;
            });
            tokio::spawn(async move { serve.await })
        };
        Self { tell, servers: listeners.into_iter().map(serve).collect() }
    }

    /// Takes no further connection, and lets requests that are under way end.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.tell.send_replace(true);
        for server in self.servers {
            if let Ok(ended) = tokio::time::timeout(GRACE, server).await {
                ended??;
            }
        }
        Ok(())
    }
}
