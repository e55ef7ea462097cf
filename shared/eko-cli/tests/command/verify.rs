//! Tests of `verify`: safety numbers, a reset of all devices, an alarm, and the age and growth of a
//! device list.

use eko_cli::LibSignal;
use eko_client::{DeviceStore, Environment, HttpTransport, Messenger};
use eko_protocol::chain::ChainNode;
use serde_json::Value;

use super::people::{ReportedFailure, signed_in, text};
use super::terminal::TestTerminal;
use super::test_home::{CommandOutput, TestHome, server};

/// A safety number in both of its forms.
struct ShownNumber {
    digits: String,
    scannable: String,
}

async fn number(home: &TestHome, who: &str) -> ShownNumber {
    let seen = home.object(&["verify", who]).await;
    let [digits, scannable] = ["number", "scannable"].map(|member| text(&seen, member).to_owned());
    ShownNumber { digits, scannable }
}

async fn trust(home: &TestHome, who: &str) -> String {
    let CommandOutput { out, .. } = home.eko(&["verify", who, "--json"]).await;
    text(&serde_json::from_str(&out).unwrap(), "trust").to_owned()
}

#[tokio::test]
async fn numbers_are_the_same_on_both_sides_and_confirmed() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let ShownNumber { digits: mine, .. } = number(&alice, "@bob").await;
    let ShownNumber { digits: theirs, scannable } = number(&bob, "@alice").await;
    assert_eq!(mine, theirs);
    assert_eq!(mine.split(' ').map(str::len).collect::<Vec<_>>(), [5; 12]);
    let shown = alice.eko(&["verify", "@bob"]).await.done();
    let first: Vec<&str> = mine.split(' ').take(4).collect();
    assert!(
        shown.starts_with(&format!("Your safety number with @bob\n    {}\n", first.join(" "))),
        "{shown}"
    );
    assert!(!shown.contains('\u{1b}'), "no picture where nobody looks");
    assert_eq!(trust(&alice, "@bob").await, "first-use");

    let ReportedFailure { code, what, next } = alice.fails(&["verify", "@bob", "--confirm"]).await;
    assert_eq!((code, &*next), (2, "eko verify @bob --confirm --number DIGITS"));
    assert!(what.ends_with(": Does @bob see the same digits?"), "{what}");
    let wrong = mine.replace(char::is_numeric, "0");
    assert_eq!(alice.fails(&["verify", "@bob", "--confirm", "--number", &wrong]).await.code, 3);
    assert_eq!(alice.eko_asking(&["verify", "@bob", "--confirm"], "no\n").await.code, 1);
    assert_eq!(trust(&alice, "@bob").await, "first-use");
    let bare = theirs.replace(' ', "");
    let said = alice.object(&["verify", "@bob", "--confirm", "--number", &bare]).await;
    assert_eq!(text(&said, "trust"), "verified");
    alice.eko(&["verify", "@bob", "--forget", "--yes"]).await.done();
    assert_eq!(trust(&alice, "@bob").await, "first-use");

    // The content of the own code is refused, the content of the other side's code is accepted.
    let own = number(&alice, "@bob").await.scannable;
    let read = ["verify", "@bob", "--scanned", "-"];
    assert_eq!(alice.eko_reading(&read, &own).await.failed().code, 3);
    assert_eq!(alice.eko_reading(&read, "no code").await.failed().code, 2);
    assert_eq!(trust(&alice, "@bob").await, "first-use");
    assert_eq!(alice.eko_reading(&read, &scannable).await.code, 0);
    assert_eq!(trust(&alice, "@bob").await, "verified");
    let said = bob.eko_asking(&["verify", "@alice", "--confirm"], "yes\n").await.done();
    assert_eq!(said, "@alice is verified: the numbers are the same.\n");
}

#[tokio::test]
async fn after_a_reset_nothing_is_sent_until_it_is_accepted() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["send", "@bob", "before"]).await.done();
    let anew = TestHome::new();
    anew.eko(&["login", "bob", "--server", &server, "--reset", "--yes"]).await.done();
    let CommandOutput { code, out, err } = alice.eko(&["verify", "@bob"]).await;
    assert_eq!(code, 3, "{err}");
    assert!(out.contains("\nBEWARE: all devices of @bob were replaced at once"), "{out}");
    assert!(err.contains("\nNext: eko verify @bob --confirm"), "{err}");
    let ReportedFailure { code, what, next } = alice.fails(&["send", "@bob", "secret"]).await;
    assert_eq!((code, &*next), (3, "eko verify @bob"), "{what}");
    assert!(what.ends_with(" (it is held back, and sent by itself once that is settled)"), "{what}");
    let history = alice.eko(&["history"]).await.done();
    assert!(history.contains("secret\n    held back: all their devices were replaced"), "{history}");
    assert_eq!(alice.fails(&["groups", "create", "Friday", "@bob"]).await.code, 3);
    assert_eq!(alice.objects(&["groups"]).await.len(), 0, "no group with somebody who is not told of it");
    assert_eq!(alice.fails(&["verify", "@bob", "--accept", "--forget"]).await.code, 2);

    assert_eq!(text(&alice.object(&["verify", "@bob", "--accept"]).await, "trust"), "accepted");
    assert_eq!(alice.eko(&["listen", "--once", "-q"]).await.err, "", "it is settled");
    let shown = alice.eko(&["verify", "@bob"]).await.done();
    assert!(shown.contains("accepted after a reset, without comparing numbers"), "{shown}");
    alice.eko(&["send", "@bob", "welcome back"]).await.done();
    assert_eq!(anew.hears().await, ["secret", "welcome back"]);
    assert_eq!(bob.fails(&["listen", "--once"]).await.code, 1);
}

