//! Section 12: each limit is played with as many as the page allows, and with one more.

mod budgets;
mod devices;
mod flags;
mod frames;
mod keys;
mod mailboxes;
mod signed;
mod sizes;
mod times;

use bytes::Bytes;
use eko_client::attachment::{self, AttachmentLocation};
use eko_client::{Auth, Body, Device, Exchange, content, group, messenger, sealed, store};
use eko_protocol::key_package::PublicationKind;
use eko_service::config::Config;
use eko_testkit::{BARE, DirectTransport, World, envelope, refusal};
use http::Method;
use serde_json::{Value, json};

use crate::page;

/// Returns an answer as the table has it: its status and, of a problem, slug and pointer.
fn told(answer: &Exchange) -> String {
    if answer.status.is_success() {
        return answer.status.as_u16().to_string();
    }
    let told = refusal(answer);
    let mut parts = told.split(' ');
    let status = parts.next().unwrap();
    parts.fold(status.to_owned(), |text, part| format!("{text} `{}`", part.trim_start_matches('#')))
}

/// Alice and Bob, each with one device.
struct TwoUsers {
    world: World,
    alice: Device<DirectTransport>,
    bob: Device<DirectTransport>,
}

impl TwoUsers {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let world = World::with(change).await;
        let (alice, bob) = (world.user_with("alice", BARE).await, world.user_with("bob", BARE).await);
        Self { world, alice, bob }
    }

    async fn post(&self, path: &str, body: &Value) -> Exchange {
        self.alice.call(Method::POST, path, Body::Json(body), Auth::Device).await.unwrap()
    }

    async fn bytes(&self, path: &str, count: u64) -> Exchange {
        let bytes = Bytes::from(vec![b' '; usize::try_from(count).unwrap()]);
        let body = Body::Raw(Some("application/json"), bytes);
        self.alice.call(Method::POST, path, body, Auth::Device).await.unwrap()
    }

    /// Sends an envelope to Bob's device.
    async fn send(&self) -> Exchange {
        self.post("/user/alice/outbox", &self.alice.create_activity(&envelope(&self.alice, &[&self.bob])))
            .await
    }

    /// Publishes one-time keys of these ids.
    async fn publish(&self, ids: std::ops::Range<u64>) -> Exchange {
        let key = self.alice.keys().signed_pre_key().key.to_base64();
        let keys: Vec<Value> = ids.map(|id| json!({ "keyId": id, "key": key })).collect();
        let object = json!({ "preKeys": keys });
        self.publish_at(&object, PublicationKind::Addition, self.world.now_ms()).await
    }

    /// Publishes these keys, at this time by Alice's clock.
    async fn publish_at(&self, object: &Value, kind: PublicationKind, published_ms: i64) -> Exchange {
        let activity = self.alice.add_activity(object, kind, published_ms).unwrap();
        self.post("/user/alice/keyPackages", &activity).await
    }
}

/// Returns the rows of the table: limit, most, and the answer to one more.
fn rows() -> Vec<Vec<String>> {
    page::table(&page::read(), "\n## 12. Limits\n")
}

/// Plays some rows with as many as they allow and with one more.
async fn check<F: Future<Output = String>>(
    limits: &'static [&'static str],
    answer: impl Fn(&'static str, u64) -> F,
) {
    let rows = rows();
    for limit in limits {
        let row = rows.iter().find(|row| row[0] == *limit).unwrap_or_else(|| panic!("no row: {limit}"));
        let most: u64 = row[1].parse().unwrap();
        // The future of all rows of a file is too large for the stack.
        assert_eq!(Box::pin(answer(limit, most + 1)).await, row[2], "{limit}: {}", most + 1);
        assert_ne!(Box::pin(answer(limit, most)).await, row[2], "{limit}: {most}");
    }
}

#[test]
fn every_row_is_played() {
    let files = [
        budgets::ROWS,
        devices::ROWS,
        flags::ROWS,
        frames::ROWS,
        keys::ROWS,
        mailboxes::ROWS,
        signed::ROWS,
        sizes::ROWS,
        times::ROWS,
    ];
    let mut played: Vec<&str> = files.concat();
    played.sort_unstable();
    let rows = rows();
    let mut told: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    told.sort_unstable();
    assert_eq!(told, played);
}

