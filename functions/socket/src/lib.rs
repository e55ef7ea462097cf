//! The sockets of devices: connecting, frames, disconnecting (`docs/protocol.md`, section 8).

mod connect;
mod message;

use eko_service::config::Needs;
use eko_service::socket_event::{SocketAnswer, SocketEvent, SocketEventKind};
use eko_service::{AppState, Problem};
use http::StatusCode;

/// The settings that this function needs. It queues what an acknowledgement reports, which nobody waits
/// for: the connection to the queue is opened then, and not in init.
pub const NEEDS: Needs = Needs {
    token_keys: true,
    seldom_deliveries: true,
    parcels: true,
    pushes: true,
    sockets: true,
    ..Needs::NOTHING
};

/// Handles an event of the WebSocket API.
///
/// The calls are listed at [`connect`](eko_messaging::Messaging::connect),
/// [`disconnect`](eko_messaging::Messaging::disconnect), and for a frame at
/// [`use_socket`](eko_messaging::Messaging::use_socket) and at the verb that the frame asks for.
/// Each frame to the device is a post.
pub async fn handle(state: AppState, event: SocketEvent) -> SocketAnswer {
    let SocketEvent { connection, request, kind } = event;
    match kind {
        SocketEventKind::Connect { headers } => {
            connect::connect(&state, connection, &headers).await.unwrap_or_else(|problem| {
                problem.log(&request, "CONNECT", "");
                SocketAnswer::status(connect::status_of(&problem))
            })
        }
        SocketEventKind::Message { body, is_binary } => {
            message::answer(&state, &connection, &request, &body, is_binary).await;
            SocketAnswer::DONE
        }
        SocketEventKind::Disconnect => match state.messaging().disconnect(&connection).await {
            Ok(()) => SocketAnswer::DONE,
            Err(error) => {
                Problem::from(error).log(&request, "DISCONNECT", "");
                SocketAnswer::status(StatusCode::SERVICE_UNAVAILABLE)
            }
        },
    }
}
