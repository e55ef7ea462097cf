//! Internal addresses that other servers name: as the id of a key, as an actor, in an actor's
//! document, in activities, and as the target of a redirect. A name that looks public may resolve
//! to such an address. The server connects to none of them.

use eko_protocol::http_signature::Scheme;
use eko_testkit::{Internet, StrangerAnswer};
use serde_json::{Value, json};

use crate::scene::{AttackScene, like};

/// Addresses whose spelling is no URL in normal form. Every reader of an address refuses them.
const SPELLINGS: [&str; 14] = [
    "https://[::ffff:127.0.0.1]",
    "https://[::ffff:169.254.169.254]",
    "https://[0:0:0:0:0:0:0:1]",
    "https://2130706433",
    "https://0x7f000001",
    "https://0x7f.1",
    "https://0177.0.0.1",
    "https://017700000001",
    "https://127.1",
    "https://0",
    "https://127.0.0.1.",
    "https://%31%32%37.0.0.1",
    "https://localhost.",
    "https://b.example.",
];

/// IP addresses in place of names, public ones included, and URLs that are not https.
const LITERALS: [&str; 30] = [
    "https://0.0.0.0",
    "https://255.255.255.255",
    "https://127.0.0.1",
    "https://127.0.0.1:9001",
    "https://[::]",
    "https://[::1]",
    "https://[::1]:9001",
    "https://[::ffff:7f00:1]",
    "https://[::ffff:a9fe:a9fe]",
    "https://10.0.0.1",
    "https://172.16.0.1",
    "https://192.168.0.1",
    "https://100.64.0.1",
    "https://192.0.0.1",
    "https://198.18.0.1",
    "https://224.0.0.1",
    "https://240.0.0.1",
    "https://[64:ff9b::7f00:1]",
    "https://[2002:7f00:1::]",
    "https://[fc00::1]",
    "https://[fd00:ec2::254]",
    "https://[fe80::1]",
    "https://[fec0::1]",
    "https://169.254.169.254",
    "https://169.254.170.2",
    "https://169.254.170.23",
    "https://93.184.216.1",
    "http://127.0.0.1:9001",
    "http://localhost:9001",
    "http://b.example",
];

/// Names that only mean something within one machine or network.
const LOCAL: [&str; 6] = [
    "https://localhost",
    "https://localhost:9001",
    "https://a.localhost",
    "https://printer.local",
    "https://metadata.google.internal",
    "https://instance-data",
];

/// Addresses that a name which looks public may resolve to.
const RESOLVED: [&str; 27] = [
    "0.0.0.0",
    "127.0.0.1",
    "127.0.0.53",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "192.0.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.170.23",
];

/// The reason why an address is forbidden.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrapKind {
    /// The spelling is no URL in normal form.
    Spelling,
    /// The address is an IP address, or not https.
    Literal,
    /// The name is one of this machine or network.
    Local,
    /// The name resolves to a forbidden address.
    Resolves,
}

/// A place that a server must not be led to.
#[derive(Debug)]
pub(crate) struct Trap {
    pub(crate) kind: TrapKind,
    /// `https://…`, without a path.
    pub(crate) base: String,
    /// The name that may be looked up; empty where none may.
    pub(crate) name: String,
}

/// Returns every trap, and makes the names known to `internet`.
pub(crate) fn traps(internet: &Internet) -> Vec<Trap> {
    let of = |kind| move |base: &&str| Trap { kind, base: (*base).to_owned(), name: String::new() };
    let mut traps: Vec<Trap> = SPELLINGS.iter().map(of(TrapKind::Spelling)).collect();
    traps.extend(LITERALS.iter().map(of(TrapKind::Literal)));
    traps.extend(LOCAL.iter().map(of(TrapKind::Local)));
    for (number, address) in RESOLVED.iter().enumerate() {
        let name = format!("trap-{number}.example");
        internet.name(&name, &[address]);
        // Lambda's Runtime API listens on this port.
        let ports: &[&str] = if *address == "127.0.0.1" { &["", ":9001"] } else { &[""] };
        for port in ports {
            traps.push(Trap {
                kind: TrapKind::Resolves,
                base: format!("https://{name}{port}"),
                name: name.clone(),
            });
        }
    }
    traps
}

#[tokio::test]
async fn as_the_id_of_a_key() {
    let scene = AttackScene::new().await;
    for trap in traps(&scene.internet) {
        for scheme in [Scheme::Cavage, Scheme::Rfc9421] {
            let body = scene.envelope(&scene.eve.actor, 1).to_string();
            let key_id = format!("{}/users/eve#main-key", trap.base);
            let request = scene.signed_by(&scene.eve.key, &key_id, scheme, body);
            assert_eq!(scene.send(request).await, "401 bad-signature", "{trap:?}");
        }
        assert_eq!((scene.internet.resolved(), scene.dialled()), (vec![], vec![]), "{trap:?}");
    }
    scene.assert_unchanged("an envelope by a key within").await;
}

#[tokio::test]
async fn as_the_actor() {
    let scene = AttackScene::new().await;
    for trap in traps(&scene.internet) {
        let actor = format!("{}/users/eve", trap.base);
        let expected = match trap.kind {
            TrapKind::Spelling | TrapKind::Literal | TrapKind::Local => "403 not-federated",
            TrapKind::Resolves => "401 bad-signature",
        };
        for path in ["/inbox", "/user/bob/inbox"] {
            let request = scene.signed(Scheme::Cavage, path, &scene.envelope(&actor, 1));
            assert_eq!(scene.send(request).await, expected, "{trap:?}");
        }
        assert_eq!(scene.dialled(), [], "{trap:?}");
    }
    scene.assert_unchanged("an envelope of an actor within").await;
}

