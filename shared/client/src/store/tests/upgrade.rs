//! Tests of the upgrade of a store that an earlier version has written.

use eko_protocol::address::{Origin, UserName};
use eko_protocol::chain::ChainNode;
use rusqlite::{Connection, params};

use super::*;
use crate::device::tests::chain_of_bob;

const VERSION_10: &str = include_str!("version_10.sql");
const BOB: &str = "https://b.example/user/bob";

/// Returns the columns of all tables in their order, and the indexes.
fn layout(store: &DeviceStore) -> Vec<String> {
    let sql = "SELECT tables.name || ' ' || columns.cid || ' ' || columns.name || ' ' || columns.type || ' ' \
               || columns.\"notnull\" || ' ' || coalesce(columns.dflt_value, '') || ' ' || columns.pk \
               FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns WHERE tables.type = 'table' \
               UNION SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY 1";
    let connection = store.lock();
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_store_of_version_10_is_upgraded_in_place_and_keeps_what_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("eko.db");
    Connection::open(&file).unwrap().execute_batch(VERSION_10).unwrap();
    for _ in 0..2 {
        let store = DeviceStore::open(&file).unwrap();
        assert_eq!(layout(&store), layout(&DeviceStore::in_memory().unwrap()));
        let history = store.read(|tx| tx.history(None, 10)).unwrap();
        assert_eq!(history.iter().map(|message| &*message.content.text).collect::<Vec<_>>(), ["hello"]);
        let held = store.read(|tx| tx.held(None)).unwrap();
        assert_eq!((held.len(), held[0].place), (1, None));
        // That version kept no plaintext of what it held back.
        let refused = store.read(|tx| tx.refused_to("https://a.example/user/alice")).unwrap();
        assert_eq!(refused.iter().map(|it| &it.message).collect::<Vec<_>>(), [&history[0].content.id]);
        // The other devices are told whom that version knew as a contact.
        assert_eq!(store.read(|tx| tx.contacts()).unwrap(), [BOB]);
        // A process of that version may be sending it. Its time ends its claim.
        store.release_ended_claims().unwrap();
        assert_eq!(store.read(|tx| tx.next_due_ms(6)).unwrap(), Some(120_005));
    }
    let version = |version: i64| {
        Connection::open(&file).unwrap().pragma_update(None, "user_version", version).unwrap();
        DeviceStore::open(&file).map(drop).unwrap_err()
    };
    assert!(matches!(version(9), DeviceStoreError::Older(9)));
    assert!(matches!(version(VERSION + 1), DeviceStoreError::Newer(_)));
}

/// Returns the columns of all tables, with their tables.
fn columns(connection: &Connection) -> Vec<(String, String)> {
    let sql = "SELECT tables.name, columns.name FROM sqlite_schema AS tables, pragma_table_info(tables.name) AS columns \
               WHERE tables.type = 'table' ORDER BY 1, columns.cid";
    let mut statement = connection.prepare(sql).unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Nothing can be written: the disk is full, or the file cannot be written.
#[test]
fn a_store_of_version_10_is_read_where_it_cannot_be_upgraded() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("eko.db");
    let former = Connection::open(&file).unwrap();
    former.execute_batch(VERSION_10).unwrap();
    let today = columns(&DeviceStore::in_memory().unwrap().lock());
    for mode in ["mode=ro", "immutable=1"] {
        let store = DeviceStore::open_read_only(&file, mode).unwrap();
        assert_eq!(store.read(|tx| tx.history(None, 1)).unwrap()[0].content.text, "hello");
        assert_eq!(store.read(|tx| tx.contacts()).unwrap(), [BOB]);
        let held = store.read(|tx| tx.held(None)).unwrap();
        assert_eq!((held.len(), held[0].place), (1, None));
        for (table, column) in &today {
            store.lock().prepare(&format!("SELECT [{column}] FROM [{table}]")).unwrap();
        }
        assert!(store.write(|tx| tx.release(1)).is_err());
    }
    let former = columns(&former);
    let mut added = today;
    added.retain(|column| former.iter().any(|(table, _)| *table == column.0) && !former.contains(column));
    let known = crate::store::upgrade::ADDED.map(|(table, column)| (table.to_owned(), column.to_owned()));
    assert_eq!(added, known);
    assert_eq!(columns(&Connection::open(&file).unwrap()), former, "it stays what it was");
}

