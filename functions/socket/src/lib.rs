//! The sockets of devices: connecting, frames, disconnecting (`docs/protocol.md`, section 8).

mod connect;
mod message;

use eko_protocol::frame::{self, TerminationReason};
use eko_service::config::Needs;
use eko_service::socket_event::{SocketAnswer, SocketEvent, SocketEventKind};
use eko_service::{AppState, Problem};
use eko_store::live::ConnectionId;
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

/// Returns the frame that says that a frame is refused, and logs the problem.
fn problem_frame(state: &AppState, request: &str, id: Option<&str>, problem: &Problem) -> String {
    problem.log(request, "FRAME", "");
    let type_url = state.origin().problem(problem.kind().slug);
    frame::problem(id, problem.body(&type_url, &state.random_uuid())).to_string()
}

/// Tells a connection of which it is not known whose it is that a frame is refused.
async fn refuse(
    state: &AppState,
    connection: &ConnectionId,
    request: &str,
    id: Option<&str>,
    problem: &Problem,
) {
    let frame = problem_frame(state, request, id, problem);
    state.messaging().post_to(connection, &frame).await;
}

/// Ends a connection that is not known, so that its client connects again.
async fn end_unknown(state: &AppState, connection: &ConnectionId) {
    state.messaging().hang_up_on(connection, TerminationReason::GoingAway).await;
}
