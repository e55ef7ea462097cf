//! The rules of the export: for each kind of item, and for each of its attributes, the member of the
//! document and its form. The attributes are documented in the modules of their verbs
//! ([`crate::key`]).

use Form::{Count, Each, Id, Json, Mark, Milliseconds, Origin, Plain, Seconds, Withheld};

/// The form in which an attribute is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// The value as it is; bytes in base64.
    Plain,
    /// A time, from milliseconds since the epoch.
    Milliseconds,
    /// A time, from seconds since the epoch.
    Seconds,
    /// True, from the number 1.
    Mark,
    /// A JSON document.
    Json,
    /// An id in the short form of a letter.
    Id,
    /// The origin of a URL. The rest is a secret.
    Origin,
    /// The number of elements of a set or a map.
    Count,
    /// An object, by these rules.
    Each(&'static [Rule]),
    /// Not exported: a secret, a ciphertext, or what follows from other items.
    Withheld,
}

/// The rule for one attribute, or for all whose names begin with a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The attribute's name, or its beginning.
    pub(super) attribute: &'static str,
    /// The member's name.
    pub(super) member: &'static str,
    /// The form.
    pub(super) form: Form,
}

/// The part of a sort key that a document has as its member `key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SortKey {
    /// There is one item of this kind in its partition.
    Fixed,
    /// The rest after the prefix.
    Shown,
    /// Nothing: the rest is a secret, or in the document.
    Hidden,
}

/// A kind of item.
#[derive(Debug)]
pub(super) struct ItemKind {
    /// The beginning of the partition keys.
    pub(super) partition: &'static str,
    /// The beginning of the sort keys.
    pub(super) prefix: &'static str,
    /// The part of the sort key that is exported.
    pub(super) sort_key: SortKey,
    /// The type of the document.
    pub(super) name: &'static str,
    /// The rules of its attributes.
    pub(super) rules: &'static [Rule],
    /// The rules of attributes whose names have a fixed beginning and a rest.
    pub(super) families: &'static [Rule],
}

const fn rule(attribute: &'static str, member: &'static str, form: Form) -> Rule {
    Rule { attribute, member, form }
}

const fn secret(attribute: &'static str) -> Rule {
    rule(attribute, "", Withheld)
}

/// A socket in the item `LIVE`.
const SOCKET: &[Rule] = &[
    rule("d", "ownDevice", Plain),
    rule("e", "tokenExpires", Seconds),
    rule("o", "opened", Milliseconds),
    secret("g"),
    rule("p", "pending", Mark),
    rule("b", "announcement", Milliseconds),
    rule("f", "failures", Plain),
];

