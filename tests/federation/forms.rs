//! The forms in which JSON-LD writes one document (`docs/protocol.md`, section 1). Every document of
//! another server that this one reads is written in each of them, and nothing else happens.

use eko_client::device::{EntryContent, SendOutcome};
use eko_client::{Auth, Body, Device};
use eko_federation::Scheme;
use eko_protocol::activity::Report;
use eko_protocol::envelope::Create;
use eko_protocol::json::has_type;
use eko_protocol::key_package::{PackageCollection, TakeActivity};
use eko_testkit::{DirectTransport, Internet, Stranger, StrangerAnswer, World, envelope, sign};
use http::Method;
use serde_json::{Map, Value, json};

/// A way to write the members of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As this server writes them.
    Plain,
    /// Each single value in an array.
    Arrays,
    /// Each array of one as its value.
    Values,
    /// Each value in a set.
    Sets,
    /// `@id` and `@type`.
    Keywords,
    /// Each URL as an object with an id, and each other text as a literal.
    Objects,
    /// Each URL as a `Link`.
    Links,
    /// Each type as an IRI.
    Types,
    /// Null for a member that is not there.
    Nulls,
}

const FORMS: [Form; 9] = [
    Form::Plain,
    Form::Arrays,
    Form::Values,
    Form::Sets,
    Form::Keywords,
    Form::Objects,
    Form::Links,
    Form::Types,
    Form::Nulls,
];

/// The members that are optional somewhere.
const OPTIONAL: [&str; 9] = [
    "eko:keyPackages",
    "eko:deviceSet",
    "eko:deviceSetOutOfDate",
    "summary",
    "expires",
    "notify",
    "preKey",
    "preKeyId",
    "eko:fullDevices",
];

impl Form {
    /// Writes a document in this form. The nodes of a chain are signed and stay as they are.
    fn of(self, document: &Value) -> Value {
        let Some(members) = document.as_object() else { return document.clone() };
        let is_node = members.contains_key("proof");
        if is_node {
            return document.clone();
        }
        let mut written = Map::new();
        for (name, value) in members {
            let (name, value) = match name.as_str() {
                "@context" => (name.as_str(), value.clone()),
                "type" => self.types(value),
                "id" if self == Self::Keywords => ("@id", value.clone()),
                _ => (name.as_str(), self.member(name, value)),
            };
            written.insert(name.to_owned(), value);
        }
        if self == Self::Nulls {
            for name in OPTIONAL {
                written.entry(name).or_insert(Value::Null);
            }
        }
        Value::Object(written)
    }

    fn types(self, value: &Value) -> (&'static str, Value) {
        match self {
            Self::Keywords => ("@type", value.clone()),
            Self::Arrays if !value.is_array() => ("type", json!([value])),
            Self::Types => {
                let iri = |name: &Value| match name.as_str().unwrap() {
                    standard @ ("Object" | "Create" | "Reject" | "Person" | "Delete" | "Collection") => {
                        format!("https://www.w3.org/ns/activitystreams#{standard}")
                    }
                    media_type if media_type.contains('/') => media_type.to_owned(),
                    own => format!("eko:{own}"),
                };
                match value {
                    Value::Array(names) => ("type", names.iter().map(iri).collect()),
                    name => ("type", json!(iri(name))),
                }
            }
            _ => ("type", value.clone()),
        }
    }

    fn member(self, name: &str, value: &Value) -> Value {
        match (self, value) {
            (Self::Values, Value::Array(items)) if items.len() == 1 => self.of(&items[0]),
            (Self::Sets, Value::Array(items)) => {
                json!({ "@set": items.iter().map(|item| self.of(item)).collect::<Vec<_>>() })
            }
            (_, Value::Array(items)) => items.iter().map(|item| self.item(item)).collect(),
            (Self::Arrays, one) => json!([self.of(one)]),
            (Self::Sets, one) => json!({ "@set": [self.of(one)] }),
            // The members of a link are texts.
            (_, one) if matches!(name, "id" | "href") => one.clone(),
            (_, one) => self.item(one),
        }
    }

