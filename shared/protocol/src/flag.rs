//! `Flag`: a recipient reports a message to the operators of the servers, and reveals it to them
//! (`docs/protocol.md`, sections 6 and 7).

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::address::{Origin, check_url};
use crate::excerpt::excerpt;
use crate::franking::{FrankingSecret, FrankingStatement, is_tag_of};
use crate::id::{EnvelopeId, report_uuid};
use crate::json::{canonical, has_type, only, optional, optional_text, text};
use crate::key::{FrankingKey, FrankingMac, FrankingTag, decode, encode};
use crate::limits::{MAX_FLAG_CONTENT_BYTES, MAX_FLAG_REASON_BYTES, MAX_ID_BYTES};
use crate::{Invalid, json, timestamp};

/// The activity `Flag` about one message.
///
/// ```text
/// {"type": "Flag", "actor": <URL>, optional, "object": <author of the message>,
///  "content": <reason>, optional,
///  "eko:evidence": {"to": <recipient>, between servers, "activity": <URL>, "envelope": <id>,
///                   "device": <URL>, "content": <base64>, "key": <base64>, "tag": <base64>,
///                   "mac": <base64>}}
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The actor id that the sender of the `Flag` states, if it states one.
    pub actor: Option<String>,
    /// The actor id of the message's author.
    pub author: String,
    /// The reporter's words, at most [`MAX_FLAG_REASON_BYTES`]; longer ones are cut, and control characters
    /// but the end of a line are left out.
    pub reason: Option<String>,
    /// The message, with what proves it.
    pub evidence: Evidence,
}

/// A message that its recipient reveals, with what its author and the author's server have said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The actor id of the recipient. `None` in what a device posts: the device's user is meant.
    pub to: Option<String>,
    /// The id of the `Create`.
    pub activity: String,
    /// The envelope's id.
    pub envelope: EnvelopeId,
    /// The address of the device that sent it.
    pub device: String,
    /// The franked content ([`crate::franking::franked_content`]).
    pub content: String,
    /// The key that was in the encrypted activity.
    pub key: FrankingKey,
    /// The tag that the envelope had.
    pub tag: FrankingTag,
    /// The MAC that the envelope had.
    pub mac: FrankingMac,
}

/// True for a character that the words of a report do not have: they are read on a terminal.
fn is_forbidden(c: char) -> bool {
    c.is_control() && c != '\n'
}

impl Flag {
    /// Checks the words of a reporter, of which a server would cut or leave out what is wrong.
    ///
    /// # Errors
    /// [`Invalid`] if they are longer than [`MAX_FLAG_REASON_BYTES`], or have a control character other than
    /// the end of a line.
    pub fn check_reason(text: &str) -> Result<(), Invalid> {
        if text.chars().any(is_forbidden) {
            return Err(Invalid::whole("has a control character"));
        }
        if text.len() > MAX_FLAG_REASON_BYTES {
            let (most, has) = (MAX_FLAG_REASON_BYTES, text.len());
            return Err(Invalid::whole(format!("has {has} bytes, and may have {most}")));
        }
        Ok(())
    }

    /// True if an activity is a `Flag` with evidence. Those of other software have none.
    pub fn is_one(value: &Value) -> bool {
        has_type(value, "Flag") && matches!(optional(value, "eko:evidence"), Ok(Some(_)))
    }

    /// Reads the activity.
    ///
    /// # Errors
    /// [`Invalid`] for the first member that is missing or has the wrong shape.
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        let author = text(value, "object")?;
        check_url(author).map_err(|fault| fault.under("/object"))?;
        let reason = optional_text(value, "content")?;
        let evidence = only(value, "eko:evidence")?;
        Ok(Self {
            actor: optional_text(value, "actor")?.map(str::to_owned),
            author: author.to_owned(),
            reason: reason.map(|text| {
                let text: String = text.chars().filter(|c| !is_forbidden(*c)).collect();
                excerpt(&text, MAX_FLAG_REASON_BYTES).to_owned()
            }),
            evidence: Evidence::parse(evidence).map_err(|fault| fault.under("/eko:evidence"))?,
        })
    }

    /// Writes the activity, without a context. `id` is the activity's id.
    pub fn to_value(&self, id: Option<&str>) -> Value {
        let mut value =
            json!({ "type": "Flag", "object": self.author, "eko:evidence": self.evidence.to_value() });
        let mut put = |name: &str, member: Option<&str>| {
            if let (Some(members), Some(member)) = (value.as_object_mut(), member) {
                members.insert(name.to_owned(), json!(member));
            }
        };
        put("id", id);
        put("actor", self.actor.as_deref());
        put("content", self.reason.as_deref());
        value
    }

    /// Returns the `Flag` that the server at `origin` passes on to the author's server: one of its own
    /// actor, about a message to `to`, with an id that follows from the evidence.
    pub fn passed_on(&self, origin: &Origin, to: &str) -> Value {
        let evidence = Evidence { to: Some(to.to_owned()), ..self.evidence.clone() };
        let id = origin.activity(&report_uuid(&evidence.digest(&self.author)));
        let flag = Self { actor: Some(origin.server_actor()), evidence, ..self.clone() };
        flag.to_value(Some(&id))
    }
}

