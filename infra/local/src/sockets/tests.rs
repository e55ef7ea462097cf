//! Tests of the listener over TCP, with a function of their own that answers by what it is asked.

use std::net::SocketAddr;
use std::time::Duration;

use aws_lambda_events::event::apigw::ApiGatewayWebsocketProxyRequest;
use eko_service::socket_event::SocketEventKind;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::*;

/// A listener whose function posts each text back, with `echo: ` before it, and refuses who asks
/// for it.
struct TestListener {
    engines: Engines,
    server: SocketServer,
    address: SocketAddr,
    /// The events, as the function got them.
    events: mpsc::UnboundedReceiver<SocketEvent>,
}

impl TestListener {
    async fn start(limits: GatewayLimits) -> Self {
        let engines = Engines::in_memory().unwrap();
        let (tell, events) = mpsc::unbounded_channel();
        let function: SocketFunction = {
            let engines = engines.clone();
            Arc::new(move |event| {
                let (engines, tell) = (engines.clone(), tell.clone());
                async move {
                    let event: ApiGatewayWebsocketProxyRequest = serde_json::from_value(event)?;
                    let event = SocketEvent::of(event)?;
                    let answer = match &event.kind {
                        SocketEventKind::Connect { headers } => match headers.get("x-refuse") {
                            Some(_) => json!({ "statusCode": 403 }),
                            None => {
                                json!({ "statusCode": 200, "headers": { "sec-websocket-protocol": "b" } })
                            }
                        },
                        SocketEventKind::Message { body, .. } if body == "bye" => {
                            engines.call_connection("DELETE", event.connection.as_str(), &[]);
                            json!({ "statusCode": 200 })
                        }
                        SocketEventKind::Message { body, .. } => {
                            let echo = format!("echo: {}", body.get(..9).unwrap_or(body));
                            engines.call_connection("POST", event.connection.as_str(), echo.as_bytes());
                            json!({ "statusCode": 200 })
                        }
                        SocketEventKind::Disconnect => json!({ "statusCode": 200 }),
                    };
                    tell.send(event).unwrap();
                    Ok(answer)
                }
                .boxed()
            })
        };
        let server = SocketServer::new(Gateway::new(engines.clone(), function), limits);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = server.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { engines, server, address, events }
    }

    async fn connect(&self, headers: &[(&'static str, &'static str)]) -> Result<Client, Error> {
        let mut request = format!("ws://{}{LIVE_PATH}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, http::HeaderValue::from_static(value));
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        let config = WebSocketConfig::default();
        let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(config)).await?;
        let protocol = opened.1.headers().get("sec-websocket-protocol").cloned();
        Ok(Client { stream: opened.0, protocol })
    }

    async fn event(&mut self) -> SocketEvent {
        tokio::time::timeout(Duration::from_secs(30), self.events.recv()).await.unwrap().unwrap()
    }
}

struct Client {
    stream: WebSocketStream<TcpStream>,
    protocol: Option<http::HeaderValue>,
}

impl Client {
    async fn say(&mut self, text: &str) {
        self.stream.send(Message::Text(text.into())).await.unwrap();
    }

