//! Tests of the sentences in which a person is told of what happened. They stand in `notices.txt` and
//! `states.txt`, one a line, in the order of the tests.

use eko_client::device::PendingDevice;
use eko_client::group::{GroupChange, GroupDifference, GroupError, GroupId, GroupState, Remedy};
use eko_client::messenger::{Distrust, Messenger, PreparedSignIn, SentActivity, SignInRequest};
use eko_client::sessions::SessionError;
use eko_client::{DeviceStore, Environment, HttpTransport, KeyCounts};
use eko_protocol::Invalid;
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::EnvelopeId;
use eko_protocol::key::JoiningMac;
use tempfile::TempDir;

use super::*;
use crate::delivery::states;
use crate::libsignal::LibSignal;
use crate::people::short;

const ALICE: &str = "https://a.example/user/alice";
const BOB: &str = "https://a.example/user/bob";
const CAROL: &str = "https://b.example/user/carol";
const DEVICE: &str = "https://a.example/user/bob/device/596236ac-2e83-4d13-8eb7-61356986fae5";
const GHOST: &str = "https://a.example/user/bob/device/0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11";
const MESSAGE: &str = "urn:uuid:65d724f1-5c18-4085-bbc5-2ac1288cb773";

/// Alice's device, which no server knows, and the folder of its store. One message of hers is in it.
fn alice() -> (TempDir, HttpMessenger) {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("eko.db");
    let (transport, environment) = (HttpTransport::new().unwrap(), Environment::system());
    let request = SignInRequest {
        origin: Origin::parse("https://a.example").unwrap(),
        issuer: "https://issuer.example".to_owned(),
        audience: "eko".to_owned(),
        user: UserName::parse("alice").unwrap(),
        device_name: None,
        counts: KeyCounts { pre_keys: 1, kyber_pre_keys: 1, last_resort: true },
        reset: false,
    };
    let store = DeviceStore::open(&file).unwrap();
    PreparedSignIn::new(transport.clone(), store, environment.clone(), request).unwrap();
    let sql = "INSERT INTO messages (id, actor, device, conversation, outgoing, published, received, stored, text, \
               attachments, position) VALUES (?1, ?2, ?2, ?3, 1, 1, 1, 1, 'When shall we meet?', '[]', 1)";
    rusqlite::Connection::open(&file).unwrap().execute(sql, [MESSAGE, ALICE, BOB]).unwrap();
    let store = DeviceStore::open(&file).unwrap();
    (folder, Messenger::open(transport, LibSignal, store, environment).unwrap().unwrap())
}

fn envelope(recipient: &str, state: EnvelopeState, reason: Option<&str>) -> OutboxEnvelope {
    OutboxEnvelope {
        id: EnvelopeId::parse("urn:uuid:9be60977-b923-4fcc-a8fc-8d3194007f03").unwrap(),
        message: MESSAGE.to_owned(),
        recipient: recipient.to_owned(),
        state,
        reason: reason.map(str::to_owned),
        full_devices: [].into(),
        tries: 0,
        due_ms: 0,
        is_claimed: false,
        silent: false,
        seen: false,
        expires_ms: None,
        resent_to: None,
        devices: 1,
        received_by: 0,
    }
}

