//! The life of a socket: connecting, frames that are counted, another token, disconnecting.

use eko_protocol::frame::TerminationReason;
use eko_protocol::limits::{FETCH_BURST, FETCH_PAUSE_S, FRAME_BURST, MAX_SOCKETS};
use eko_store::device::{DeviceAddress, DeviceRecord, DeviceStatus};
use eko_store::live::{ConnectionId, Live, Socket, UsedSocket};

use crate::{Messaging, Refusal, Result};

/// The socket on which a frame came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketUse {
    /// The socket is open.
    Open(Socket),
    /// The socket is open, and the frame is a `Fetch` too many: it is answered with `Announce`.
    FetchesOften(Socket),
    /// The access token has expired.
    Expired(Socket),
    /// The device has sent more frames than it may.
    Flooded(Socket),
    /// There is no such socket.
    Unknown,
}

impl Messaging {
    /// Registers the socket of a device, whose access token expires at `expires_s` (epoch seconds).
    /// The device may wait for approval.
    ///
    /// GetItem of the device's record beside the UpdateItem of the account's budget, which counts
    /// the device's sockets too; one PutItem and one UpdateItem that register the socket. For a
    /// device that waits, one UpdateItem gives the account its budget back, and one charges the
    /// device's own. If the device has too many sockets, the oldest are ended
    /// ([`end_sockets`](Self::end_sockets)), like sockets of the user whose time is over.
    ///
    /// # Errors
    /// [`Refusal::DeviceRevoked`], [`Refusal::SignedOut`], [`Refusal::OverBudget`]; the store is
    /// broken or out of reach.
    pub async fn connect(
        &self,
        device: DeviceAddress<'_>,
        expires_s: i64,
        connection: ConnectionId,
    ) -> Result<()> {
        let charge = self.socket_charge(device);
        let (record, mut spending) =
            tokio::join!(self.store().device_record(device), self.spend(Some(charge), None));
        let (is_pending, family) = match signed_in(record?) {
            Ok(SignedIn { status: DeviceStatus::Active, family }) => {
                spending.check()?;
                (false, family)
            }
            // Only the account's own devices use up its budget.
            Ok(SignedIn { family, .. }) => {
                let charge = self.waiting_charge(device);
                let (mut own, ()) = tokio::join!(self.spend(Some(charge), None), self.give_back(spending));
                own.check()?;
                (true, family)
            }
            Err(refusal) => {
                self.give_back(spending).await;
                return Err(refusal.into());
            }
        };
        let socket = Socket {
            connection,
            user: device.user.clone(),
            device: device.device.clone(),
            expires_s,
            opened_ms: self.now_ms(),
            family,
            is_pending,
            behind: None,
        };
        let live = self.store().open_socket(&socket).await?;
        self.make_room(&live, &socket).await;
        Ok(())
    }

    /// Ends the oldest sockets of the device of a new one, and those of the user whose time is over.
    async fn make_room(&self, live: &Live, new: &Socket) {
        let now_ms = self.now_ms();
        let (over, open): (Vec<Socket>, Vec<Socket>) = (live.sockets.iter())
            .filter(|socket| socket.connection != new.connection)
            .cloned()
            .partition(|socket| socket.is_over(now_ms));
        let mut others: Vec<Socket> = open.into_iter().filter(|socket| socket.device == new.device).collect();
        others.truncate((others.len().saturating_add(1)).saturating_sub(MAX_SOCKETS));
        tokio::join!(
            self.end_sockets(&over, TerminationReason::GoingAway),
            self.end_sockets(&others, TerminationReason::Replaced),
        );
    }

    /// Counts a frame that came on a connection, which may be `Fetch`, and finds out whose it is. One
    /// UpdateItem.
    ///
    /// # Errors
    /// The store is broken or out of reach.
    pub async fn use_socket(&self, connection: &ConnectionId, is_fetch: bool) -> Result<SocketUse> {
        let now_ms = self.now_ms();
        let used = self.store().use_socket(connection, is_fetch, now_ms).await?;
        let Some(UsedSocket { socket, frames, fetches }) = used else { return Ok(SocketUse::Unknown) };
        let age_s = now_ms.saturating_sub(socket.opened_ms).max(0).unsigned_abs() / 1000;
        Ok(if socket.is_expired(now_ms) {
            SocketUse::Expired(socket)
        } else if frames > FRAME_BURST.saturating_add(age_s) {
            SocketUse::Flooded(socket)
        } else if is_fetch && fetches > FETCH_BURST.saturating_add(age_s / FETCH_PAUSE_S) {
            SocketUse::FetchesOften(socket)
        } else {
            SocketUse::Open(socket)
        })
    }

    /// Continues a socket until another token of its device expires, at `expires_s` (epoch
    /// seconds). A token that expires sooner than the present one changes nothing.
    ///
    /// GetItem of the device's record, and two UpdateItem.
    ///
    /// # Errors
    /// [`Refusal::DeviceRevoked`], [`Refusal::SignedOut`]; the store is broken or out of reach.
    pub async fn continue_socket(&self, socket: &Socket, expires_s: i64) -> Result<()> {
        signed_in(self.store().device_record(socket.address()).await?)?;
        if expires_s >= socket.expires_s {
            // A socket that was removed meanwhile is ended already.
            self.store().extend_socket(socket, expires_s).await?;
        }
        Ok(())
    }

    /// Removes a socket whose connection has ended. One GetItem; one UpdateItem and one
    /// BatchWriteItem, if the socket is still registered.
    ///
    /// # Errors
    /// The store is broken or out of reach. A connection that has ended is removed by the first
    /// post to it.
    pub async fn disconnect(&self, connection: &ConnectionId) -> Result<()> {
        if let Some(socket) = self.store().socket(connection, self.now_ms()).await? {
            self.store().remove_sockets(&socket.user, std::slice::from_ref(connection)).await?;
        }
        Ok(())
    }
}

/// A device that is there and has not signed out.
struct SignedIn {
    status: DeviceStatus,
    /// The family of its refresh tokens.
    family: String,
}

/// Checks that a device is there and has not signed out: its access token is good until it expires.
fn signed_in(record: Option<DeviceRecord>) -> std::result::Result<SignedIn, Refusal> {
    match record {
        None | Some(DeviceRecord { status: DeviceStatus::Revoked, .. }) => Err(Refusal::DeviceRevoked),
        Some(DeviceRecord { status: DeviceStatus::Deleted, .. }) => Err(Refusal::AccountDeleted),
        Some(DeviceRecord { family: None, .. }) => Err(Refusal::SignedOut),
        Some(DeviceRecord { status, family: Some(family), .. }) => Ok(SignedIn { status, family }),
    }
}
