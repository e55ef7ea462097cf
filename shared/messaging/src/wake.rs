//! Signs of life: a server that sends a verified request is back, and what waits for it is tried at
//! once.

use eko_federation::Federation;
use eko_protocol::actor::RemoteActor;
use eko_store::StoreError;
use eko_store::waiting::WakeOrder;

use crate::Messaging;

impl Messaging {
    /// Takes a verified request of `signer` as a sign of life of its server: the circuit breaker lets
    /// the next caller try the server, and its parcels are woken. Meant to run beside the request.
    ///
    /// One GetItem of the server's record, once in ten seconds. If the server has failed, one
    /// UpdateItem and one SendMessageBatch, at times that grow apart until it answers. A failure is
    /// only logged, since everything is tried in its time anyway.
    pub async fn heard_from(&self, federation: &Federation, signer: &RemoteActor) {
        let Some(origin) = signer.origin() else { return };
        let (store, authority, now_ms) = (self.store(), origin.authority(), self.now_ms());
        if !federation.hears(&origin, now_ms) {
            return;
        }
        let wake = async {
            let host = store.host(authority).await?;
            if host.opens_on_request(now_ms) && store.host_heard(authority, &host, now_ms).await? {
                tracing::info!(host = authority, "is back, as it seems");
                store.queue_wake(authority).await?;
            }
            Ok::<_, StoreError>(())
        };
        if let Err(error) = wake.await {
            tracing::warn!(host = authority, %error, "what waits is not woken");
        }
    }

    /// Wakes the parcels of these orders. Returns true for each that was carried out.
    ///
    /// The calls are listed at [`wake_parcels`](eko_store::Store::wake_parcels).
    pub async fn wake(&self, order: &WakeOrder) -> bool {
        match self.store().wake_parcels(&order.wake, self.now_ms()).await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(host = order.wake, %error, "what waits is not woken yet");
                false
            }
        }
    }
}
