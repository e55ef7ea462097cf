//! The sockets between a device and its server, in the hands of someone who cuts, repeats and
//! reorders.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use eko_client::transport::{Bytes, Socket, SocketOpening, SocketTransport, TransportError};
use eko_testkit::{TestSocket as ServerSocket, World};
use http::header::{AUTHORIZATION, HeaderValue};
use http::{HeaderMap, Response};
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::test_network::TestNetwork;

/// The fate of a frame on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameFate {
    /// The frame arrives.
    Arrives,
    /// The frame arrives twice.
    ArrivesTwice,
    /// The frame arrives after the next one.
    IsLate,
    /// The frame is lost, and nobody is told.
    IsLost,
    /// The connection breaks before it arrives.
    Breaks,
    /// The connection breaks after it has arrived.
    BreaksAfter,
}

type FateFn = Box<dyn FnMut(&Value) -> FrameFate + Send>;

/// The sockets of one device. Frames go to the server through the hands of the test.
#[derive(Clone, Default)]
pub(crate) struct TestSockets {
    inner: Arc<Mutex<NetworkSide>>,
}

#[derive(Default)]
struct NetworkSide {
    server: Option<Arc<World>>,
    /// The open connections, by the number of their opening.
    open: BTreeMap<usize, OpenConnection>,
    /// The types of the frames from the device.
    heard: Vec<String>,
    opened: usize,
    refusal: Option<u16>,
    is_mute: bool,
    to_device: Option<FateFn>,
    to_server: Option<FateFn>,
}

/// A connection between the device and the server.
#[derive(Clone)]
struct OpenConnection {
    to_device: UnboundedSender<String>,
    /// The frame that arrives after the next one.
    late: Option<String>,
    to_server: Arc<tokio::sync::Mutex<ServerSocket>>,
}

/// A socket of the device.
pub(crate) struct TestSocket {
    sockets: TestSockets,
    from_server: UnboundedReceiver<String>,
    number: usize,
}

impl TestSockets {
    /// Leads to this server from now on.
    pub(crate) fn lead_to(&self, server: &Arc<World>) {
        self.inner.lock().unwrap().server = Some(Arc::clone(server));
    }

    /// Refuses every socket with this status from now on, or none.
    pub(crate) fn refuse(&self, status: Option<u16>) {
        self.inner.lock().unwrap().refusal = status;
    }

    /// Says nothing on sockets from now on.
    pub(crate) fn mute(&self, is_mute: bool) {
        self.inner.lock().unwrap().is_mute = is_mute;
    }

    /// Decides the fates of frames to the device from now on.
    pub(crate) fn fates_to_device(&self, fate: impl FnMut(&Value) -> FrameFate + Send + 'static) {
        self.inner.lock().unwrap().to_device = Some(Box::new(fate));
    }

    /// Decides the fates of frames from the device from now on.
    pub(crate) fn fates_to_server(&self, fate: impl FnMut(&Value) -> FrameFate + Send + 'static) {
        self.inner.lock().unwrap().to_server = Some(Box::new(fate));
    }

    /// Passes everything on from now on.
    pub(crate) fn honest(&self) {
        let mut inner = self.inner.lock().unwrap();
        (inner.to_device, inner.to_server) = (None, None);
        inner.open.values_mut().for_each(|open| open.late = None);
        (inner.is_mute, inner.refusal) = (false, None);
    }

    /// Returns the number of sockets that were opened.
    pub(crate) fn opened(&self) -> usize {
        self.inner.lock().unwrap().opened
    }

    /// Returns the numbers of the open sockets. The first one has the number 1.
    pub(crate) fn open(&self) -> Vec<usize> {
        self.inner.lock().unwrap().open.keys().copied().collect()
    }

    /// Returns the types of the frames that have come since the last call.
    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.inner.lock().unwrap().heard)
    }

    /// Breaks the open sockets. The server is not told.
    pub(crate) fn cut(&self) {
        self.inner.lock().unwrap().open.clear();
    }

    /// Sends any text to the device, on its newest socket.
    pub(crate) fn send_text(&self, text: &str) {
        let inner = self.inner.lock().unwrap();
        inner.open.values().next_back().unwrap().to_device.send(text.to_owned()).unwrap();
    }

    /// Sends a frame to the device, in the place of the server, on its newest socket.
    pub(crate) fn send(&self, frame: &Value) {
        let mut inner = self.inner.lock().unwrap();
        let newest = inner.opened;
        inner.send(newest, frame);
    }

    /// Passes on what the server has sent.
    pub(crate) async fn pass_on(&self) {
        let open = self.inner.lock().unwrap().open.clone();
        for (number, OpenConnection { to_server, .. }) in open {
            let mut server = to_server.lock().await;
            self.pass(number, &server.frames(), &server);
        }
    }

    /// Hands a frame of the device to the server, and passes on what the server has sent.
    async fn hand_over(&self, number: usize, frame: &Value) {
        let Some(open) = self.inner.lock().unwrap().open.get(&number).cloned() else { return };
        let mut server = open.to_server.lock().await;
        let answers = server.say(frame).await;
        self.pass(number, &answers, &server);
    }

    fn pass(&self, number: usize, frames: &[Value], server: &ServerSocket) {
        let mut inner = self.inner.lock().unwrap();
        for frame in frames {
            inner.send(number, frame);
        }
        if server.is_closed() {
            inner.open.remove(&number);
        }
    }
}

