//! Tests of stores in which SQLite finds no fault, and that cannot be read all the same.

use std::collections::BTreeMap;

use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::ChainNode;

use super::*;
use crate::device::tests::chain_of_bob;

const BOB: &str = "https://a.example/user/bob";

/// A session of which the Signal library says that it cannot read it.
const BROKEN: &[u8] = b"broken";

fn is_sound(store: &DeviceStore) -> bool {
    store.is_sound(&is_readable).unwrap()
}

fn is_readable(form: StoredForm<'_>) -> bool {
    form != StoredForm::Session(BROKEN)
}

#[test]
fn what_no_command_can_read_is_found_and_left_out() {
    let (origin, user) = (Origin::parse("https://b.example").unwrap(), UserName::parse("bob").unwrap());
    let sound = "INSERT INTO account VALUES ('blocks', CAST('{\"parties\":{},\"read_ms\":1}' AS BLOB)), \
                 ('last_position', CAST('7' AS BLOB)); INSERT INTO gaps VALUES ('c', 'd', 'a', 2, 4, 7, 0); \
                 INSERT INTO sessions (device, actor, record) VALUES ('d', 'a', x'01'); \
                 INSERT INTO awaited VALUES ('https://a.example/user/alice', 'd', \
                 'urn:uuid:6f0a8f2e-5d0c-4c8e-9d53-1f2f0a6f7c11', 'r', 1, 1, 3); \
                 INSERT INTO envelopes (id, message, recipient, plaintext, state, made, due, put) \
                 VALUES ('urn:uuid:6f0a8f2e-5d0c-4c8e-9d53-1f2f0a6f7c12', 'm', 'https://a.example/user/alice', x'01', \
                 1, 1, 1, 1)";
    for damage in [
        "UPDATE account SET value = CAST('{\"parties\":[]}' AS BLOB) WHERE name = 'blocks'",
        "UPDATE account SET value = 'no blob' WHERE name = 'last_position'",
        "INSERT INTO account VALUES ('profile/https://a.example/user/alice', CAST('1' AS BLOB))",
        "INSERT INTO account VALUES ('state group', CAST('[]' AS BLOB))",
        "INSERT INTO account VALUES ('state_keys', CAST('{}' AS BLOB))",
        "INSERT INTO account VALUES ('carried_unsent', CAST('{}' AS BLOB))",
        "INSERT INTO account VALUES ('first', CAST('1' AS BLOB))",
        "INSERT INTO account VALUES ('access_token', x'ff')",
        "INSERT INTO account VALUES ('lost_blocks', CAST('{}' AS BLOB))",
        "INSERT INTO account VALUES ('untold_controls', \
         CAST('[{\"envelope\":\"e\",\"recipient\":\"a\",\"activity\":\"no digits\"}]' AS BLOB))",
        "INSERT INTO account VALUES ('deleted https://a.example/user/alice', CAST('[]' AS BLOB))",
        "INSERT INTO account VALUES ('moves', \
         CAST('{\"https://a.example/user/eve\":{\"to\":\"b\",\"is_followed\":false,\"evidence\":[1]}}' AS BLOB))",
        "INSERT INTO account VALUES ('moves', \
         CAST('{\"https://a.example/user/eve\":{\"to\":\"b\",\"is_followed\":true}}' AS BLOB))",
        "INSERT INTO account VALUES ('own_root', CAST('7' AS BLOB))",
        "UPDATE gaps SET last = 1",
        "UPDATE gaps SET last = 9223372036854775807",
        "UPDATE awaited SET position = 'last'",
        "UPDATE awaited SET envelope = 'e'",
        "UPDATE awaited SET actor = 'a'",
        "UPDATE envelopes SET recipient = 'alice'",
        "UPDATE envelopes SET plaintext = NULL",
        "UPDATE awaited SET device = CAST(x'ff' AS TEXT)",
        "UPDATE sessions SET record = CAST('broken' AS BLOB)",
        "INSERT INTO followed VALUES ('c', 'd', -1)",
        "INSERT INTO pre_keys VALUES (3, 1, zeroblob(32), 0)",
        "INSERT INTO held_evidence VALUES (1, '{}')",
        "INSERT INTO views VALUES ('d', 'c', 'a', 'h', x'01')",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("eko.db");
        let store = DeviceStore::open(&file).unwrap();
        store.lock().execute_batch(sound).unwrap();
        assert!(is_sound(&store));
        store.lock().execute_batch(damage).unwrap();
        assert!(!is_sound(&store), "{damage}");
        drop(store);
        let recovered = DeviceStore::in_memory().unwrap();
        recovered.recover(&file, &origin, &user, &is_readable).unwrap();
        assert!(is_sound(&recovered), "{damage}");
        let count = |table: &str| -> i64 {
            let sql = format!("SELECT count(*) FROM {table}");
            recovered.lock().query_row(&sql, [], |row| row.get(0)).unwrap()
        };
        let kept = ["gaps", "awaited", "sessions"].map(|table| (count(table) == 1) != damage.contains(table));
        // A text that is none is made one.
        assert!(kept == [true; 3] || (damage.contains("x'ff'") && count("awaited") == 1), "{damage}");
    }
}