    fn item(self, value: &Value) -> Value {
        let url = value.as_str().filter(|text| text.starts_with("https://"));
        match (self, url) {
            (Self::Objects, Some(url)) => json!({ "id": url }),
            (Self::Objects, None) if !value.is_object() => json!({ "@value": value }),
            (Self::Links, Some(url)) => json!({ "type": "Link", "href": url }),
            _ => self.of(value),
        }
    }
}

/// Alice at a server of ours, and bob@b.example, whose documents are those of a server of ours as
/// well, but come from a stranger that writes them in one form.
struct FormScene {
    a: World,
    alice: Device<DirectTransport>,
    bob: Device<DirectTransport>,
    b: Stranger,
    form: Form,
}

impl FormScene {
    async fn new(form: Form) -> Self {
        let elsewhere = Internet::new();
        let (hidden, _) = World::online(&elsewhere, "b.example").await;
        let bob = hidden.user("bob").await;
        let internet = Internet::new();
        let (a, _) = World::online(&internet, "a.example").await;
        let alice = a.user("alice").await;
        let mut b = Stranger::new(&internet, "b.example").await;
        b.actor = bob.actor();
        let mut actor = document_of(&bob, "/user/bob").await;
        let link = format!("{}/key", b.actor);
        let key = json!({ "id": link, "owner": b.actor, "publicKeyPem": b.key.public_pem() });
        actor["publicKey"] = json!(link);
        let finger = "/.well-known/webfinger?resource=acct%3Abob%40b.example";
        let jrd = document_of(&bob, finger).await;
        for (path, document) in [
            ("/user/bob", actor),
            ("/user/bob/key", key),
            ("/user/bob/devices", document_of(&bob, "/user/bob/devices").await),
        ] {
            b.document(path, StrangerAnswer::activity(200, &form.of(&document)));
        }
        // WebFinger is not JSON-LD, but whoever has one encoder for everything writes it alike.
        let written = StrangerAnswer::activity(200, &form.of(&jrd));
        b.document(finger, StrangerAnswer { media_type: "application/jrd+json", ..written });
        let packages = form.of(&document_of(&bob, "/user/bob/keyPackages").await);
        b.script(move |asked| {
            let takes = asked.method == Method::POST && has_type(&asked.json(), "Take");
            takes.then(|| StrangerAnswer::activity(200, &packages))
        });
        Self { a, alice, bob, b, form }
    }

    /// Delivers an activity of Bob's in the form of this scene, signed by the linked key.
    async fn deliver(&self, activity: &Value) -> (u16, Value) {
        let body = self.form.of(activity).to_string().into();
        let (key, now_ms) = (format!("{}/key", self.b.actor), self.a.now_ms());
        let request = sign(&self.b.key, &key, Scheme::Rfc9421, "https://a.example/inbox", body, now_ms);
        self.a.transport().json(request).await
    }

    /// Returns how often the actor's document was asked for.
    fn fetches(&self) -> usize {
        self.b.asked().iter().filter(|asked| asked.target == "/user/bob").count()
    }
}

async fn document_of(device: &Device<DirectTransport>, path: &str) -> Value {
    device.call(Method::GET, path, Body::Empty, Auth::Nobody).await.unwrap().json().unwrap()
}

#[tokio::test]
async fn what_is_fetched() {
    for form in FORMS {
        let scene = FormScene::new(form).await;
        let outgoing = envelope(&scene.alice, &[&scene.bob]);
        let mut body = scene.alice.create_activity(&outgoing);
        body["to"] = json!("@bob@b.example");
        let path = "/user/alice/outbox";
        let sent = scene.alice.call(Method::POST, path, Body::Json(&body), Auth::Device).await.unwrap();
        assert_eq!(
            (sent.status.as_u16(), &sent.json().unwrap()["to"]),
            (201, &json!(scene.b.actor)),
            "{form:?}"
        );
        let (there, bob) = (scene.bob.origin(), scene.bob.user());
        let (nodes, chain) = scene.alice.chain_through_home(there, bob).await.unwrap();
        assert_eq!(nodes.len(), 1, "{form:?}");
        let taken = scene.alice.take_from(there, bob).await.unwrap();
        assert_eq!(taken.packages[0].device, scene.bob.address(), "{form:?}");
        taken.check(there, &chain).unwrap();
    }
}