fn of_groups(id: &GroupId) -> Vec<Notice> {
    let none = GroupDifference::default;
    let set = |actors: &[&str]| actors.iter().map(|actor| (*actor).to_owned()).collect();
    let bobs = |event, difference| Notice::Group { id: id.clone(), by: BOB.to_owned(), event, difference };
    let own = |event, difference| Notice::Group { id: id.clone(), by: ALICE.to_owned(), event, difference };
    let (changed, renamed) = (GroupEvent::Changed, || GroupDifference {
        name: Some("Sunday".to_owned()),
        former_name: Some("Friday".to_owned()),
        ..none()
    });
    let removed = || GroupDifference { removed: set(&[CAROL]), ..none() };
    let undone = |change, remedy, holds| GroupEvent::Undone { change, remedy, holds };
    let replaced =
        |of: &str, lost| GroupEvent::Replaced { change: GroupChange::Renamed, of: of.to_owned(), lost };
    vec![
        bobs(changed(GroupChange::Added), GroupDifference { added: set(&[CAROL]), ..none() }),
        bobs(changed(GroupChange::Promoted), GroupDifference { promoted: set(&[ALICE, CAROL]), ..none() }),
        bobs(GroupEvent::Conflict, GroupDifference { demoted: set(&[ALICE]), ..none() }),
        bobs(
            changed(GroupChange::Removed),
            GroupDifference { removed: set(&[ALICE]), rekeyed: true, ..none() },
        ),
        bobs(changed(GroupChange::Rekeyed), none()),
        own(changed(GroupChange::Renamed), renamed()),
        bobs(replaced(DEVICE, GroupDifference::default()), renamed()),
        own(replaced(&format!("{ALICE}/device/x"), removed()), renamed()),
        bobs(undone(GroupChange::Renamed, Remedy::ByUser, Some(renamed())), renamed()),
        bobs(
            undone(GroupChange::Added, Remedy::ByUser, None),
            GroupDifference { added: set(&[CAROL]), ..none() },
        ),
        bobs(undone(GroupChange::Removed, Remedy::Again, Some(none())), removed()),
        bobs(undone(GroupChange::Removed, Remedy::ByAdmin, None), removed()),
        bobs(
            undone(GroupChange::Left, Remedy::AnotherAdmin, None),
            GroupDifference { removed: set(&[ALICE]), ..none() },
        ),
        bobs(GroupEvent::Refused(GroupError::RevokedDevice), none()),
        bobs(GroupEvent::Invited, none()),
        bobs(GroupEvent::Joined, none()),
        own(GroupEvent::Joined, none()),
        bobs(GroupEvent::Conflict, none()),
        bobs(GroupEvent::TwoStories, none()),
        bobs(GroupEvent::Behind, none()),
        bobs(GroupEvent::NotTold, none()),
        bobs(GroupEvent::Held(HeldReason::Ahead), none()),
        bobs(GroupEvent::Held(HeldReason::NotJoined), none()),
        bobs(GroupEvent::Held(HeldReason::Reset), none()),
        bobs(GroupEvent::Held(HeldReason::UnknownAuthor), none()),
        bobs(GroupEvent::Held(HeldReason::NotMember), none()),
    ]
}

fn of_people(client: &HttpMessenger) -> Vec<Notice> {
    let (actor, id) = (|| BOB.to_owned(), || MESSAGE.to_owned());
    let unreadable = |why| Notice::Unreadable { actor: actor(), why };
    let waiting = |name: Option<&str>| {
        Notice::DeviceWaits(PendingDevice {
            device: client.device().described(),
            joining_mac: JoiningMac::from([0; 32]),
            name: name.map(str::to_owned),
            published: None,
        })
    };
    let settled = |state, reason| Notice::Settled(envelope(BOB, state, reason));
    let changed = |actor: &str, added: &[&str], removed: &[&str], reset| {
        let listed = |devices: &[&str]| devices.iter().map(|device| (*device).to_owned()).collect();
        let (actor, added, removed) = (actor.to_owned(), listed(added), listed(removed));
        Notice::DevicesChanged { actor, added, removed, reset, length: 2 }
    };
    let distrusted = |actor: &str, why| Notice::Distrusted { actor: actor.to_owned(), why };
    let full = [DEVICE.to_owned()].into();
    vec![
        settled(EnvelopeState::Delivered, None),
        settled(EnvelopeState::Accepted, None),
        Notice::Settled(OutboxEnvelope {
            full_devices: full,
            ..envelope(BOB, EnvelopeState::Accepted, None)
        }),
        settled(EnvelopeState::Failed, None),
        settled(EnvelopeState::Refused, Some("their devices were all replaced")),
        waiting(None),
        waiting(Some("tablet")),
        Notice::Read { actor: actor(), id: id(), before: 0 },
        Notice::Read { actor: actor(), id: id(), before: 2 },
        Notice::Typing { actor: actor(), conversation: actor() },
        Notice::Request { actor: actor() },
        Notice::Missed { actor: actor(), ids: vec![id()] },
        Notice::NotRead { actor: actor(), id: id() },
        Notice::Moved { actor: actor(), to: actor() },
        Notice::Moved { actor: ALICE.to_owned(), to: actor() },
        Notice::Awaited { actor: actor() },
        Notice::Forged { actor: actor(), count: 2 },
        unreadable(UnreadableReason::Malformed(Invalid::at("/type", "is missing"))),
        unreadable(UnreadableReason::Undecryptable(SessionError::MissingKey("one-time"))),
        unreadable(UnreadableReason::UndecryptableReceipt(SessionError::MissingKey("one-time"))),
        unreadable(UnreadableReason::RevokedDevice),
        unreadable(UnreadableReason::OtherAuthor),
        unreadable(UnreadableReason::OtherAddressee),
        unreadable(UnreadableReason::Failed("there is no such user".to_owned())),
        Notice::Refused { actor: actor(), why: Distrust::Forked(2) },
        Notice::Refused { actor: ALICE.to_owned(), why: Distrust::RolledBack { pinned: 2, shown: 1 } },
        Notice::Contradiction { seen_by: CAROL.to_owned(), of: actor() },
        Notice::Contradiction { seen_by: actor(), of: ALICE.to_owned() },
        distrusted(BOB, Distrust::Withheld { shown: 1, proven: 2 }),
        distrusted(ALICE, Distrust::Disputed(1)),
        distrusted(BOB, Distrust::Lost { verified: true }),
        changed(BOB, &[DEVICE], &[], false),
        changed(BOB, &[DEVICE], &[GHOST], false),
        changed(BOB, &[DEVICE], &[GHOST], true),
        changed(ALICE, &[], &[DEVICE], false),
        Notice::KeyCopied { added: vec![GHOST.to_owned()], removed: Vec::new(), length: 3 },
        Notice::KeysReplaced,
        Notice::KnownUntold,
        Notice::RecordsFull { unreadable: 0 },
        Notice::RecordsFull { unreadable: 3 },
        Notice::Waits { actor: actor(), why: "no server answers at https://a.example".to_owned() },
    ]
}