/// The author of such an envelope can read what became of it, and sends it anew.
#[test]
fn an_envelope_without_its_content_has_failed() {
    let (folder, recovered) = (tempfile::tempdir().unwrap(), DeviceStore::in_memory().unwrap());
    let file = folder.path().join("eko.db");
    let store = DeviceStore::open(&file).unwrap();
    let envelope = "INSERT INTO envelopes (id, message, recipient, plaintext, state, made, due, put) \
                    VALUES ('urn:uuid:6f0a8f2e-5d0c-4c8e-9d53-1f2f0a6f7c12', 'm', 'https://a.example/user/alice', \
                    NULL, 1, 1, 1, 1)";
    // A receipt that was refused has none, nor has a message that version 10 has refused. Both are sound.
    store.lock().execute_batch(envelope).unwrap();
    for silent in [1, 0] {
        store.lock().execute("UPDATE envelopes SET state = 6, silent = ?1", [silent]).unwrap();
        assert!(is_sound(&store));
    }
    store.lock().execute_batch("UPDATE envelopes SET state = 1").unwrap();
    assert!(!is_sound(&store));
    drop(store);
    let (origin, user) = (Origin::parse("https://a.example").unwrap(), UserName::parse("bob").unwrap());
    recovered.recover(&file, &origin, &user, &is_readable).unwrap();
    let sent = recovered.read(|tx| tx.envelopes_of("m")).unwrap();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].state, EnvelopeState::Failed);
    assert_eq!(sent[0].reason.as_deref(), Some("the store was damaged, and the content is lost"));
}

/// Keeps what is left of a chain of three nodes that this statement damages; `?1` is that of the same nodes in
/// another order. Returns the recovered store, and whether the own chain is there.
fn recovered_chain(user: &str, damage: &str) -> (DeviceStore, bool) {
    let (folder, recovered) = (tempfile::tempdir().unwrap(), DeviceStore::in_memory().unwrap());
    let file = folder.path().join("eko.db");
    let store = DeviceStore::open(&file).unwrap();
    let nodes = chain_of_bob();
    let swapped = [&nodes[0], &nodes[2], &nodes[1]].map(ChainNode::to_value);
    let pinned = PinnedChain {
        accepted: nodes[0].hash(),
        verified: Some(nodes[1].hash()),
        alarm: Some(ChainAlarm { why: "why".to_owned(), raised_ms: 5 }),
        nodes,
        uncompared: true,
        compared_with: Some("own".to_owned()),
        contact: false,
        looked_ms: 4,
        told: 3,
        proven: BTreeMap::new(),
        confirmed_ms: 3,
    };
    store.write(|tx| tx.pin(BOB, &pinned)).unwrap();
    assert!(is_sound(&store));
    let swapped = serde_json::to_vec(&swapped).unwrap();
    store
        .lock()
        .execute(damage, rusqlite::params_from_iter([swapped].iter().take(damage.matches("?1").count())))
        .unwrap();
    assert!(!is_sound(&store), "{damage}");
    drop(store);
    let (origin, user) = (Origin::parse("https://a.example").unwrap(), UserName::parse(user).unwrap());
    let has_own = recovered.recover(&file, &origin, &user, &is_readable).unwrap().own_chain;
    assert!(is_sound(&recovered), "{damage}");
    (recovered, has_own)
}

#[test]
fn what_replays_of_a_chain_is_kept_with_what_was_decided() {
    for (damage, left) in [
        ("UPDATE chains SET nodes = ?1", 1),
        ("UPDATE chains SET nodes = substr(nodes, 1, length(nodes) - 9)", 2),
        ("UPDATE chains SET nodes = CAST(replace(CAST(nodes AS TEXT), 'RevokeDevice', 'None') AS BLOB)", 2),
        ("UPDATE chains SET head = 'another'", 3),
        ("UPDATE chains SET proven = ''", 3),
    ] {
        let (recovered, _) = recovered_chain("alice", damage);
        let pinned = recovered.read(|tx| tx.pinned(BOB)).unwrap().unwrap();
        assert_eq!((pinned.nodes.len(), pinned.told), (left, left as u64), "{damage}");
        assert_eq!(pinned.accepted, pinned.nodes[0].hash(), "{damage}");
        assert!(pinned.verified.is_some() && pinned.alarm.is_some() && pinned.uncompared, "{damage}");
        assert_eq!(pinned.looked_ms, 0, "it is read again: {damage}");
        let told = recovered.read(|tx| tx.kept_notices()).unwrap();
        let told: Vec<_> = told.iter().map(|stored| &stored.notice).collect();
        let is_cut = left < 3 || damage.contains("head");
        assert_eq!(told, vec![&KeptNotice::PinLost { was_verified: true }; usize::from(is_cut)], "{damage}");
    }
}

#[test]
fn a_chain_of_which_nothing_is_left_is_told_of() {
    let damage = "UPDATE chains SET nodes = x'00'";
    let (recovered, _) = recovered_chain("alice", damage);
    let told = recovered.read(|tx| tx.kept_notices()).unwrap();
    let told: Vec<_> = told.iter().map(|stored| (&*stored.actor, &stored.notice)).collect();
    assert_eq!(told, [(BOB, &KeptNotice::PinLost { was_verified: true })]);
    assert!(!recovered.read(|tx| tx.is_pinned(BOB)).unwrap());
    // That of the own devices has no notice: whoever recovers the store is told.
    let (recovered, has_own) = recovered_chain("bob", damage);
    assert!(!has_own && recovered.read(|tx| tx.kept_notices()).unwrap().is_empty());
    assert!(recovered_chain("bob", "UPDATE chains SET head = 'another'").1);
}
