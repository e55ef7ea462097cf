//! Name resolution and connections, behind the trait [`Network`].
//!
//! **Invariant:** nothing else in this crate opens a socket. A test implements [`Network`] to see
//! every address that the client connects to, and to keep all traffic on this machine.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use futures_util::future::BoxFuture;
use tokio::net::{TcpStream, lookup_host};

/// The operations that the guarded client needs from the network. An implementation checks nothing:
/// the client decides which of the resolved addresses it connects to.
pub trait Network: Send + Sync + 'static {
    /// Returns the addresses of a name with the port, in the order in which they should be tried.
    /// The client calls it once for each connection.
    ///
    /// # Errors
    /// An [`io::Error`] if the name does not exist or the resolver is out of reach.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>>;

    /// Opens a TCP connection to exactly this address. The client limits the time.
    ///
    /// # Errors
    /// An [`io::Error`] if nothing listens at the address, or if it is out of reach.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<TcpStream>>;
}

/// The operating system's resolver and sockets.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNetwork;

impl Network for SystemNetwork {
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'_, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            // Names under `localhost` are always this machine (RFC 6761, section 6.3), but many
            // resolvers do not know them. Only local mode asks for such a name.
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