impl NetworkSide {
    fn send(&mut self, number: usize, frame: &Value) {
        if self.is_mute {
            return;
        }
        let Some(open) = self.open.get_mut(&number) else { return };
        // A client that has gone is noticed by nobody.
        let put = |open: &OpenConnection, text: String| drop(open.to_device.send(text));
        let text = frame.to_string();
        let fate = self.to_device.as_mut().map_or(FrameFate::Arrives, |fate| fate(frame));
        match fate {
            FrameFate::Arrives => put(open, text),
            FrameFate::ArrivesTwice => {
                put(open, text.clone());
                put(open, text);
            }
            FrameFate::IsLate if open.late.is_none() => return open.late = Some(text),
            FrameFate::IsLate => put(open, text),
            FrameFate::IsLost => return,
            FrameFate::Breaks => return drop(self.open.remove(&number)),
            FrameFate::BreaksAfter => {
                put(open, text);
                return drop(self.open.remove(&number));
            }
        }
        if let Some(late) = open.late.take() {
            put(open, late);
        }
    }
}

impl SocketTransport for TestNetwork {
    type Socket = TestSocket;

    async fn open(&self, _: &str, token: &str) -> Result<SocketOpening<TestSocket>, TransportError> {
        let sockets = self.sockets.clone();
        let refused = |status: u16| {
            SocketOpening::Refused(Response::builder().status(status).body(Bytes::new()).unwrap())
        };
        let (refusal, server) = {
            let inner = sockets.inner.lock().unwrap();
            (inner.refusal, inner.server.clone().unwrap())
        };
        match refusal {
            Some(0) => return Err(TransportError::Connect("nobody is there".to_owned())),
            Some(status) => return Ok(refused(status)),
            None => {}
        }
        let bearer = HeaderValue::from_str(&format!("Bearer {token}")).unwrap();
        let opened = server.connect_with(&HeaderMap::from_iter([(AUTHORIZATION, bearer)])).await;
        let to_server = match opened {
            Ok(socket) => Arc::new(tokio::sync::Mutex::new(socket)),
            Err(status) => return Ok(refused(status.as_u16())),
        };
        let (to_device, from_server) = unbounded_channel();
        let number = {
            let mut inner = sockets.inner.lock().unwrap();
            inner.opened += 1;
            let number = inner.opened;
            inner.open.insert(number, OpenConnection { to_device, late: None, to_server });
            number
        };
        Ok(SocketOpening::Open(TestSocket { sockets, from_server, number }))
    }
}

impl Socket for TestSocket {
    async fn send(&mut self, text: String) -> Result<(), TransportError> {
        let frame: Value = serde_json::from_str(&text).unwrap();
        let fate = {
            let mut inner = self.sockets.inner.lock().unwrap();
            if !inner.open.contains_key(&self.number) {
                return Err(TransportError::Broken("the line is cut".to_owned()));
            }
            let kind = frame["type"].as_str().or_else(|| frame["type"][1].as_str()).unwrap();
            inner.heard.push(kind.to_owned());
            inner.to_server.as_mut().map_or(FrameFate::Arrives, |fate| fate(&frame))
        };
        match fate {
            FrameFate::IsLost => {}
            FrameFate::Breaks => self.close().await,
            FrameFate::BreaksAfter => {
                self.sockets.hand_over(self.number, &frame).await;
                self.close().await;
            }
            FrameFate::Arrives | FrameFate::ArrivesTwice | FrameFate::IsLate => {
                self.sockets.hand_over(self.number, &frame).await
            }
        }
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<String>, TransportError> {
        Ok(self.from_server.recv().await)
    }

    async fn close(&mut self) {
        self.sockets.inner.lock().unwrap().open.remove(&self.number);
    }
}
