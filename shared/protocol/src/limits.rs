//! The numbers of the protocol, with their units (`docs/protocol.md`, section 12).

/// The maximum number of active devices of one user.
pub const MAX_ACTIVE_DEVICES: usize = 16;

/// The maximum length of a device's name, in characters.
pub const MAX_DEVICE_NAME_CHARS: usize = 256;

/// The maximum number of nodes in a device chain.
pub const MAX_CHAIN_NODES: u64 = 3_000;

/// The number of nodes from which on a chain takes no more `AddDevice`. What is left until
/// [`MAX_CHAIN_NODES`] is for revocations and resets.
pub const MAX_CHAIN_NODES_TO_ADD: u64 = 2_000;

/// The number of nodes from which on a chain takes no more `AddDevice` until the next
/// `ResetDevices`. The nodes are counted from the last `ResetDevices` on, or from the first node if
/// there is none.
pub const MAX_NODES_SINCE_RESET_TO_ADD: u64 = 200;

/// The maximum distance of a new node's time ahead of the server's, in milliseconds: one day. A
/// user's clock may be off by a time zone.
pub const MAX_NODE_AHEAD_MS: i64 = 86_400_000;

/// The maximum number of ciphertexts in one envelope: one for each device of a user.
pub const MAX_MESSAGES: usize = 16;

/// The maximum size of one ciphertext in bytes, decoded from base64. The minimum is 1.
pub const MAX_CONTENT_BYTES: usize = 96 * 1024;

/// The maximum size of a request body that carries an envelope, in bytes.
pub const MAX_ENVELOPE_BODY_BYTES: usize = 5 * 512 * 1024;

/// The maximum size of any other request body, in bytes.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The maximum number of one-time keys of one kind in one request.
pub const MAX_ONE_TIME_KEYS: usize = 100;

/// The maximum distance of a new one-time key's id from the highest published id of its kind. The
/// ids of a registration begin at 0.
pub const MAX_KEY_ID_JUMP: u32 = 4_000;

/// The maximum difference between the time that a publication states and the server's, in
/// milliseconds: one day. A user's clock may be off by a time zone.
pub const MAX_PUBLICATION_OFF_MS: u64 = 86_400_000;

/// The maximum number of key packages in one `Take`. No user has more active devices.
pub const MAX_TAKEN_PACKAGES: usize = MAX_ACTIVE_DEVICES;

/// The maximum number of actors and servers that one user blocks.
pub const MAX_BLOCKS: u64 = 500;

/// The maximum number of actors whom one user knows.
pub const MAX_KNOWN: u64 = 10_000;

/// The maximum number of envelopes of one stranger that come as requests, until the user knows the
/// stranger or they are forgotten.
pub const MAX_REQUESTS_OF_SENDER: u64 = 3;

/// The maximum number of envelopes of all strangers of one other site that come as requests to one user
/// in a day.
pub const MAX_REQUESTS_OF_SITE: u64 = 20;

/// The maximum number of entries that one `Delivered` acknowledges.
pub const MAX_DELIVERED: usize = 100;

/// The maximum number of entries on one page of a mailbox.
pub const MAX_PAGE_ENTRIES: usize = 100;

/// The maximum size of a frame on a device's socket, in bytes, in either direction. API Gateway
/// carries no larger one.
pub const MAX_FRAME_BYTES: usize = 32 * 1024;

/// The maximum length of the id that a device gives a frame, in bytes.
pub const MAX_FRAME_ID_BYTES: usize = 64;

/// The maximum length of an access token in a frame, in bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// The maximum size of a sealed group state, in bytes, decoded from base64. The minimum is 1.
pub const MAX_GROUP_STATE_BYTES: usize = 256 * 1024;

/// The maximum number of group states of one user.
pub const MAX_GROUP_STATES: u64 = 1_000;

/// The maximum number of group states on one page of their list.
pub const MAX_PAGE_GROUP_STATES: usize = 100;