/// The rows of before an upgrade lack the columns that it has added.
#[test]
fn what_an_earlier_version_has_written_is_recovered() {
    for (is_upgraded, is_torn) in [(false, false), (false, true), (true, false), (true, true)] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("eko.db");
        let former = Connection::open(&file).unwrap();
        former.execute_batch(VERSION_10).unwrap();
        let nodes = chain_of_bob();
        let set = nodes[2].device_set();
        let nodes: Vec<_> = nodes.iter().map(ChainNode::to_value).collect();
        let chain =
            "UPDATE chains SET actor = 'https://a.example/user/bob', nodes = ?1, length = ?2, head = ?3";
        former.execute(chain, params![serde_json::to_vec(&nodes).unwrap(), set.length, set.head]).unwrap();
        drop(former);
        if is_upgraded {
            DeviceStore::open(&file).unwrap();
        }
        if is_torn {
            // Its rows are on their page, and nothing leads to it.
            let tear = "PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE tbl_name = 'held'";
            Connection::open(&file).unwrap().execute_batch(tear).unwrap();
        }
        let store = DeviceStore::in_memory().unwrap();
        let (origin, user) = (Origin::parse("https://a.example").unwrap(), UserName::parse("alice").unwrap());
        let recovered = store.recover(&file, &origin, &user, &|_| true).unwrap();
        assert_eq!((recovered.messages > 0, recovered.is_partial), (true, is_torn));
        let held = store.read(|tx| tx.held(None)).unwrap();
        assert_eq!((held.len(), held[0].place), (1, None));
        let refused = store.read(|tx| tx.refused_to("https://a.example/user/alice")).unwrap();
        assert_eq!(refused.len(), 1, "it can still be sent");
        let untold = store.write(|tx| tx.take_untold_decisions(9)).unwrap();
        let untold: Vec<_> = untold.iter().map(|it| (&*it.actor, it.is_accepted)).collect();
        assert_eq!(untold, [("https://a.example/user/bob", true)]);
    }
}

/// The upgrade fails in the middle: the file is full.
#[test]
fn an_upgrade_is_whole_or_is_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("eko.db");
    let connection = Connection::open(&file).unwrap();
    connection.execute_batch(VERSION_10).unwrap();
    // The last step meets a column that it would add.
    connection.execute_batch("ALTER TABLE held ADD COLUMN place INTEGER").unwrap();
    assert!(DeviceStore::open(&file).is_err());
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    let made = connection.prepare("SELECT 1 FROM void_numbers").is_ok();
    assert_eq!((version, made), (10, false));
}

/// A process goes on with a store that the next version of this library upgrades meanwhile.
#[test]
fn a_process_stops_once_another_one_has_upgraded_its_store_to_a_newer_version() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("eko.db");
    let store = DeviceStore::open(&file).unwrap();
    let put = || store.write(|tx| tx.put_moment("moment", 1));
    put().unwrap();
    let other = Connection::open(&file).unwrap();
    let upgrade =
        "BEGIN IMMEDIATE; ALTER TABLE messages RENAME COLUMN text TO words; PRAGMA user_version = 99; COMMIT";
    other.execute_batch(upgrade).unwrap();
    let changed = || other.query_row("PRAGMA data_version", [], |row| row.get::<_, i64>(0)).unwrap();
    let before = changed();
    assert!(matches!(put(), Err(DeviceStoreError::Newer(99))));
    assert!(matches!(store.read(|tx| tx.history(None, 1)), Err(DeviceStoreError::Newer(99))));
    assert_eq!(changed(), before, "it has written nothing");
}