impl Evidence {
    fn parse(value: &Value) -> Result<Self, Invalid> {
        fn read<T>(value: &Value, name: &str, read: fn(&str) -> Result<T, Invalid>) -> Result<T, Invalid> {
            text(value, name).and_then(|text| read(text).map_err(|fault| fault.under(format!("/{name}"))))
        }
        fn url(text: &str) -> Result<String, Invalid> {
            check_url(text).map(|_| text.to_owned())
        }
        // A server chooses the ids of its activities, within the rule of a `Create`.
        fn id(text: &str) -> Result<String, Invalid> {
            match Origin::of_opaque(text) {
                Some(_) => Ok(text.to_owned()),
                None => Err(Invalid::whole(format!("must be an https URL of at most {MAX_ID_BYTES} bytes"))),
            }
        }
        fn content(text: &str) -> Result<String, Invalid> {
            // Four characters carry three bytes. A text that is too long is refused without decoding.
            if text.len() > MAX_FLAG_CONTENT_BYTES.div_ceil(3).saturating_mul(4) {
                return Err(Invalid::whole(format!("is more than {MAX_FLAG_CONTENT_BYTES} bytes")));
            }
            String::from_utf8(decode(text)?).map_err(|_| Invalid::whole("must be UTF-8 in base64"))
        }
        let to = optional_text(value, "to")?.map(url).transpose().map_err(|fault| fault.under("/to"))?;
        Ok(Self {
            to,
            activity: read(value, "activity", id)?,
            envelope: read(value, "envelope", EnvelopeId::parse)?,
            device: read(value, "device", url)?,
            content: read(value, "content", content)?,
            key: read(value, "key", FrankingKey::from_base64)?,
            tag: read(value, "tag", FrankingTag::from_base64)?,
            mac: read(value, "mac", FrankingMac::from_base64)?,
        })
    }

    fn to_value(&self) -> Value {
        let mut value = json!({
            "activity": self.activity,
            "envelope": self.envelope,
            "device": self.device,
            "content": encode(self.content.as_bytes()),
            "key": self.key,
            "tag": self.tag,
            "mac": self.mac,
        });
        if let (Some(members), Some(to)) = (value.as_object_mut(), &self.to) {
            members.insert("to".to_owned(), json!(to));
        }
        value
    }

    /// Returns the SHA-256 of all that the evidence on an envelope of `author` says. What says the same
    /// of it has the same digest, whether or not it names the recipient, and however it writes the id.
    pub fn digest(&self, author: &str) -> [u8; 32] {
        let mut said = Self { to: None, ..self.clone() }.to_value();
        if let Some(members) = said.as_object_mut() {
            members.insert("envelope".to_owned(), json!(self.envelope.key()));
        }
        let said = json!([author, said]);
        Sha256::digest(canonical(&said).unwrap_or_default()).into()
    }

    /// True if the author's device has committed to the content, as far as the evidence says so itself:
    /// the tag is that of the content, which names `author` as its actor. Anybody can make such evidence
    /// up.
    ///
    /// The content's `to` counts for nothing. It is the author's word, and for a group or for an account
    /// that the recipient has left it names another one. The MAC names the recipient.
    pub fn is_consistent(&self, author: &str) -> bool {
        if !is_tag_of(&self.key, self.content.as_bytes(), &self.tag) {
            return false;
        }
        json::parse(self.content.as_bytes()).is_ok_and(|content| text(&content, "actor") == Ok(author))
    }

