//! A server that a test stops and starts again, or puts one in its place that answers nothing.

use std::future::pending;
use std::path::Path;

use eko_local::server::{BoundServer, ServerOptions};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// A server that runs until it is stopped, or the test's runtime ends.
pub(crate) struct StoppableServer {
    /// The public base URL.
    pub(crate) origin: String,
    port: u16,
    stop: oneshot::Sender<()>,
    served: JoinHandle<usize>,
}

impl StoppableServer {
    /// Starts a server on a free port, which forgets everything with its end.
    pub(crate) async fn start() -> Self {
        Self::start_at(0, None).await
    }

    /// Starts a server on this port, or on a free one if it is 0, which keeps its data in a folder if there is one.
    pub(crate) async fn start_at(port: u16, data: Option<&Path>) -> Self {
        let data = data.map(Path::to_owned);
        let bound =
            BoundServer::bind(&ServerOptions { port, data, ..ServerOptions::default() }).await.unwrap();
        let origin = bound.origin.to_string();
        let port = origin.rsplit(':').next().unwrap().parse().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let ends = async {
            if stopped.await.is_err() {
                pending::<()>().await;
            }
        };
        let served = tokio::spawn(async { bound.run(ends).await.unwrap() });
        Self { origin, port, stop, served }
    }

    /// Stops the server, and returns its port.
    pub(crate) async fn stop(self) -> u16 {
        self.stop.send(()).unwrap();
        self.served.await.unwrap();
        self.port
    }

    /// Stops the server, and listens in its place. Nothing answers there.
    pub(crate) async fn hang(self) -> TcpListener {
        let port = self.stop().await;
        TcpListener::bind(("127.0.0.1", port)).await.unwrap()
    }

    /// Does as [`StoppableServer::hang`], and accepts all connections.
    pub(crate) async fn hang_up_nobody(self) -> HungServer {
        let hung = self.hang().await;
        let (accepts, accepted) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Ok((connection, _)) = hung.accept().await {
                all.push(connection);
                accepts.send_replace(all.len());
            }
        });
        HungServer { task, accepted }
    }
}

/// A server that accepts connections and answers nothing.
pub(crate) struct HungServer {
    task: JoinHandle<()>,
    /// The number of connections.
    accepted: watch::Receiver<usize>,
}

impl HungServer {
    /// Waits until somebody has connected: then they have noticed that what they had before is closed. A request on
    /// a closed connection would fail at once.
    pub(crate) async fn connected(&mut self) {
        self.accepted.wait_for(|count| *count > 0).await.unwrap();
    }
}

impl Drop for HungServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