/// The person reads the alarm in a chat that begins, and loses no line.
#[tokio::test]
async fn a_chat_during_an_alarm_holds_back_what_is_typed() {
    let server = server().await;
    let (alice, _bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["send", "@bob", "before"]).await.done();
    let anew = TestHome::new();
    anew.eko(&["login", "bob", "--server", &server, "--reset", "--yes"]).await.done();
    assert_eq!(alice.eko(&["verify", "@bob"]).await.code, 3);
    let ReportedFailure { code, what, next } = alice.fails(&["chat", "@bob"]).await;
    assert_eq!((code, &*what, &*next), (3, "what you write to @bob would be held back", "eko verify @bob"));
    // Lines are broken at the end of the terminal.
    let shows = |text: &'static str| {
        move |rows: &[String]| rows.join(" ").split_whitespace().collect::<Vec<_>>().join(" ").contains(text)
    };
    let mut chat = TestTerminal::start(&alice, &["chat", "@bob"]);
    chat.shows(shows("BEWARE: @bob: all their devices were replaced at once")).await;
    chat.press("secret\r");
    chat.shows(shows("(it is held back, and sent by itself once that is settled)")).await;
    chat.press("\x04");
    chat.shows(shows("eko: a message is held back from @bob; eko sends it by itself once that is settled"))
        .await;
    chat.shows_last("").await;
    assert_eq!(chat.end().await, (Some(3), true));
    // A pipe has the same words.
    let failed = alice.eko_reading(&["chat", "@bob"], "one\ntwo\n").await;
    assert!(failed.err.contains("BEWARE: @bob: all their devices"), "{failed:?}");
    let due = "eko: 2 messages are held back from @bob; eko sends them by itself once that is settled\nNext: eko \
               verify @bob\n";
    assert!(failed.err.ends_with(due) && failed.code == 3, "{failed:?}");
    alice.eko(&["verify", "@bob", "--accept"]).await.done();
    assert_eq!(anew.hears().await, ["secret", "one", "two"]);
}

/// The members whose devices are trusted get what is typed in a group.
#[tokio::test]
async fn a_group_chat_says_from_whom_its_lines_are_held_back() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    let carol = signed_in(&server, "carol").await;
    alice.object(&["groups", "create", "Friday", "@bob", "@carol"]).await;
    for home in [&bob, &carol] {
        home.hears().await;
        home.eko(&["groups", "join", "Friday"]).await.done();
    }
    let anew = TestHome::new();
    anew.eko(&["login", "bob", "--server", &server, "--reset", "--yes"]).await.done();
    alice.eko(&["verify", "@bob"]).await;
    let failed = alice.eko_reading(&["chat", "--group", "Friday"], "one\ntwo\n").await;
    let due = "eko: 2 messages are held back from @bob; eko sends them by itself once that is settled\nNext: eko \
               verify @bob\n";
    assert!(failed.err.ends_with(due) && failed.code == 5, "{failed:?}");
    assert_eq!(carol.hears().await, ["one", "two"]);
}

#[tokio::test]
async fn nobody_is_compared_with_oneself() {
    let server = server().await;
    let alice = signed_in(&server, "alice").await;
    assert!(alice.eko(&["verify", "@alice"]).await.done().starts_with("@alice is you\n"));
    let ReportedFailure { code, what, next } =
        alice.fails(&["verify", "@alice", "--confirm", "--number", "1"]).await;
    assert_eq!((code, &*what, &*next), (2, "@alice is you", "eko devices"));
    assert_eq!(alice.fails(&["verify", "@nobody"]).await.code, 2);
}

