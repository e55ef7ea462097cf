//! Tests of stores in which SQLite finds no fault, and that cannot be read all the same.

use eko_protocol::address::{Origin, UserName};

use super::*;

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
                 INSERT INTO awaited VALUES ('a', 'd', 'e', 'r', 1, 1, 3)";
    for damage in [
        "UPDATE account SET value = CAST('{\"parties\":[]}' AS BLOB) WHERE name = 'blocks'",
        "UPDATE account SET value = 'no blob' WHERE name = 'last_position'",
        "INSERT INTO account VALUES ('profile/https://a.example/user/alice', CAST('1' AS BLOB))",
        "INSERT INTO account VALUES ('state group', CAST('[]' AS BLOB))",
        "INSERT INTO account VALUES ('state_keys', CAST('{}' AS BLOB))",
        "INSERT INTO account VALUES ('carried_unsent', CAST('{}' AS BLOB))",
        "INSERT INTO account VALUES ('first', CAST('1' AS BLOB))",
        "INSERT INTO account VALUES ('access_token', x'ff')",
        "UPDATE gaps SET last = 1",
        "UPDATE gaps SET last = 9223372036854775807",
        "UPDATE awaited SET position = 'last'",
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
