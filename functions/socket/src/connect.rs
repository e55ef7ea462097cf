//! `$connect`: who connects, and the subprotocol.

use eko_service::caller::bearer_token;
use eko_service::socket_event::SocketAnswer;
use eko_service::{AppState, Problem};
use eko_store::live::ConnectionId;
use http::{HeaderMap, StatusCode, header};

/// The subprotocol that carries an access token as the next one in the list.
const SUBPROTOCOL: &str = "eko.v1";

/// Registers a socket for the device of the access token, which is in the header `Authorization`
/// or, from browsers, behind the subprotocol `eko.v1`. A token in the URL is not looked at.
pub(crate) async fn connect(
    state: &AppState,
    connection: ConnectionId,
    headers: &HeaderMap,
) -> Result<SocketAnswer, Problem> {
    let offered = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let offered = offered.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    let mut offered = offered.map(str::trim);
    let is_offered = offered.any(|protocol| protocol == SUBPROTOCOL);
    let token = match offered.next() {
        Some(token) if !headers.contains_key(header::AUTHORIZATION) => token,
        _ => bearer_token(headers)?,
    };
    let token = state.tokens().verify_lasting(token, state.now_ms())?;
    state.messaging().connect(token.caller.address(), token.expires_s, connection).await?;
    let protocol = is_offered.then_some(SUBPROTOCOL);
    Ok(SocketAnswer { status: StatusCode::OK, protocol })
}

/// Returns the status by which a connection is refused. A client that is refused by 401 gets a new
/// token; one of a revoked device has no use for that.
pub(crate) fn status_of(problem: &Problem) -> StatusCode {
    match problem {
        Problem::DeviceRevoked => StatusCode::FORBIDDEN,
        problem => problem.status(),
    }
}