#[tokio::test]
async fn as_a_name_whose_address_nobody_is_told() {
    let scene = AttackScene::new().await;
    scene.internet.name("inside.example", &["10.20.30.40"]);
    let actor = "https://inside.example/users/eve";
    let request = scene.signed(Scheme::Cavage, "/inbox", &like(actor));
    let (status, problem) = scene.world.transport().json(request).await;
    assert_eq!((status, problem["detail"].as_str()), (401, Some("inside.example has no public address")));
    assert!(!problem.to_string().contains("10.20.30.40"));
}

#[tokio::test]
async fn as_a_name_is_looked_up_once() {
    let scene = AttackScene::new().await;
    scene.internet.name("inside.example", &["127.0.0.1", "169.254.169.254", "::1"]);
    let actor = "https://inside.example/users/eve";
    for _ in 0..20 {
        assert_eq!(scene.deliver(&like(actor)).await, "401 bad-signature");
    }
    assert_eq!(scene.internet.resolved(), ["inside.example"], "what was found is remembered");
    assert_eq!(scene.dialled(), []);
    scene.assert_unchanged("an activity of an actor within").await;
}

/// A member of an actor's document, the answer to an activity of that actor, and the change that
/// puts an address into the member.
type AddressMember = (&'static str, &'static str, fn(&mut Value, &str));

/// The members of an actor's document that name addresses.
const ADDRESS_MEMBERS: [AddressMember; 8] = [
    ("inbox", "401 bad-signature", |document, base| document["inbox"] = json!(format!("{base}/inbox"))),
    ("key packages", "401 bad-signature", |document, base| {
        document["eko:keyPackages"] = json!(format!("{base}/user/eve/keyPackages"));
    }),
    ("key id", "401 bad-signature", |document, base| {
        document["publicKey"]["id"] = json!(format!("{base}/users/eve#main-key"));
    }),
    ("key owner", "401 bad-signature", |document, base| {
        document["publicKey"]["owner"] = json!(format!("{base}/users/eve"));
    }),
    ("key by address", "401 bad-signature", |document, base| {
        document["publicKey"] = json!(format!("{base}/users/eve#main-key"));
    }),
    // The shared inbox is not read: each actor has an inbox of its own.
    ("shared inbox", "202", |document, base| document["sharedInbox"] = json!(format!("{base}/inbox"))),
    ("endpoints", "202", |document, base| {
        document["endpoints"] = json!({
            "sharedInbox": format!("{base}/inbox"),
            "proxyUrl": format!("{base}/proxy"),
        });
    }),
    ("endpoints by address", "202", |document, base| {
        document["endpoints"] = json!(format!("{base}/endpoints"));
        document["icon"] = json!(format!("{base}/icon"));
        document["outbox"] = json!(format!("{base}/outbox"));
        document["featured"] = json!(format!("{base}/featured"));
        document["@context"] = json!([format!("{base}/context")]);
    }),
];

#[tokio::test]
async fn in_the_document_of_an_actor() {
    let scene = AttackScene::new().await;
    for (number, trap) in traps(&scene.internet).iter().enumerate() {
        for (index, (member, expected, change)) in ADDRESS_MEMBERS.into_iter().enumerate() {
            let actor = scene.actor(&format!("a{number}x{index}"), |document| change(document, &trap.base));
            assert_eq!(scene.deliver(&like(&actor)).await, expected, "{member}: {trap:?}");
        }
        scene.assert_contacted_only(&[], &format!("{trap:?}"));
    }
    scene.assert_unchanged("an activity of an actor that leads within").await;
}

#[tokio::test]
async fn as_the_target_of_a_redirect() {
    let scene = AttackScene::new().await;
    let statuses = [301, 302, 303, 307, 308].into_iter().cycle();
    for ((number, trap), status) in traps(&scene.internet).iter().enumerate().zip(statuses) {
        let actor = format!("{}/users/r{number}", scene.eve.origin);
        let answer = StrangerAnswer::status(status).with("location", format!("{}/users/eve", trap.base));
        scene.eve.document(&format!("/users/r{number}"), answer);
        assert_eq!(scene.deliver(&like(&actor)).await, "401 bad-signature", "{status}: {trap:?}");
        scene.assert_contacted_only(&[&trap.name], &format!("{trap:?}"));
    }
    scene.assert_unchanged("an activity of an actor that leads within").await;
}

#[tokio::test]
async fn in_an_activity() {
    let scene = AttackScene::new().await;
    for trap in traps(&scene.internet) {
        let base = &trap.base;
        let mut activity = like(&scene.eve.actor);
        activity["@context"] = json!([format!("{base}/context")]);
        activity["object"] = json!(format!("{base}/note"));
        activity["id"] = json!(format!("{base}/activity"));
        activity["attributedTo"] = json!(format!("{base}/users/eve"));
        assert_eq!(scene.deliver(&activity).await, "202", "{trap:?}");
        // The addresses of the sending and the receiving device.
        let mut envelope = scene.envelope(&scene.eve.actor, 1);
        envelope["object"]["messages"][0]["from"] = json!(format!("{base}/device/1"));
        let from = match trap.kind {
            TrapKind::Spelling => "422 invalid #/object/messages/0/from",
            _ => "403 not-yours #/object/messages/0/from",
        };
        assert_eq!(scene.deliver(&envelope).await, from, "{trap:?}");
        let mut envelope = scene.envelope(&scene.eve.actor, 1);
        envelope["object"]["messages"][0]["to"] = json!(format!("{base}/device/1"));
        assert_eq!(scene.deliver(&envelope).await, "422 invalid #/object/messages/0/to", "{trap:?}");
        scene.assert_contacted_only(&[], &format!("{trap:?}"));
    }
    scene.assert_unchanged("an activity that leads within").await;
}