/// The maximum number of items on one page of an export.
pub const MAX_PAGE_EXPORTED: usize = 4_000;

/// The maximum number of pages of a user's exports in a day (UTC). An account with 16 full mailboxes has
/// some 7,700, and one more for each 4,000 envelopes of the last 30 days: 65,000 if others send as many as
/// they may in each minute of them.
pub const MAX_EXPORT_PAGES: u64 = 75_000;

/// The maximum number of sockets of one device. A further one replaces the oldest.
pub const MAX_SOCKETS: usize = 4;

/// The maximum number of sockets that a device may open in a minute.
pub const MAX_CONNECTS: u64 = 10;

/// The number of frames that a device may send on a socket at any time. One a second is added to it
/// from the opening of the socket on.
pub const FRAME_BURST: u64 = 60;

/// The number of `Fetch` frames that a socket answers with entries at any time. One for each
/// [`FETCH_PAUSE_S`] is added to it from the opening of the socket on. Others are announced.
pub const FETCH_BURST: u64 = 5;

/// The seconds for which a socket may answer one more `Fetch` with entries.
pub const FETCH_PAUSE_S: u64 = 10;

/// The maximum number of entries that a `Fetch` on a socket is answered with. If there are more,
/// they are announced.
pub const MAX_BACKLOG_FRAMES: usize = 25;

/// The maximum nesting of arrays and objects in a body. The outermost one is level 1.
pub const MAX_JSON_DEPTH: usize = 32;

/// The maximum length of an id or an address that a client or another server sends, in bytes.
pub const MAX_ID_BYTES: usize = 512;

/// The maximum length of the endpoint of a push subscription, in bytes.
pub const MAX_PUSH_ENDPOINT_BYTES: usize = 1024;

/// The maximum length of the content that a `Flag` reveals, in bytes: that of a padded plaintext.
pub const MAX_FLAG_CONTENT_BYTES: usize = 94_080;

/// The maximum length of the reason of a `Flag`, in bytes. A longer one is cut.
pub const MAX_FLAG_REASON_BYTES: usize = 1_024;

/// The maximum number of messages that a user reports in a day (UTC).
pub const MAX_FLAGS_OF_REPORTER: u64 = 20;

/// The maximum number of messages that the users of one other site report to this server in a day (UTC).
pub const MAX_FLAGS_OF_SITE: u64 = 200;

/// The greatest number of reports of the users of one other site in a day of which this server knows
/// that they are made up. They have their own count, so that they crowd out no true one.
pub const MAX_FALSE_FLAGS_OF_SITE: u64 = 20;

/// The days for which a reported message is kept for the operator.
pub const FLAG_DAYS: i64 = 90;

/// The maximum length of a report's `summary`, in bytes.
pub const MAX_SUMMARY_BYTES: usize = 1024;

/// The maximum length of a reason that this server keeps or tells, and of a problem's `detail` and
/// `pointer`, in bytes.
pub const MAX_REASON_BYTES: usize = 256;

/// The maximum length of the name in a handle, in bytes. Other servers have longer user names than
/// this one.
pub const MAX_HANDLE_NAME_BYTES: usize = 128;

/// The maximum length of a display name, in characters. The minimum is 1.
pub const MAX_DISPLAY_NAME_CHARS: usize = 64;

/// The maximum length of the address of an avatar, in bytes.
pub const MAX_ICON_URL_BYTES: usize = 512;

/// The maximum length of a user name, in characters. The minimum is 1.
pub const MAX_USER_NAME_CHARS: usize = 30;

/// The greatest integer that every JSON reader represents exactly: 2^53 - 1 (RFC 7493, section
/// 2.2).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The greatest key id: 2^31 - 1.
pub const MAX_KEY_ID: u32 = 0x7FFF_FFFF;

/// The greatest registration id, a number of 14 bits. The least is 1.
pub const MAX_REGISTRATION_ID: u16 = 0x3FFF;