#[tokio::test]
async fn what_is_answered() {
    for form in FORMS {
        let scene = FormScene::new(form).await;
        let outgoing = envelope(&scene.alice, &[&scene.bob]);
        let device = scene.bob.address();
        for (status, kind, devices) in
            [(207, "PartialDelivery", "missingKeyPackages"), (409, "Reject", "staleDevices")]
        {
            let report = json!({
                "type": kind, "actor": scene.b.actor, "to": scene.alice.actor(), "object": outgoing.id,
                "eko:deviceSetOutOfDate": true, devices: [device], "summary": "as it happens",
                "eko:deviceSet": { "length": 2, "head": "ab".repeat(32) },
            });
            scene.b.answer(StrangerAnswer::activity(status, &form.of(&report)));
            let report = match scene.alice.send(&outgoing).await.unwrap() {
                SendOutcome::Partial(report) | SendOutcome::Rejected(report) => report,
                other => panic!("{form:?} {kind}: {other:?}"),
            };
            let named =
                [&report.missing_key_packages, &report.stale_devices].map(|list| list.concat()).concat();
            assert_eq!(named, device, "{form:?} {kind}");
            assert!(report.device_set_out_of_date, "{form:?} {kind}");
            assert_eq!(report.summary.as_deref(), Some("as it happens"), "{form:?} {kind}");
            assert_eq!(report.device_set.map(|set| set.length), Some(2), "{form:?} {kind}");
        }
        for _ in 0..2 {
            let problem = json!({ "type": "about:blank", "detail": "not today" });
            scene.b.answer(StrangerAnswer::activity(422, &form.of(&problem)));
        }
        let refused = scene.alice.send(&envelope(&scene.alice, &[&scene.bob])).await.unwrap();
        let SendOutcome::Rejected(report) = refused else { panic!("{form:?}: {refused:?}") };
        assert!(report.summary.unwrap().ends_with(": not today"), "{form:?}");
    }
}

#[tokio::test]
async fn what_is_posted() {
    for form in FORMS {
        let scene = FormScene::new(form).await;
        let outgoing = envelope(&scene.alice, &[&scene.bob]);
        scene.alice.send(&outgoing).await.unwrap();
        let (actor, alice) = (&scene.b.actor, scene.alice.actor());
        let create = json!({
            "@context": "https://www.w3.org/ns/activitystreams", "type": "Create", "actor": actor,
            "id": "https://b.example/activity/1", "to": alice,
            "object": {
                "type": ["Object", "SignalEnvelope"], "id": "urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11",
                "published": "2026-01-29T19:30:00Z", "notify": true,
                "messages": [{ "to": scene.alice.address(), "from": scene.bob.address(), "content": "AQID" }],
            },
        });
        assert_eq!(scene.deliver(&create).await, (202, Value::Null), "{form:?}");
        let report = json!({ "type": "Delivered", "actor": actor, "to": alice, "object": outgoing.id });
        assert_eq!(scene.deliver(&report).await, (202, Value::Null), "{form:?}");
        let take = json!({ "type": "Take", "actor": actor, "object": format!("{alice}/keyPackages") });
        let (status, packages) = scene.deliver(&take).await;
        assert_eq!((status, &packages["totalItems"]), (200, &json!(1)), "{form:?}: {packages}");
        let fetches = scene.fetches();
        let delete = json!({ "type": "Delete", "actor": actor, "object": actor });
        assert_eq!(scene.deliver(&delete).await, (202, Value::Null), "{form:?}");
        assert_eq!(scene.deliver(&report).await, (202, Value::Null), "{form:?}");
        assert_eq!(scene.fetches(), fetches + 1, "{form:?}: the actor was forgotten");
        scene.a.deliver().await;
        let page = scene.alice.fetch().await.unwrap();
        let said = page.entries.iter().map(|entry| match &entry.content {
            EntryContent::Message(letter) => format!("{:?}", letter.ciphertext),
            EntryContent::Report(report) => report.kind.as_str().to_owned(),
            other => panic!("{form:?}: {other:?}"),
        });
        let mut said: Vec<String> = said.collect();
        said.sort();
        assert_eq!(said, ["Delivered", "[1, 2, 3]"], "{form:?}");
    }
}