/// The kinds of items in a user's partitions. The first one that fits counts.
pub(super) const KINDS: &[ItemKind] = &[
    ItemKind {
        partition: "U#",
        prefix: "PROFILE",
        sort_key: SortKey::Fixed,
        name: "Account",
        rules: &[
            rule("iss", "oidcIssuer", Plain),
            rule("sub", "oidcSubject", Plain),
            rule("at", "published", Milliseconds),
            rule("rs", "resetSignIn", Seconds),
            rule("ra", "lastReset", Milliseconds),
            rule("rn", "resets", Plain),
        ],
        families: &[],
    },
    ItemKind {
        partition: "U#",
        prefix: "DEVICES",
        sort_key: SortKey::Fixed,
        name: "DeviceSet",
        rules: &[
            rule("len", "length", Plain),
            rule("head", "head", Plain),
            rule("at", "published", Milliseconds),
            rule("root", "root", Plain),
            rule("ad", "approvalDay", Plain),
            rule("an", "approvals", Plain),
            rule("a", "activeDevices", Plain),
            rule("p", "pendingDevices", Plain),
            rule("f", "fullMailboxes", Plain),
            // The blocks themselves are items of their own.
            rule("b", "blocks", Count),
            rule("w", "whoMayWrite", Plain),
            rule("nm", "displayName", Plain),
            rule("iu", "iconUrl", Plain),
            rule("im", "iconMediaType", Plain),
            rule("x", "deleted", Milliseconds),
            rule("mt", "movedTo", Plain),
            rule("mf", "movedFrom", Plain),
            rule("kn", "knownActors", Plain),
        ],
        families: &[],
    },
    ItemKind {
        partition: "U#",
        prefix: "CHAIN#",
        sort_key: SortKey::Hidden,
        name: "ChainRecord",
        rules: &[rule("j", "node", Json)],
        families: &[],
    },
    ItemKind {
        partition: "U#",
        prefix: "A#",
        sort_key: SortKey::Hidden,
        name: "KnownActor",
        rules: &[rule("o", "party", Plain), rule("c", "known", Milliseconds), rule("r", "requests", Count)],
        families: &[],
    },
    ItemKind {
        partition: "U#",
        prefix: "B#",
        sort_key: SortKey::Hidden,
        name: "BlockRecord",
        rules: &[rule("o", "party", Plain), rule("c", "published", Milliseconds)],
        families: &[],
    },
    ItemKind {
        partition: "U#",
        prefix: "E#",
        sort_key: SortKey::Shown,
        name: "ReceivedEnvelope",
        rules: &[
            rule("at", "accepted", Milliseconds),
            rule("d", "forDevices", Plain),
            rule("o", "server", Plain),
            rule("k", "acknowledged", Plain),
            rule("rd", "receiptDevice", Plain),
            rule("rt", "receiptTime", Milliseconds),
        ],
        families: &[],
    },
    ItemKind {
        partition: "U#",
        prefix: "X#",
        sort_key: SortKey::Shown,
        name: "SentEnvelope",
        rules: &[
            rule("at", "sent", Milliseconds),
            rule("d", "ownDevice", Plain),
            rule("o", "server", Plain),
            rule("r", "reports", Count),
            rule("p", "reportsPassedOn", Count),
        ],
        families: &[],
    },
    ItemKind {
        partition: "U#",
        prefix: "LIVE",
        sort_key: SortKey::Fixed,
        name: "LiveState",
        rules: &[],
        families: &[
            rule("C", "sockets", Each(SOCKET)),
            rule("P", "pushes", Plain),
            rule("A", "pushedFor", Plain),
        ],
    },
    ItemKind {
        partition: "L#",
        prefix: "",
        sort_key: SortKey::Shown,
        name: "Counter",
        rules: &[],
        families: &[rule("", "counts", Plain)],
    },
    ItemKind {
        partition: "D#",
        prefix: "DEVICE",
        sort_key: SortKey::Fixed,
        name: "DeviceRecord",
        rules: &[
            rule("st", "status", Plain),
            secret("fam"),
            rule("oh", "preKeysHead", Plain),
            rule("ot", "preKeysTail", Plain),
            rule("om", "preKeysMaxId", Plain),
            rule("of", "preKeysFirstBlock", Plain),
            rule("ob", "preKeysUnspentBlock", Plain),
            rule("kh", "kyberPreKeysHead", Plain),
            rule("kt", "kyberPreKeysTail", Plain),
            rule("km", "kyberPreKeysMaxId", Plain),
            rule("kf", "kyberPreKeysFirstBlock", Plain),
            rule("kb", "kyberPreKeysUnspentBlock", Plain),
            rule("nt", "spentNoted", Milliseconds),
            rule("mf", "mailboxFull", Milliseconds),
            rule("pu", "pushed", Milliseconds),
            rule("pf", "pushFetched", Plain),
            rule("rp", "keysReplaced", Milliseconds),
        ],
        families: &[
            rule("T", "takes", Plain),
            rule("B", "takesByOne", Plain),
            rule("c", "takersServers", Plain),
        ],
    },
    ItemKind {
        partition: "D#",
        prefix: "M#",
        sort_key: SortKey::Shown,
        name: "MailboxEntry",
        rules: &[
            rule("z", "size", Plain),
            rule("j", "report", Json),
            rule("a", "author", Plain),
            rule("e", "envelope", Id),
            rule("f", "sender", Id),
            rule("t", "activity", Id),
            // The device gets it from its mailbox, and nobody else can read it.
            secret("c"),
            rule("p", "published", Milliseconds),
            rule("x", "endTime", Milliseconds),
            rule("q", "quiet", Mark),
            rule("r", "request", Mark),
            rule("g", "frankingTag", Plain),
            rule("m", "frankingMac", Plain),
            rule("l", "deviceSetLength", Plain),
            rule("h", "deviceSetHead", Plain),
        ],
        families: &[],
    },
    ItemKind {
        partition: "D#",
        prefix: "OPK#",
        sort_key: SortKey::Shown,
        name: "OneTimePreKeys",
        rules: &[rule("f", "firstPlace", Plain), rule("b", "keys", Plain)],
        families: &[],
    },
    ItemKind {
        partition: "D#",
        prefix: "PQK#",
        sort_key: SortKey::Shown,
        name: "OneTimeKyberPreKeys",
        rules: &[rule("f", "firstPlace", Plain), rule("b", "keys", Plain)],
        families: &[],
    },
    ItemKind {
        partition: "D#",
        prefix: "PREKEYS",
        sort_key: SortKey::Fixed,
        name: "LastingKeys",
        rules: &[
            rule("ik", "identityKey", Plain),
            rule("rid", "registrationId", Plain),
            rule("pos", "possession", Plain),
            rule("jm", "joiningMac", Plain),
            rule("nm", "name", Plain),
            rule("at", "published", Milliseconds),
            rule("si", "signedPreKeyId", Plain),
            rule("sp", "signedPreKey", Plain),
            rule("ss", "signedPreKeySignature", Plain),
            rule("li", "lastResortKeyId", Plain),
            rule("lp", "lastResortKey", Plain),
            rule("ls", "lastResortKeySignature", Plain),
            rule("pm", "keysPublished", Milliseconds),
        ],
        families: &[],
    },
    ItemKind {
        partition: "D#",
        prefix: "PUSH",
        sort_key: SortKey::Fixed,
        name: "PushSubscription",
        rules: &[
            // Whoever has the whole address may push to the browser (RFC 8030, section 8.3).
            rule("e", "pushService", Origin),
            rule("k", "publicKey", Plain),
            secret("a"),
            rule("c", "published", Milliseconds),
        ],
        families: &[],
    },
    ItemKind {
        partition: "D#",
        prefix: "S#",
        sort_key: SortKey::Hidden,
        name: "RefreshToken",
        rules: &[
            secret("fam"),
            rule("used", "used", Milliseconds),
            secret("salt"),
            secret("next"),
            rule("late", "repeated", Milliseconds),
        ],
        families: &[],
    },
    ItemKind {
        partition: "G#",
        prefix: "",
        sort_key: SortKey::Shown,
        name: "SealedGroupState",
        rules: &[rule("e", "epoch", Plain), rule("c", "content", Plain)],
        families: &[],
    },
];