#[tokio::test]
async fn an_alarm_is_loud_until_it_is_settled() {
    let server = server().await;
    let (alice, _bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["verify", "@bob"]).await.done();
    // The alarm is written into the store, because a real one needs a server that lies.
    let store = rusqlite::Connection::open(alice.account().join("eko.db")).unwrap();
    let sql = "UPDATE chains SET alarm = 'their server lies \u{1b}[2J', alarm_at = 0 WHERE actor = ?1";
    assert_eq!(store.execute(sql, [format!("{server}/user/bob")]).unwrap(), 1);
    drop(store);
    let CommandOutput { code, out, err } = alice.eko(&["verify", "@bob"]).await;
    assert_eq!(code, 3);
    assert!(out.contains("\nBEWARE: 1970-01-0") || out.contains("\nBEWARE: 1969-12-31"), "{out}");
    assert!(out.contains("their server lies \u{fffd}[2J"), "{out}");
    assert!(err.contains("eko: @bob: their server lies \u{fffd}[2J\n"), "{err}");
    let kept = std::fs::read(alice.account().join("eko.db")).unwrap();
    // Whoever accepts the devices settles it, and so does whoever compares numbers.
    alice.eko(&["verify", "@bob", "--accept"]).await.done();
    assert_eq!(alice.object(&["verify", "@bob"]).await["alarm"], Value::Null);
    std::fs::write(alice.account().join("eko.db"), kept).unwrap();
    let seen: Value = serde_json::from_str(&alice.eko(&["verify", "@bob", "--json"]).await.out).unwrap();
    assert_ne!(seen["alarm"], Value::Null);
    let mine = text(&seen, "number");
    alice.eko(&["verify", "@bob", "--confirm", "--number", mine]).await.done();
    assert_eq!(alice.object(&["verify", "@bob"]).await["alarm"], Value::Null);
}

/// Bob's server hides a node that Alice's store has. She compares numbers, which proves his devices and
/// not his server.
#[tokio::test]
async fn comparing_numbers_hides_no_contradiction() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["verify", "@bob"]).await.done();
    // The node is written into the store, because a real server has to lie to hide one.
    let store = DeviceStore::open(&bob.account().join("eko.db")).unwrap();
    let transport = HttpTransport::new().unwrap();
    let device = Messenger::open(transport, LibSignal, store, Environment::system()).unwrap().unwrap();
    let (mut nodes, state) = device.device().chain(&device.me().user).await.unwrap();
    let hidden = device.device().revocation(&state.position, device.device().id()).unwrap();
    nodes.push(ChainNode::parse(&hidden).unwrap());
    let head = nodes[1].hash();
    let nodes: Vec<Value> = nodes.iter().map(ChainNode::to_value).collect();
    let store = rusqlite::Connection::open(alice.account().join("eko.db")).unwrap();
    let sql = "UPDATE chains SET nodes = ?2, length = 2, head = ?3 WHERE actor = ?1";
    let nodes = serde_json::to_vec(&nodes).unwrap();
    assert_eq!(store.execute(sql, (format!("{server}/user/bob"), nodes, head)).unwrap(), 1);
    drop(store);

    let why = "their server hides what was in their device list before: it showed 2 nodes, now 1";
    let ReportedFailure { code, what, next } = alice.fails(&["send", "@bob", "secret"]).await;
    assert_eq!((code, &*next), (3, "eko verify @bob"), "{what}");
    assert!(what.contains(why) && what.contains(" (it is held back, and sent by itself "), "{what}");
    let refused = alice.fails(&["verify", "@bob", "--accept"]).await;
    assert_eq!((refused.code, refused.what.contains(why)), (3, true), "what is refused is not called done");
    let CommandOutput { code, err, .. } = alice.eko_asking(&["verify", "@bob", "--confirm"], "no\n").await;
    assert_eq!(code, 1, "{err}");
    let (alarm, question) = (err.find(why).unwrap(), err.find("see the same digits?").unwrap());
    assert!(err[..alarm].contains("BEWARE: ") && alarm < question, "{err}");
    let CommandOutput { code, err, .. } = alice.eko(&["verify", "@bob", "--confirm", "--yes", "-q"]).await;
    assert_eq!(code, 3, "{err}");
    assert!(
        err.contains("BEWARE: ") && err.contains("the contradiction remains: their server hides"),
        "{err}"
    );
    assert_eq!(trust(&alice, "@bob").await, "verified");
}

/// The beginning of the device's id stands for the device.
#[tokio::test]
async fn an_added_device_is_told_in_quiet_mode_too() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["send", "@bob", "before"]).await.done();
    let two = TestHome::new();
    let waiting = two.object(&["login", "bob", "--server", &server, "--no-wait"]).await;
    let code = text(&waiting, "joiningCode").replace(' ', "");
    bob.eko_reading(&["devices", "approve", "-q"], &code).await.done();
    alice.eko(&["send", "@bob", "after"]).await.done();
    let id = text(&waiting, "device").split('-').next().unwrap();
    let heard = alice.eko(&["listen", "--once", "-q"]).await;
    let due = format!("  the devices of @bob: added {id}. Is that right? eko verify @bob\n");
    assert_eq!(heard.err, due, "{heard:?}");
    let again = alice.eko(&["listen", "--once", "-q"]).await;
    assert_eq!(again.err, "", "{again:?}");
}