/// Compares lines, and shows all of them if one is another.
fn compare(told: &[String], expected: &str) {
    let expected: Vec<&str> = expected.lines().collect();
    assert_eq!(told, expected, "\n{}", told.join("\n"));
}

#[test]
fn notices_are_told_in_these_words() {
    let (_folder, client) = alice();
    let state = GroupState::create("Friday", [BOB.to_owned()], ALICE, &Environment::system()).unwrap();
    let (id, device) = (state.id(), client.device().id().to_string());
    let plain = |text: String| {
        // It is named by the first letters of its id, since this device does not have it.
        let text = text.replace(short(id), "LETTERS");
        text.replace(&device, "DEVICE").replace('\n', " | ")
    };
    let notices = [of_people(&client), of_groups(id)].concat();
    let told: Vec<String> = notices.iter().map(|it| plain(notice(&client, it).unwrap())).collect();
    compare(&told, include_str!("notices.txt"));
}

#[test]
fn a_script_is_told_of_no_remedy_where_an_account_was_deleted() {
    let (folder, client) = alice();
    let failed = Notice::Settled(envelope(BOB, EnvelopeState::Failed, None));
    let remedy = || notice_object(&client, &failed)["remedy"].clone();
    assert_eq!(remedy(), "eko resend 65d724f1-5c18-4085-bbc5-2ac1288cb773");
    let sql = "INSERT INTO account (name, value) VALUES ('deleted ' || ?1, x'31')";
    rusqlite::Connection::open(folder.path().join("eko.db")).unwrap().execute(sql, [BOB]).unwrap();
    assert!(remedy().is_null());
}

#[test]
fn news_that_a_person_needs_not_is_not_told() {
    let (_folder, client) = alice();
    for state in [EnvelopeState::Queued, EnvelopeState::ToSend] {
        assert_eq!(notice(&client, &Notice::Settled(envelope(BOB, state, None))), None);
    }
    let copy = envelope(ALICE, EnvelopeState::Accepted, None);
    assert_eq!(notice(&client, &Notice::Settled(copy)), None);
    let unknown = Notice::Read { actor: BOB.to_owned(), id: "urn:uuid:of-another".to_owned(), before: 0 };
    assert_eq!(notice(&client, &unknown), None);
}

#[test]
fn states_are_told_in_these_words() {
    let (_folder, client) = alice();
    let reason = Some("their devices were all replaced");
    let mut envelopes = vec![
        envelope(BOB, EnvelopeState::ToSend, reason),
        envelope(BOB, EnvelopeState::Queued, None),
        envelope(BOB, EnvelopeState::Accepted, None),
        envelope(BOB, EnvelopeState::Delivered, None),
        envelope(BOB, EnvelopeState::Failed, None),
        envelope(BOB, EnvelopeState::Refused, reason),
    ];
    envelopes.push(envelope(BOB, EnvelopeState::Accepted, Some("they have not received it")));
    let of_three =
        OutboxEnvelope { devices: 3, received_by: 1, ..envelope(BOB, EnvelopeState::Delivered, None) };
    envelopes.push(of_three);
    let read = |state| OutboxEnvelope { seen: true, ..envelope(CAROL, state, None) };
    envelopes.extend([EnvelopeState::Accepted, EnvelopeState::Delivered].map(read));
    let sent = |envelopes: &[OutboxEnvelope]| {
        let sent = SentActivity { id: MESSAGE.to_owned(), envelopes: envelopes.to_vec() };
        let said = states(&client, &sent)?.replace(&clock_with_seconds(0), "TIME");
        Some(said.replace("65d724f1", "ID").replace("\n    ", " | "))
    };
    let mut told: Vec<String> = envelopes.iter().map(|it| sent(std::slice::from_ref(it)).unwrap()).collect();
    told.extend(sent(&envelopes));
    compare(&told, include_str!("states.txt"));
    let own = envelope(ALICE, EnvelopeState::Accepted, None);
    assert_eq!(sent(&[own]), None);
}
