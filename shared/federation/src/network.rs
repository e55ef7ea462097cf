//! Name resolution and dialling: the seam under the guarded client.
//!
//! Nothing else in this crate opens a socket. A test puts its own [`Network`] here, which sees every address
//! that would have been dialled and sends nothing beyond loopback.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use futures_util::future::BoxFuture;
use tokio::net::{TcpStream, lookup_host};

/// What the guarded client needs of the network. An implementation judges nothing: the client decides which of
/// the resolved addresses it hands back to be dialled.
pub trait Network: Send + Sync + 'static {
    /// The addresses of a name, in the order they should be tried, each with the port. The client asks once a
    /// connection.
    ///
    /// # Errors
    /// The name does not exist, or the resolver cannot be asked.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>>;

    /// Opens a TCP connection to exactly this address. The client limits the time.
    ///
    /// # Errors
    /// Nobody listens there, or there is no way there.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>>;
}

/// The operating system's resolver and sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNetwork;

impl Network for SystemNetwork {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            // RFC 6761, 6.3: such names are always this machine, but many resolvers do not know those with a
            // label in front. Only local mode asks for them.
            if host.ends_with(".localhost") {
                return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
            }
            Ok(lookup_host((host, port)).await?.collect())
        })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn names_of_this_machine_need_no_resolver() {
        let addresses = SystemNetwork.resolve("b.localhost", 80).await.unwrap();
        assert!(addresses.iter().all(|address| address.ip().is_loopback() && address.port() == 80));
        assert!(!addresses.is_empty());
    }

    #[tokio::test]
    async fn connects_to_the_address_it_is_given() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = SystemNetwork.connect(address).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
    }
}
