//! The examples of the page, made again: each scene plays a part of the protocol and records what
//! the page shows of it.

mod chain;
mod content;
mod discovery;
mod federation;
mod group_state;
mod live;
mod mailbox;
mod packages;
mod push;
mod sending;
mod sign_in;

use std::collections::BTreeMap;
use std::ops::Deref;

use eko_client::{Auth, Body, Device, Exchange};
use eko_testkit::{DirectTransport, World};
use http::Method;
use serde_json::Value;

use crate::cast::DeviceRole;
use crate::page::{self, ExampleBlock};
use crate::recorder::{RecordedExchange, Recorder};
use crate::{render, writes};

/// A device of a scene, and what it said last.
struct SceneDevice {
    device: Device<Recorder<DirectTransport>>,
    recorder: Recorder<DirectTransport>,
}

impl Deref for SceneDevice {
    type Target = Device<Recorder<DirectTransport>>;

    fn deref(&self) -> &Self::Target {
        &self.device
    }
}

impl SceneDevice {
    /// Returns the last exchange, once.
    fn last(&self) -> RecordedExchange {
        self.recorder.take()
    }
}

/// The examples that were made, by their titles.
#[derive(Default)]
struct Examples {
    made: BTreeMap<String, ExampleBlock>,
}

impl Examples {
    fn put(&mut self, title: String, language: &str, text: String) {
        let block = ExampleBlock { language: language.to_owned(), text };
        assert!(self.made.insert(title.clone(), block).is_none(), "two examples are called {title}");
    }

    /// Shows a request, as `{title} request`, and its answer, as `{title} {status}`.
    fn exchange(&mut self, title: &str, recorded: &RecordedExchange) {
        self.put(format!("{title} request"), "http", render::request(&recorded.request));
        self.answer(title, recorded);
    }

    /// Shows an answer alone.
    fn answer(&mut self, title: &str, recorded: &RecordedExchange) {
        let (status, headers) = (recorded.response.status().as_u16(), recorded.response.headers());
        if !recorded.request.uri().path().starts_with("/dev/") {
            assert!(headers.contains_key("x-request-id"), "{title}");
            assert_eq!(headers["access-control-allow-origin"], "*", "{title}");
        }
        self.put(format!("{title} {status}"), "http", render::response(&recorded.response));
    }

    /// Shows a document.
    fn document(&mut self, title: &str, value: &Value) {
        self.put(title.to_owned(), "json", render::document(value));
    }
}

/// Returns a device of a scene, not registered.
fn actor(world: &World, role: &DeviceRole) -> SceneDevice {
    let recorder = Recorder::new(world.transport());
    let device = role.device(recorder.clone(), world.state.origin(), world.clock());
    SceneDevice { device, recorder }
}

/// GETs a path with no token.
async fn get(world: &World, path: &str) -> RecordedExchange {
    let recorder = Recorder::new(world.transport());
    let url = format!("{}{path}", world.state.origin());
    Exchange::send(&recorder, Method::GET, &url, Body::Empty, None).await.unwrap();
    recorder.take()
}

/// GETs a path as a device.
async fn fetch(device: &SceneDevice, path: &str) -> RecordedExchange {
    device.call(Method::GET, path, Body::Empty, Auth::Device).await.unwrap();
    device.last()
}

/// POSTs a document as a device.
async fn post(device: &SceneDevice, path: &str, body: &Value) -> RecordedExchange {
    device.call(Method::POST, path, Body::Json(body), Auth::Device).await.unwrap();
    device.last()
}

/// Returns the document of an answer.
fn body(recorded: &RecordedExchange) -> Value {
    serde_json::from_slice(recorded.response.body()).unwrap()
}

#[tokio::test]
async fn the_page_shows_what_the_server_and_the_client_library_do() {
    let mut examples = Examples::default();
    discovery::play(&mut examples).await;
    chain::play(&mut examples).await;
    packages::play(&mut examples).await;
    sending::play(&mut examples).await;
    mailbox::play(&mut examples).await;
    federation::play(&mut examples).await;
    live::play(&mut examples).await;
    group_state::play(&mut examples).await;
    push::play(&mut examples).await;
    content::play(&mut examples);
    sign_in::play(&mut examples).await;

    let page = page::read();
    if writes() {
        page::write(&page::with_blocks(&page, &examples.made));
    }
    let shown = page::blocks(&page::read());
    let mut faults = Vec::new();
    for (title, block) in &shown {
        match examples.made.get(title) {
            None => faults.push(format!("nothing makes the example {title:?}")),
            Some(made) if made != block => faults.push(format!(
                "the example {title:?} on the page:\n{}\n{}\n\nis in truth:\n{}\n{}\n",
                block.language, block.text, made.language, made.text
            )),
            Some(_) => {}
        }
    }
    let unshown = examples.made.keys().filter(|title| !shown.contains_key(*title));
    faults.extend(unshown.map(|title| format!("the page does not show the example {title:?}")));
    assert!(faults.is_empty(), "{}\n\nEKO_WRITE_SPEC=1 writes the examples into the page", faults.join("\n"));
}

/// True if a path is one that a pattern such as `/user/{name}/inbox/{key}` stands for.
fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    let same = |(pattern, part): (&&str, &&str)| pattern.starts_with('{') || pattern == part;
    pattern.len() == path.len() && pattern.iter().zip(&path).all(same)
}

#[test]
fn every_endpoint_has_an_example() {
    let page = page::read();
    let shown = page::blocks(&page);
    let without_query = |target: &str| target.split('?').next().unwrap().to_owned();
    let requests: Vec<(String, String)> = shown
        .iter()
        .filter(|(title, _)| title.ends_with(" request"))
        .map(|(_, block)| {
            let mut words = block.text.split(' ');
            (words.next().unwrap().to_owned(), without_query(words.next().unwrap()))
        })
        .collect();
    let rows = page::table(&page, "\n## 2. Endpoints\n");
    assert!(rows.len() > 10);
    for row in rows {
        let (method, _) = row[0].split_once(' ').unwrap();
        for pattern in row[0].split('`').skip(1).step_by(2).map(without_query) {
            let has = requests.iter().any(|(other, path)| other == method && matches(&pattern, path));
            assert!(has, "{method} {pattern} has no example");
        }
    }
}