/// The limits of section 9, which a client has.
#[test]
fn every_limit_of_a_client() {
    let url =
        |length: usize| AttachmentLocation::parse(&format!("https://b.example/{}", "x".repeat(length - 18)));
    let whole = |number: i64| usize::try_from(number).unwrap();
    let (seconds, minutes) = (|ms: i64| whole(ms / 1_000), |ms: i64| whole(ms / 60_000));
    let days = |ms: i64| whole(ms / (24 * 3_600_000));
    for row in page::table(&page::read(), "What the receiving client refuses") {
        let [limit, most] = row.as_slice() else { panic!("a row of two cells: {row:?}") };
        let most: usize = most.parse().unwrap();
        let due = match limit.as_str() {
            "bytes of a padded plaintext" => content::MAX_PLAINTEXT,
            "bytes of a group's control" => group::MAX_CONTROL,
            "members of a group, device sets of an activity" => {
                assert_eq!(content::MAX_DEVICE_SETS, group::MAX_MEMBERS);
                group::MAX_MEMBERS
            }
            "keys of group records that a device keeps" => sealed::MOST_STATE_KEYS,
            "bytes of a padded group record" => sealed::MAX_RECORD,
            "minutes until a device completes what another one could not send" => {
                minutes(messenger::COMPLETED_AFTER_MS)
            }
            "attachments of a note" => content::MAX_ATTACHMENTS,
            "bytes of a file" => usize::try_from(attachment::MAX_BYTES).unwrap(),
            "sealed bytes in a `data:` URL" => attachment::INLINE_MAX,
            "bytes of an attachment's https URL" => {
                assert!(url(most).is_ok() && url(most + 1).is_err());
                most
            }
            "characters of a file's name" => attachment::MAX_NAME_CHARS,
            "characters of a group's name" => group::MAX_NAME_CHARS,
            "activities in a receipt" => content::MAX_RECEIVED,
            "gaps, numbers of a gap, and unreadable envelopes in a receipt" => content::MAX_MISSING,
            "ranges in `eko:void`" => content::MAX_VOID,
            "notes that `eko` keeps of a stranger" => usize::try_from(store::MOST_OF_STRANGER).unwrap(),
            "notes that `eko` keeps of all strangers" => usize::try_from(store::MOST_OF_STRANGERS).unwrap(),
            "days until a chain is read again before sending" => whole(messenger::READ_AFTER_DAYS),
            "days of sending by a chain that cannot be read again" => whole(messenger::WITHOUT_READING_DAYS),
            "days without a confirmed head until that is shown" => whole(messenger::SHOWN_AFTER_DAYS),
            "days without a confirmed head until nothing is sent" => whole(messenger::REFUSED_AFTER_DAYS),
            "chains that are read again in one look for the device sets that others state" => {
                messenger::READ_FOR_VIEWS
            }
            "chains that are read again in one look for heads that their devices have signed" => {
                messenger::READ_FOR_PROOFS
            }
            "chains that are read again in one look to send receipts" => messenger::READ_FOR_RECEIPTS,
            "chains that are read in one look for senders whose devices are not known" => {
                messenger::READ_FOR_SENDERS
            }
            "chains that are read in one look for authors of held controls whose devices are not known" => {
                messenger::READ_FOR_VIEWS
            }
            "reports of one look after which a chain is read" => messenger::ENTRIES_AT_ONCE,
            "entries of one unknown sender that are taken in one look" => messenger::ENTRIES_AT_ONCE,
            "notices that `eko` keeps until the user was told" => {
                usize::try_from(store::MOST_NOTICES).unwrap()
            }
            "minutes until the chain of such a sender is read again that could not be read" => {
                whole(messenger::SENDER_PAUSE_MINUTES)
            }
            "moves that are followed in one look" => messenger::FOLLOWED_AT_ONCE,
            "readings of a chain whose move was announced" => messenger::ANNOUNCED_READS,
            "news of one move that `eko` keeps though nodes before it are missing" => messenger::MOST_GAPS,
            "nodes in an activity `Move`" => content::MAX_MOVE_NODES,
            "strangers whose sessions `eko` keeps though no note of theirs is" => messenger::STRANGERS_KNOWN,
            "days for which the session with a revoked device is kept" => whole(messenger::ENDED_AFTER_DAYS),
            "days for which what was sent is kept, to send it again" => whole(messenger::RESENT_FOR_DAYS),
            "days until a message that could not be decrypted and is awaited counts as missing" => {
                whole(store::AWAITED_DAYS)
            }
            "messages of one author that could not be decrypted and that `eko` awaits" => {
                whole(store::MOST_AWAITED)
            }
            "envelopes of one stranger that `eko` remembers because it has not kept them" => {
                whole(store::MOST_UNKEPT)
            }
            "messages to one device that are being sent again at a time" => whole(store::MOST_RESENT),
            "minutes after which a message that was sent again may count as missing" => {
                minutes(store::RESEND_TIME_MS)
            }
            "minutes between two reports of unreadable messages of one device" => {
                minutes(store::ASK_PAUSE_MS)
            }
            "minutes between two readings of a chain for the device sets of others" => {
                whole(messenger::READ_AGAIN_MINUTES)
            }
            "grants of a group's state" => group::MAX_GRANTS,
            "epoch of a group" => usize::try_from(group::MAX_EPOCH).unwrap(),
            "epochs that a control of a group skips" => usize::try_from(group::MAX_EPOCH_JUMP).unwrap(),
            "epoch at which a user comes into a group" => usize::try_from(group::MAX_FIRST_EPOCH).unwrap(),
            "epochs after a removal or an addition in which a client makes it again, if it was undone" => {
                usize::try_from(group::MAX_RACE).unwrap()
            }
            "epochs after a departure in which a client makes it again, if a control skips epochs" => {
                usize::try_from(group::MAX_RACE).unwrap()
            }
            "minutes between two such departures" => whole(messenger::CALL_PAUSE_MS / 60_000),
            "former states of a group that a member may name" => group::MAX_FORMER,
            "former members of a group whom a client remembers" => group::MAX_FORMER_MEMBERS,
            "members of a group in which all are told who joins" => messenger::ALL_TOLD,
            "members who are no admins and forward a control" => messenger::ANNOUNCERS,
            "minutes until a control is forwarded again, or a member is shown as behind" => {
                whole(messenger::BEHIND_MINUTES)
            }
            "minutes until a key that has just been renewed is renewed for the next revocation" => {
                minutes(messenger::RENEWAL_PAUSE_MS)
            }
            "minutes between two sessions with a device that begin because of unreadable messages" => {
                minutes(store::SESSION_RENEWAL_MS)
            }
            "seconds that a note waits for one that its device numbered before it" => {
                seconds(messenger::HOLD_MS)
            }
            "seconds that the first note of a device waits for one before it" => {
                seconds(store::FIRST_HOLD_MS)
            }
            "minutes that the time of a note may be after its receipt, to be shown" => {
                minutes(store::AHEAD_MS)
            }
            "days that the time of a note may be before its receipt, to be shown" => days(store::LATE_MS),
            "days for which envelopes that were read are remembered, and those that were sent without a note" => {
                days(messenger::REMEMBERED_MS)
            }
            "activities that `eko` holds of one contact or member" => whole(store::MOST_HELD_OF_SENDER),
            "activities that `eko` holds of all contacts and members" => whole(store::MOST_HELD),
            "activities that `eko` holds of one stranger" => whole(store::MOST_HELD_OF_STRANGER),
            "activities that `eko` holds of all strangers" => whole(store::MOST_HELD_OF_STRANGERS),
            "invitations that `eko` keeps of one user" => whole(store::MOST_INVITATIONS_OF_USER),
            "invitations that `eko` keeps of all strangers" => whole(store::MOST_INVITATIONS_OF_STRANGERS),
            "declined invitations that `eko` remembers" => whole(store::MOST_DECLINED),
            other => panic!("nothing checks the limit {other:?}"),
        };
        assert_eq!(most, due, "{limit}");
    }
}

/// The limits that `/.well-known/ecp` tells are those of the table.
#[tokio::test]
async fn the_capabilities_tell_the_same_limits() {
    let world = World::new().await;
    let url = format!("{}/.well-known/ecp", world.state.origin());
    let answer = Exchange::send(&world.transport(), Method::GET, &url, Body::Empty, None).await.unwrap();
    let told = answer.json().unwrap();
    let rows = rows();
    let mut members = 0;
    for member in page::table(&page::read(), "\n### Discovery\n") {
        let Some(name) = member[0].trim_matches('`').strip_prefix("limits.") else { continue };
        // Outbox and inbox have rows of their own.
        let limit = member[2].replace("an outbox or an inbox", "an outbox");
        let row = rows.iter().find(|row| row[0] == limit).unwrap_or_else(|| panic!("no limit {limit:?}"));
        assert_eq!(told["limits"][name].to_string(), row[1], "{name}");
        members += 1;
    }
    assert_eq!(told["limits"].as_object().unwrap().len(), members);
}
