//! `$default`: the frames of a device.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_messaging::live::SocketUse;
use eko_protocol::Invalid;
use eko_protocol::frame::{self, ClientFrame, FrameRequest, TerminationReason};
use eko_protocol::json::JsonError;
use eko_service::caller::Caller;
use eko_service::{AppState, Problem, delivered};
use eko_store::live::{ConnectionId, Socket};

/// Answers a message with the frames that it leads to. A message that is refused is answered with
/// `Problem`.
pub(crate) async fn answer(
    state: &AppState,
    connection: &ConnectionId,
    request: &str,
    body: &str,
    is_binary: bool,
) {
    let (id, parsed) = read(body, is_binary);
    let id = id.as_deref();
    let is_fetch = matches!(parsed, Ok(FrameRequest::Fetch));
    let socket = match state.messaging().use_socket(connection, is_fetch).await {
        Ok(SocketUse::Open(socket)) => socket,
        Ok(SocketUse::FetchesOften(socket)) => {
            // The page that it fetches over HTTP is one answer, and a backlog many posts.
            let announce = frame::announce(state.origin(), &socket.user).to_string();
            state.messaging().post(&socket, &[announce]).await;
            return;
        }
        Ok(SocketUse::Expired(socket)) => {
            return state.messaging().end_sockets(&[socket], TerminationReason::TokenExpired).await;
        }
        Ok(SocketUse::Flooded(socket)) => {
            let what = "too many frames on this socket";
            let frame = problem_frame(state, request, id, &Problem::TooMany { retry_after: 60, what });
            state.messaging().post(&socket, &[frame]).await;
            return state.messaging().end_sockets(&[socket], TerminationReason::TooManyMessages).await;
        }
        Ok(SocketUse::Unknown) => return end_unknown(state, connection).await,
        Err(error) => return refuse(state, connection, request, id, &error.into()).await,
    };
    let done = match parsed {
        Ok(frame) => perform(state, &socket, id, frame).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(frames) => {
            state.messaging().post(&socket, &frames).await;
        }
        Err(problem) => {
            let frame = problem_frame(state, request, id, &problem);
            state.messaging().post(&socket, &[frame]).await;
            if matches!(problem, Problem::DeviceRevoked) {
                state.messaging().end_sockets(&[socket], TerminationReason::DeviceRevoked).await;
            }
        }
    }
}

/// Reads a frame: its id, as far as it can be read, and its request.
fn read(body: &str, is_binary: bool) -> (Option<String>, Result<FrameRequest, Problem>) {
    if is_binary {
        let detail = "a frame is a text message".to_owned();
        let id = STANDARD.decode(body).ok().and_then(|bytes| frame::id_of(&bytes));
        return (id, Err(Problem::from(JsonError::NotJson(detail))));
    }
    match ClientFrame::parse(body.as_bytes()) {
        Ok(ClientFrame { id, request }) => (id, Ok(request)),
        Err(fault) => (fault.id, Err(fault.error.into())),
    }
}

/// Does what a frame asks for. Returns the frames that it is answered with.
async fn perform(
    state: &AppState,
    socket: &Socket,
    id: Option<&str>,
    request: FrameRequest,
) -> Result<Vec<String>, Problem> {
    let accepted = || id.map(|id| frame::accepted(id).to_string()).into_iter().collect();
    let caller = Caller { user: socket.user.clone(), device: socket.device.clone() };
    match request {
        FrameRequest::Fetch => Ok(state.messaging().backlog(socket, id).await?),
        FrameRequest::Delivered(activity) => {
            let federates = state.config().federation.is_some();
            delivered::acknowledge_entries(state, federates, &caller, &activity).await?;
            Ok(accepted())
        }
        FrameRequest::Authenticate { token } => {
            let token = state.tokens().verify_lasting(&token, state.now_ms())?;
            if token.caller != caller {
                return Err(Problem::NotYours(Invalid::at("/token", "must be of this socket's device")));
            }
            state.messaging().continue_socket(socket, token.expires_s).await?;
            Ok(accepted())
        }
        FrameRequest::Ping => Ok(vec![frame::pong(id).to_string()]),
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