    /// Waits for the next message, and returns its text, or the status of the connection's end.
    async fn hear(&mut self) -> String {
        let next = tokio::time::timeout(Duration::from_secs(30), self.stream.next()).await.unwrap();
        match next {
            Some(Ok(Message::Text(text))) => text.to_string(),
            Some(Ok(Message::Close(Some(frame)))) => u16::from(frame.code).to_string(),
            other => format!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_connection_makes_the_events_of_lambda() {
    let mut listener = TestListener::start(GatewayLimits::LOCAL).await;
    let headers = [("authorization", "Bearer t"), ("sec-websocket-protocol", "a, b")];
    let mut client = listener.connect(&headers).await.unwrap();
    assert_eq!(client.protocol.as_ref().unwrap(), "b");
    let SocketEventKind::Connect { headers } = listener.event().await.kind else { panic!("no connect") };
    assert_eq!(
        (&headers["authorization"], &headers["sec-websocket-protocol"]),
        (&"Bearer t".parse().unwrap(), &"a, b".parse().unwrap())
    );
    client.say("x").await;
    assert_eq!(client.hear().await, "echo: x");
    let connected = listener.event().await;
    assert!(matches!(&connected.kind, SocketEventKind::Message { body, is_binary: false } if body == "x"));
    client.stream.send(Message::Binary(vec![1].into())).await.unwrap();
    let SocketEventKind::Message { body, is_binary: true } = listener.event().await.kind else {
        panic!("no binary message")
    };
    assert_eq!(body, "AQ==");
    client.stream.close(None).await.unwrap();
    let last = listener.event().await;
    assert!(matches!(last.kind, SocketEventKind::Disconnect));
    assert_eq!(last.connection, connected.connection);
    assert_eq!(listener.engines.connections().count(), 0);
}

#[tokio::test]
async fn a_refusal_is_the_answer_of_the_handshake() {
    let listener = TestListener::start(GatewayLimits::LOCAL).await;
    let Err(Error::Http(answer)) = listener.connect(&[("x-refuse", "1")]).await.map(|_| ()) else {
        panic!("no answer")
    };
    assert_eq!(answer.status(), 403);
    assert_eq!(listener.engines.connections().count(), 0);
}

#[tokio::test]
async fn a_connection_ends_when_it_is_deleted_or_the_server_ends() {
    let mut listener = TestListener::start(GatewayLimits::LOCAL).await;
    let mut deleted = listener.connect(&[]).await.unwrap();
    deleted.say("bye").await;
    assert_eq!(deleted.hear().await, "1000");
    let mut open = listener.connect(&[]).await.unwrap();
    let told = async { [open.hear().await, open.hear().await] };
    let (heard, ()) = tokio::join!(told, listener.server.end());
    assert_eq!(heard, [r#"{"reason":"going-away","type":"Terminated"}"#, "1001"]);
    assert_eq!(listener.engines.connections().count(), 0);
    let mut ended = 0;
    while ended < 2 {
        ended += usize::from(matches!(listener.event().await.kind, SocketEventKind::Disconnect));
    }
}

#[tokio::test]
async fn the_limits_of_api_gateway() {
    let limits = GatewayLimits { idle: Duration::from_millis(200), ..GatewayLimits::API_GATEWAY };
    let listener = TestListener::start(limits).await;
    let mut client = listener.connect(&[]).await.unwrap();
    client.say(&"x".repeat(32 * 1024)).await;
    assert_eq!(client.hear().await, format!("echo: {}", "x".repeat(9)));
    assert_eq!(client.hear().await, "1001", "it was idle");

    let limits = GatewayLimits { whole: Some(Duration::ZERO), ..GatewayLimits::API_GATEWAY };
    let short = TestListener::start(limits).await;
    assert_eq!(short.connect(&[]).await.unwrap().hear().await, "1001");

    let listener = TestListener::start(GatewayLimits::API_GATEWAY).await;
    for large in [frames(&[32 * 1024 + 1]), frames(&[32 * 1024, 32 * 1024, 32 * 1024, 32 * 1024, 1])] {
        let mut client = listener.connect(&[]).await.unwrap();
        for frame in large {
            // The server may have closed already.
            let _ = client.stream.send(Message::Frame(frame)).await;
        }
        assert_eq!(client.hear().await, "1009");
    }
    let mut client = listener.connect(&[]).await.unwrap();
    for frame in frames(&[32 * 1024; 4]) {
        client.stream.send(Message::Frame(frame)).await.unwrap();
    }
    assert_eq!(client.hear().await, format!("echo: {}", "x".repeat(9)));
}

/// A local server takes a message of 128 KB in one frame, and counts the pings of the protocol.
#[tokio::test]
async fn the_limits_of_a_local_server() {
    let listener = TestListener::start(GatewayLimits::LOCAL).await;
    let mut client = listener.connect(&[]).await.unwrap();
    client.say(&"x".repeat(128 * 1024)).await;
    assert_eq!(client.hear().await, format!("echo: {}", "x".repeat(9)));
    client.say(&"x".repeat(128 * 1024 + 1)).await;
    assert_eq!(client.hear().await, "1009");

    let kept_by =
        |message| [GatewayLimits::LOCAL, GatewayLimits::API_GATEWAY].map(|it| it.is_activity(&message));
    assert_eq!(kept_by(axum::extract::ws::Message::Ping(Vec::new().into())), [true, false]);
    assert_eq!(kept_by(axum::extract::ws::Message::Pong(Vec::new().into())), [true, false]);
    assert_eq!(kept_by(axum::extract::ws::Message::Text("".into())), [true, true]);
}

/// Returns the frames of one text message, of these sizes.
fn frames(sizes: &[usize]) -> Vec<Frame> {
    let last = sizes.len() - 1;
    let frame = |(index, size): (usize, &usize)| {
        let opcode = OpCode::Data(if index == 0 { Data::Text } else { Data::Continue });
        let header =
            FrameHeader { is_final: index == last, opcode, mask: Some([7; 4]), ..FrameHeader::default() };
        Frame::from_payload(header, vec![b'x'; *size].into())
    };
    sizes.iter().enumerate().map(frame).collect()
}