    /// True if the author has sent the content to `recipient`: the evidence is consistent, and its MAC
    /// is one of the author's server, whose key is `secret`.
    pub fn is_proof(&self, author: &str, recipient: &str, secret: &FrankingSecret) -> bool {
        let envelope = self.envelope.key();
        let statement = FrankingStatement {
            activity: &self.activity,
            author,
            device: &self.device,
            envelope: &envelope,
            tag: &self.tag,
            to: recipient,
        };
        self.is_consistent(author) && secret.is_mac_of(statement, &self.mac)
    }

    /// Returns the time that the author's server states, as RFC 3339 text: that of the UUIDv7 in the
    /// activity's id. `None` if the id is of another kind.
    pub fn stated_time(&self) -> Option<String> {
        let uuid = uuid::Uuid::parse_str(self.activity.rsplit('/').next()?).ok()?;
        let (seconds, nanoseconds) = uuid.get_timestamp()?.to_unix();
        let ms = i64::try_from(seconds).ok()?.checked_mul(1000)?;
        Some(timestamp::format(ms.checked_add(i64::from(nanoseconds.div_euclid(1_000_000)))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::franking::franking_tag;

    const ALICE: &str = "https://a.example/user/alice";
    const BOB: &str = "https://b.example/user/bob";

    fn flag() -> (Flag, FrankingSecret) {
        let secret = FrankingSecret::derive(b"the secret of a.example");
        let content = json!({ "actor": ALICE, "to": [BOB], "object": { "content": "x" } }).to_string();
        let key = FrankingKey::from([4; 32]);
        let tag = franking_tag(&key, content.as_bytes());
        let envelope = EnvelopeId::parse("https://a.example/message/1").unwrap();
        let device = "https://a.example/user/alice/device/a11ce001-5c1b-4e9a-9d2f-6b7c1a2e3d40".to_owned();
        let activity = "https://a.example/activity/019c0b3b-e2c0-7264-9c3e-6c2e75806e9a".to_owned();
        let statement = FrankingStatement {
            activity: &activity,
            author: ALICE,
            device: &device,
            envelope: "https://a.example/message/1",
            tag: &tag,
            to: BOB,
        };
        let mac = secret.mac(statement);
        let evidence = Evidence { to: None, activity, envelope, device, content, key, tag, mac };
        let reason = Some("a threat".to_owned());
        (Flag { actor: None, author: ALICE.to_owned(), reason, evidence }, secret)
    }

    #[test]
    fn round_trip() {
        let (flag, _) = flag();
        assert_eq!(Flag::parse(&flag.to_value(None)), Ok(flag.clone()));
        assert!(Flag::is_one(&flag.to_value(None)));
        assert!(!Flag::is_one(&json!({ "type": "Flag", "object": [ALICE] })));
        let origin = Origin::parse("https://b.example").unwrap();
        let passed_on = flag.passed_on(&origin, BOB);
        assert_eq!(passed_on, flag.passed_on(&origin, BOB));
        let read = Flag::parse(&passed_on).unwrap();
        assert_eq!(read.actor.as_deref(), Some("https://b.example/actor"));
        assert_eq!(read.evidence, Evidence { to: Some(BOB.to_owned()), ..flag.evidence });
    }

    #[test]
    fn the_words_of_a_reporter_can_be_read_on_a_terminal() {
        let (flag, _) = flag();
        let with = |reason: String| {
            Flag::parse(&Flag { reason: Some(reason), ..flag.clone() }.to_value(None))
                .unwrap()
                .reason
                .unwrap()
        };
        assert_eq!(with("a\u{1b}[2Jb\nc\u{9b}".to_owned()), "a[2Jb\nc");
        assert_eq!(with("x".repeat(5_000)).len(), MAX_FLAG_REASON_BYTES);
        assert!(Flag::check_reason("a threat\nto me").is_ok());
        for wrong in ["\u{1b}[2J", "a\tb", &"x".repeat(MAX_FLAG_REASON_BYTES + 1)] {
            assert!(Flag::check_reason(wrong).is_err(), "{wrong:?}");
        }
    }

    /// Nobody is counted twice for one message because it is written in two ways.
    #[test]
    fn what_says_the_same_has_the_same_digest() {
        let (Flag { mut evidence, .. }, _) = flag();
        evidence.envelope = EnvelopeId::parse("urn:uuid:5cd5914c-7b80-4682-b1e9-9059f52bd971").unwrap();
        let capital = EnvelopeId::parse("urn:uuid:5CD5914C-7b80-4682-b1e9-9059f52bd971").unwrap();
        let same = Evidence { to: Some(BOB.to_owned()), envelope: capital, ..evidence.clone() };
        assert_eq!(evidence.digest(ALICE), same.digest(ALICE));
        let other = Evidence { content: "y".to_owned(), ..evidence.clone() };
        assert_ne!(evidence.digest(ALICE), other.digest(ALICE));
    }

    #[test]
    fn the_first_wrong_member_is_named() {
        let right = flag().0.to_value(None);
        for (pointer, wrong) in [
            ("/object", json!("alice")),
            ("/content", json!(1)),
            ("/eko:evidence", json!([])),
            ("/eko:evidence/to", json!("bob")),
            ("/eko:evidence/activity", json!(null)),
            ("/eko:evidence/envelope", json!("x")),
            ("/eko:evidence/device", json!("x")),
            ("/eko:evidence/content", json!("/w==")),
            ("/eko:evidence/content", json!("A".repeat(200_000))),
            ("/eko:evidence/key", json!("AAAA")),
            ("/eko:evidence/tag", json!("AAAA")),
            ("/eko:evidence/mac", json!("AAAA")),
        ] {
            let mut value = right.clone();
            match value.pointer_mut(pointer) {
                Some(member) => *member = wrong,
                None => value["eko:evidence"]["to"] = wrong,
            }
            assert_eq!(Flag::parse(&value).unwrap_err().pointer, pointer, "{value}");
        }
    }

    #[test]
    fn a_proof_is_of_one_text_author_recipient_and_time() {
        let (Flag { evidence, .. }, secret) = flag();
        assert!(evidence.is_proof(ALICE, BOB, &secret));
        assert_eq!(evidence.stated_time().as_deref(), Some("2026-01-29T19:30:00Z"));
        assert!(!evidence.is_proof("https://a.example/user/carol", BOB, &secret));
        assert!(!evidence.is_proof(ALICE, "https://b.example/user/dora", &secret));
        assert!(!evidence.is_proof(ALICE, BOB, &FrankingSecret::derive(b"another")));
        let forgeries: [fn(&mut Evidence); 5] = [
            |evidence| evidence.content = evidence.content.replace('x', "y"),
            |evidence| evidence.activity = evidence.activity.replace("e2c0", "e2c1"),
            |evidence| evidence.device.replace_range(evidence.device.len() - 1.., "1"),
            |evidence| evidence.envelope = EnvelopeId::parse("https://a.example/message/2").unwrap(),
            // A content of the forger's own, with the tag that belongs to it.
            |evidence| {
                evidence.content = evidence.content.replace('x', "y");
                evidence.tag = franking_tag(&evidence.key, evidence.content.as_bytes());
            },
        ];
        for forge in forgeries {
            let mut forged = evidence.clone();
            forge(&mut forged);
            assert!(!forged.is_proof(ALICE, BOB, &secret), "{forged:?}");
        }
    }

    /// A MAC that is good for a content of somebody else proves nothing of the author. An author who names
    /// another recipient in the content evades nothing.
    #[test]
    fn a_content_names_its_author_and_the_mac_its_recipient() {
        for (actor, to, is_proof) in [
            (ALICE, json!(BOB), true),
            (ALICE, json!(["urn:uuid:0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11"]), true),
            (ALICE, json!("https://old.example/user/bob"), true),
            (ALICE, json!(null), true),
            (BOB, json!(BOB), false),
        ] {
            let (Flag { mut evidence, .. }, secret) = flag();
            evidence.content = json!({ "actor": actor, "to": to }).to_string();
            evidence.tag = franking_tag(&evidence.key, evidence.content.as_bytes());
            evidence.mac = secret.mac(FrankingStatement {
                activity: &evidence.activity,
                author: ALICE,
                device: &evidence.device,
                envelope: &evidence.envelope.key(),
                tag: &evidence.tag,
                to: BOB,
            });
            let content = &evidence.content;
            assert_eq!(evidence.is_consistent(ALICE), is_proof, "{content}");
            assert_eq!(evidence.is_proof(ALICE, BOB, &secret), is_proof, "{content}");
            assert!(!evidence.is_proof(ALICE, "https://old.example/user/bob", &secret), "{content}");
        }
        let (Flag { mut evidence, .. }, _) = flag();
        evidence.content = "text".to_owned();
        evidence.tag = franking_tag(&evidence.key, b"text");
        assert!(!evidence.is_consistent(ALICE));
    }
}