/// A verified person stays verified when a device comes, and the comparison was of other devices.
#[tokio::test]
async fn what_was_compared_and_what_has_changed_since_is_said() {
    let server = server().await;
    let (alice, bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["verify", "@bob", "--confirm", "--yes"]).await.done();
    let shown = alice.eko(&["verify", "@bob"]).await.done();
    assert!(shown.contains("you have compared numbers, and their devices are still the same"), "{shown}");
    assert_eq!(alice.fails(&["verify", "@bob", "--yes"]).await.code, 2, "there is nothing to say yes to");
    bob.eko(&["verify", "@alice", "--confirm", "--yes"]).await.done();
    let two = TestHome::new();
    let waiting = two.object(&["login", "bob", "--server", &server, "--no-wait"]).await;
    bob.eko_reading(&["devices", "approve", "-q"], text(&waiting, "joiningCode")).await.done();
    // Bob, whose own devices have changed, sees another number too.
    let seen = bob.eko(&["verify", "@alice"]).await.done();
    assert!(seen.contains("because your devices have changed"), "{seen}");
    let id = text(&waiting, "device");
    let short = id.split('-').next().unwrap();
    let seen = alice.eko(&["verify", "@bob"]).await;
    assert!(seen.err.contains("eko verify @bob --confirm"), "what is to be done is said: {seen:?}");
    let shown = seen.done();
    assert!(shown.contains("and not with those of today"), "{shown}");
    assert!(shown.contains(&format!("has since signed that they have added {short}\n")), "{shown}");
    bob.eko(&["devices", "revoke", id, "--yes"]).await.done();
    let seen = alice.object(&["verify", "@bob"]).await;
    let gone = serde_json::json!([format!("{server}/user/bob/device/{id}")]);
    assert_eq!((&seen["sinceCompared"]["added"], &seen["sinceCompared"]["removed"]), (&gone, &gone));
    alice.eko(&["verify", "@bob", "--confirm", "--yes"]).await.done();
    let shown = alice.eko(&["verify", "@bob"]).await.done();
    assert!(shown.contains("their devices are still the same"), "{shown}");
}

#[tokio::test]
async fn a_reset_is_told_as_the_replacement_of_all_devices() {
    let server = server().await;
    let (alice, _bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["send", "@bob", "before"]).await.done();
    let anew = TestHome::new();
    let me = anew.object(&["login", "bob", "--server", &server, "--reset", "--yes"]).await;
    alice.eko(&["verify", "@bob"]).await;
    let heard = alice.eko(&["listen", "--once", "-q"]).await;
    let id = text(&me, "device").split('-').next().unwrap();
    let due = format!("BEWARE: all devices of @bob were replaced at once by {id}: ");
    assert!(heard.err.contains(&due), "{}", heard.err);
    let said = alice.eko(&["verify", "@bob", "--accept"]).await.done();
    assert_eq!(
        said,
        "The devices that have replaced all former ones of @bob are taken as theirs. The numbers were not \
         compared.\n"
    );
}

#[tokio::test]
async fn a_device_list_that_nobody_confirms_is_shown_and_then_refused() {
    let server = server().await;
    let (alice, _bob) = (signed_in(&server, "alice").await, signed_in(&server, "bob").await);
    alice.eko(&["send", "@bob", "before"]).await.done();
    // The time of the last confirmation is moved, because the clock of the command cannot be.
    let ago = |days: i64| {
        let store = rusqlite::Connection::open(alice.account().join("eko.db")).unwrap();
        let sql = "UPDATE chains SET confirmed = confirmed - ?2 WHERE actor = ?1";
        let moved = store.execute(sql, (format!("{server}/user/bob"), days * 24 * 3_600_000)).unwrap();
        assert_eq!(moved, 1);
    };
    ago(31);
    let CommandOutput { code, err, .. } = alice.eko(&["send", "@bob", "still there?"]).await;
    assert_eq!(code, 0, "{err}");
    assert!(err.contains("BEWARE: no device of @bob has confirmed their device list for 31 days"), "{err}");
    ago(60);
    let ReportedFailure { code, what, .. } = alice.fails(&["send", "@bob", "secret"]).await;
    assert_eq!(code, 3, "{what}");
    assert!(what.contains("none of their devices has confirmed their device list for 91 days"), "{what}");
    alice.eko(&["verify", "@bob", "--accept"]).await.done();
    alice.eko(&["send", "@bob", "there you are"]).await.done();
}