/// A member in a form that means nothing is refused where it stands, and never taken for something
/// else.
#[test]
fn what_is_no_form_of_a_member() {
    let here = "https://a.example/user/alice";
    let create = json!({
        "type": "Create", "actor": "https://b.example/user/bob", "to": here,
        "object": {
            "type": "SignalEnvelope", "id": "https://b.example/message/1", "published": "2026-01-29T19:30:00Z",
            "eko:deviceSet": { "length": 1, "head": "ab".repeat(32) },
            "messages": [{ "to": format!("{here}/device/1"), "from": "https://b.example/d", "content": "AQID" }],
        },
    });
    let origin = eko_protocol::address::Origin::parse("https://a.example").unwrap();
    for (pointer, other, refused_at) in [
        ("/actor", json!(["https://b.example/user/bob", "https://b.example/user/eve"]), "/actor"),
        ("/actor", json!([["https://b.example/user/bob"]]), "/actor"),
        ("/actor", json!({ "en": "https://b.example/user/bob" }), "/actor"),
        ("/actor", json!({ "href": "https://b.example/user/bob" }), "/actor"),
        ("/to", json!([]), "/to"),
        ("/to", json!([null]), "/to"),
        ("/to", json!([here, here]), "/to"),
        ("/object/published", json!(1_769_715_000), "/object/published"),
        ("/object/published", json!({ "en": "2026-01-29T19:30:00Z" }), "/object/published"),
        ("/object/notify", json!("true"), "/object/notify"),
        ("/object/notify", json!([true, false]), "/object/notify"),
        ("/object/eko:deviceSet/length", json!("1"), "/object/eko:deviceSet/length"),
        ("/object/messages", json!([[create["object"]["messages"][0]]]), "/object/messages/0"),
        ("/object/messages", json!([null]), "/object/messages/0"),
        ("/object/messages/0/content", json!(["AQID", "AQID"]), "/object/messages/0/content"),
        ("/object/messages/0/content", json!({ "en": "AQID" }), "/object/messages/0/content"),
    ] {
        let mut changed = create.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[name] = other;
        assert_eq!(Create::parse(&changed, 0).unwrap_err().pointer, refused_at, "{changed}");
    }
    assert!(Create::parse(&create, 0).is_ok());
    let report =
        json!({ "type": "Reject", "actor": here, "to": here, "object": "https://b.example/message/1" });
    for (name, other) in [
        ("object", json!(["https://b.example/1", "https://b.example/2"])),
        ("staleDevices", json!([["https://a.example/d"]])),
        ("eko:deviceSet", json!({ "length": "1", "head": "ab".repeat(32) })),
    ] {
        let mut changed = report.clone();
        changed[name] = other;
        assert!(Report::parse(&changed).unwrap_err().pointer.starts_with(&format!("/{name}")), "{changed}");
    }
    // A reason that nobody can read is no reason to lose the report.
    for summary in [json!({ "en": "full" }), json!(7), json!(["full", "voll"])] {
        let mut changed = report.clone();
        changed["summary"] = summary;
        assert_eq!(Report::parse(&changed).unwrap().summary, None, "{changed}");
    }
    for object in [json!({}), json!([[format!("{here}/keyPackages")]]), json!([])] {
        let take = json!({ "type": "Take", "actor": here, "object": object });
        assert!(TakeActivity::parse(&take, &origin).is_err(), "{take}");
    }
    // A page of a collection elsewhere is not an empty collection.
    let paged = json!({ "type": "Collection", "id": here, "first": format!("{here}?page=1") });
    assert_eq!(PackageCollection::parse(&paged, &origin).unwrap_err().pointer, "/items");
}
