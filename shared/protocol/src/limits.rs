//! The numbers of the contract, with their units.

/// Active devices a user may have at once (`docs/protocol.md`, section 3).
pub const MAX_ACTIVE_DEVICES: usize = 16;

/// Messages in one envelope: one for each device of a user (section 5).
pub const MAX_MESSAGES: usize = 16;

/// Bytes of one message's decoded content (section 5); the least is 1.
pub const MAX_CONTENT_BYTES: usize = 96 * 1024;

/// Bytes of an envelope's body as sent (section 2).
pub const MAX_ENVELOPE_BODY_BYTES: usize = 5 * 512 * 1024;

/// Bytes of any other body (section 2).
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// One-time keys of one kind in one request (section 4).
pub const MAX_ONE_TIME_KEYS: usize = 100;

/// Key packages named by one `Take`: no user has more active devices.
pub const MAX_TAKEN_PACKAGES: usize = MAX_ACTIVE_DEVICES;

/// Entries that one `Delivered` acknowledges (section 6).
pub const MAX_DELIVERED: usize = 100;

/// Entries on one page of a device's queue (section 6).
pub const MAX_PAGE_ENTRIES: usize = 100;

/// Bytes of one page of a device's queue (section 2).
pub const MAX_PAGE_BYTES: usize = 1024 * 1024;

/// Levels of arrays and objects in a body; the outermost is the first.
pub const MAX_JSON_DEPTH: usize = 32;

/// Bytes of any id or address that a client or a server sends.
pub const MAX_ID_BYTES: usize = 512;

/// Bytes of a report's `summary`.
pub const MAX_SUMMARY_BYTES: usize = 1024;

/// Characters of a user name (section 1); the least is 1.
pub const MAX_USER_NAME_CHARS: usize = 30;

/// The greatest integer that JSON carries safely, 2^53 - 1 (RFC 7493, section 2.2).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// The greatest key id, 2^31 - 1 (section 4).
pub const MAX_KEY_ID: u32 = 0x7FFF_FFFF;

/// The greatest registration id, 14 bits (section 4); the least is 1.
pub const MAX_REGISTRATION_ID: u16 = 0x3FFF;
