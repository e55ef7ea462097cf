//! The addresses under an origin. Each kind is made by one method of [`Origin`] and read by one,
//! which compares exact text. Nothing is unescaped or normalised, so an address has one spelling
//! only.
//!
//! ```text
//! ORIGIN/user/{name}                            actor
//! ORIGIN/user/{name}/device/{device}            device
//! ORIGIN/user/{name}/devices                    device chain
//! ORIGIN/user/{name}/devices/{seq}              node of the chain
//! ORIGIN/user/{name}/devices/pending            pending devices
//! ORIGIN/user/{name}/keyPackages                key packages
//! ORIGIN/user/{name}/keyPackage/{device}        key package
//! ORIGIN/user/{name}/inbox                      inbox; for the user's own devices the mailbox
//! ORIGIN/user/{name}/inbox/{entry}              mailbox entry
//! ORIGIN/user/{name}/outbox                     outbox
//! ORIGIN/user/{name}/blocked                    what the user blocks
//! ORIGIN/user/{name}/settings                   the settings of the account
//! ORIGIN/user/{name}/export                     everything that is stored about the user
//! ORIGIN/user/{name}/proxy                      where the user's devices read chains of others
//! ORIGIN/inbox  /actor  /problems/{slug}        shared inbox, server actor, problem type
//! ORIGIN/activity/{uuid}  /message/{uuid}       activity, envelope
//! ```

use uuid::Uuid;

use super::{Origin, UserName};
use crate::id::{DeviceId, EntryKey, GroupStateId};

impl Origin {
    fn at(&self, path: &str) -> String {
        format!("{}/{path}", self.as_str())
    }

    fn under_user(&self, user: &UserName, path: &str) -> String {
        format!("{}/user/{user}/{path}", self.as_str())
    }

    /// Returns the actor id of a user.
    pub fn actor(&self, user: &UserName) -> String {
        format!("{}/user/{user}", self.as_str())
    }

    /// Returns the address of a user's device.
    pub fn device(&self, user: &UserName, device: &DeviceId) -> String {
        self.under_user(user, &format!("device/{device}"))
    }

    /// Returns the address of a device's key package.
    pub fn key_package(&self, user: &UserName, device: &DeviceId) -> String {
        self.under_user(user, &format!("keyPackage/{device}"))
    }

    /// Returns the address of the collection of a user's key packages.
    pub fn key_packages(&self, user: &UserName) -> String {
        self.under_user(user, "keyPackages")
    }

    /// Returns the address of the list of a user's group states.
    pub fn group_states(&self, user: &UserName) -> String {
        self.under_user(user, "groupState")
    }

    /// Returns the address of one of a user's group states.
    pub fn group_state(&self, user: &UserName, id: &GroupStateId) -> String {
        self.under_user(user, &format!("groupState/{id}"))
    }

    /// Returns the address of a user's device chain.
    pub fn devices(&self, user: &UserName) -> String {
        self.under_user(user, "devices")
    }

    /// Returns the address of the list of a user's pending devices.
    pub fn pending_devices(&self, user: &UserName) -> String {
        self.under_user(user, "devices/pending")
    }

    /// Returns the address of the node at place `seq` of a user's device chain.
    pub fn chain_node(&self, user: &UserName, seq: u64) -> String {
        self.under_user(user, &format!("devices/{seq}"))
    }

    /// Returns the address of a user's inbox.
    pub fn inbox(&self, user: &UserName) -> String {
        self.under_user(user, "inbox")
    }

    /// Returns the address of a user's outbox.
    pub fn outbox(&self, user: &UserName) -> String {
        self.under_user(user, "outbox")
    }

    /// Returns the address of the list of what a user blocks.
    pub fn blocked(&self, user: &UserName) -> String {
        self.under_user(user, "blocked")
    }

    /// Returns the address of the settings of a user's account.
    pub fn settings(&self, user: &UserName) -> String {
        self.under_user(user, "settings")
    }

    /// Returns the address of the export of a user's account.
    pub fn export(&self, user: &UserName) -> String {
        self.under_user(user, "export")
    }

    /// Returns the address at which a user's devices read the chains of other servers' users.
    pub fn proxy(&self, user: &UserName) -> String {
        self.under_user(user, "proxy")
    }

    /// Returns the address of an entry in the mailbox of one of a user's devices.
    pub fn entry(&self, user: &UserName, key: &EntryKey) -> String {
        self.under_user(user, &format!("inbox/{}", key.as_str()))
    }

    /// Returns the id of an activity that this server makes.
    pub fn activity(&self, id: &Uuid) -> String {
        self.at(&format!("activity/{}", id.as_hyphenated()))
    }

    /// Returns an envelope id under this origin.
    pub fn message(&self, id: &Uuid) -> String {
        self.at(&format!("message/{}", id.as_hyphenated()))
    }

    /// Returns the last part of an envelope id that [`Origin::message`] makes; `None` for any text
    /// that does not begin like one.
    pub(crate) fn message_name<'a>(&self, id: &'a str) -> Option<&'a str> {
        self.rest(id)?.strip_prefix("message/")
    }

    /// Returns a problem type (RFC 9457).
    pub fn problem(&self, slug: &str) -> String {
        self.at(&format!("problems/{slug}"))
    }

    /// Returns the address of the inbox that all users share.
    pub fn shared_inbox(&self) -> String {
        self.at("inbox")
    }

    /// Returns the id of the server's own actor.
    pub fn server_actor(&self) -> String {
        self.at("actor")
    }

    /// True if an id or address is under this origin.
    pub fn owns(&self, id: &str) -> bool {
        self.rest(id).is_some()
    }

    /// Reads an actor id as [`Origin::actor`] makes it; `None` for any other text.
    pub fn parse_actor(&self, id: &str) -> Option<UserName> {
        UserName::parse_exact(self.rest(id)?.strip_prefix("user/")?)
    }

    /// Reads the address of a device chain as [`Origin::devices`] makes it; `None` for any other
    /// text.
    pub fn parse_devices(&self, id: &str) -> Option<UserName> {
        let (user, rest) = self.parse_user(id)?;
        (rest == "devices").then_some(user)
    }

    /// Reads a device address as [`Origin::device`] makes it; `None` for any other text.
    ///
    /// ```
    /// use eko_protocol::address::Origin;
    ///
    /// let origin = Origin::parse("https://a.example")?;
    /// let id = "0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11";
    /// let (user, device) = origin.parse_device(&format!("https://a.example/user/bob/device/{id}")).unwrap();
    /// assert_eq!((user.as_str(), device.as_str()), ("bob", id));
    ///
    /// // Neither another server's device nor another kind of address.
    /// assert_eq!(origin.parse_device(&format!("https://b.example/user/bob/device/{id}")), None);
    /// assert_eq!(origin.parse_device(&format!("https://a.example/user/bob/keyPackage/{id}")), None);
    /// # Ok::<(), eko_protocol::Invalid>(())
    /// ```
    pub fn parse_device(&self, id: &str) -> Option<(UserName, DeviceId)> {
        self.parse_with_device(id, "device")
    }

    /// Reads the address of a device of `user`; `None` for any other text, another user's device
    /// included.
    pub fn parse_device_of(&self, user: &UserName, id: &str) -> Option<DeviceId> {
        self.parse_device(id).and_then(|(owner, device)| (owner == *user).then_some(device))
    }

    /// Reads the address of a key package as [`Origin::key_package`] makes it; `None` for any other
    /// text.
    pub fn parse_key_package(&self, id: &str) -> Option<(UserName, DeviceId)> {
        self.parse_with_device(id, "keyPackage")
    }

    /// Reads the address of a collection of key packages as [`Origin::key_packages`] makes it;
    /// `None` for any other text.
    pub fn parse_key_packages(&self, id: &str) -> Option<UserName> {
        let (user, rest) = self.parse_user(id)?;
        (rest == "keyPackages").then_some(user)
    }

    /// Reads the address of a mailbox entry as [`Origin::entry`] makes it; `None` for any other
    /// text.
    pub fn parse_entry(&self, id: &str) -> Option<(UserName, EntryKey)> {
        let (user, rest) = self.parse_user(id)?;
        let key = EntryKey::parse(rest.strip_prefix("inbox/")?).ok()?;
        Some((user, key))
    }

    /// Returns the text after the origin and its slash.
    fn rest<'a>(&self, id: &'a str) -> Option<&'a str> {
        id.strip_prefix(self.as_str())?.strip_prefix('/')
    }

    /// Splits an address under a user into the user and the rest of the path.
    fn parse_user<'a>(&self, id: &'a str) -> Option<(UserName, &'a str)> {
        let (name, rest) = self.rest(id)?.strip_prefix("user/")?.split_once('/')?;
        Some((UserName::parse_exact(name)?, rest))
    }

    fn parse_with_device(&self, id: &str, collection: &str) -> Option<(UserName, DeviceId)> {
        let (user, rest) = self.parse_user(id)?;
        let (found, device) = rest.split_once('/')?;
        let device = DeviceId::parse(device).ok()?;
        (found == collection).then_some((user, device))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DEVICE: &str = "0f3c9b1e-5a57-4b0e-9c39-2f6f6f0f7a11";

    fn origin() -> Origin {
        Origin::parse("https://a.example").unwrap()
    }

    fn bob() -> UserName {
        UserName::parse("bob").unwrap()
    }

    #[test]
    fn addresses_of_the_contract() {
        let (origin, bob, device) = (origin(), bob(), DeviceId::parse(DEVICE).unwrap());
        let key = EntryKey::new(0x0102, "https://b.example/user/x", "urn:uuid:0");
        let id = Uuid::from_u128(1);
        for (made, expected) in [
            (origin.actor(&bob), "/user/bob".to_owned()),
            (origin.device(&bob, &device), format!("/user/bob/device/{DEVICE}")),
            (origin.key_package(&bob, &device), format!("/user/bob/keyPackage/{DEVICE}")),
            (origin.key_packages(&bob), "/user/bob/keyPackages".to_owned()),
            (origin.devices(&bob), "/user/bob/devices".to_owned()),
            (origin.pending_devices(&bob), "/user/bob/devices/pending".to_owned()),
            (origin.chain_node(&bob, 3), "/user/bob/devices/3".to_owned()),
            (origin.inbox(&bob), "/user/bob/inbox".to_owned()),
            (origin.outbox(&bob), "/user/bob/outbox".to_owned()),
            (origin.proxy(&bob), "/user/bob/proxy".to_owned()),
            (origin.entry(&bob, &key), format!("/user/bob/inbox/{}", key.as_str())),
            (origin.activity(&id), "/activity/00000000-0000-0000-0000-000000000001".to_owned()),
            (origin.message(&id), "/message/00000000-0000-0000-0000-000000000001".to_owned()),
            (origin.problem("not-found"), "/problems/not-found".to_owned()),
            (origin.shared_inbox(), "/inbox".to_owned()),
            (origin.server_actor(), "/actor".to_owned()),
        ] {
            assert_eq!(made, format!("https://a.example{expected}"));
            assert!(origin.owns(&made));
        }
    }

    #[test]
    fn other_spellings_are_nobodys() {
        let origin = origin();
        for id in [
            "",
            "https://a.example",
            "https://a.example/user",
            "https://a.example/user/",
            "https://a.example/user/Bob",
            "https://a.example/user/bob/",
            "https://a.example/user/bob?x",
            "https://a.example/user/bob#x",
            "https://a.example/user/b%6fb",
            "https://a.example//user/bob",
            "https://a.example/user//bob",
            "https://a.example/user/../user/bob",
            "https://a.example:443/user/bob",
            "https://A.example/user/bob",
            "http://a.example/user/bob",
            "https://a.example./user/bob",
            "https://a.example.evil.example/user/bob",
            "https://x@a.example/user/bob",
            "https://b.example/user/bob",
            " https://a.example/user/bob",
            "https://a.example/user/bob\n",
        ] {
            assert_eq!(origin.parse_actor(id), None, "{id:?}");
        }
        assert_eq!(origin.parse_devices("https://a.example/user/bob/devices"), Some(bob()));
        for id in [
            "https://a.example/user/bob/devices/",
            "https://a.example/user/bob/devices/0",
            "https://a.example/user/bob/devices/pending",
            "https://a.example/user/bob/devices?page=2",
            "https://a.example/user/Bob/devices",
            "https://a.example/user/bob/device",
            "https://b.example/user/bob/devices",
        ] {
            assert_eq!(origin.parse_devices(id), None, "{id}");
        }
        for id in [
            format!("https://a.example/user/bob/device/{}", DEVICE.to_uppercase()),
            format!("https://a.example/user/Bob/device/{DEVICE}"),
            format!("https://a.example/user/bob/device/{DEVICE}/"),
            format!("https://a.example/user/bob/keyPackage/{DEVICE}"),
            format!("https://b.example/user/bob/device/{DEVICE}"),
            format!("https://a.example/user/bob/x/device/{DEVICE}"),
            "https://a.example/user/bob/device/".to_owned(),
            "https://a.example/user/bob/device/00000000-0000-0000-0000-000000000000".to_owned(),
        ] {
            assert_eq!(origin.parse_device(&id), None, "{id}");
        }
        assert!(!origin.owns("https://a.example"));
        assert!(!origin.owns("https://a.example.evil.example/x"));
        assert!(!origin.owns("https://a.examplefoo/x"));
        assert_eq!(origin.parse_key_packages("https://a.example/user/bob/keyPackages/"), None);
    }

    proptest! {
        #[test]
        fn parsers_read_what_the_builders_make(
            name in "[a-z0-9_]{1,30}",
            bits in 1u128..,
            ms in 0u64..1 << 48,
            envelope in ".{0,20}",
        ) {
            let (origin, user) = (origin(), UserName::parse(&name).unwrap());
            let device = DeviceId::parse(&Uuid::from_u128(bits).to_string()).unwrap();
            let key = EntryKey::new(ms, &name, &envelope);
            prop_assert_eq!(origin.parse_actor(&origin.actor(&user)), Some(user.clone()));
            prop_assert_eq!(origin.parse_device(&origin.device(&user, &device)), Some((user.clone(),
            device.clone())));
            prop_assert_eq!(origin.parse_key_package(&origin.key_package(&user, &device)), Some((user.clone(),
            device)));
            prop_assert_eq!(origin.parse_key_packages(&origin.key_packages(&user)), Some(user.clone()));
            prop_assert_eq!(origin.parse_entry(&origin.entry(&user, &key)), Some((user, key)));
        }

        #[test]
        fn parsers_accept_nothing_else(
            path in "/user/[a-zA-Z_]{1,4}/?(device|keyPackages?|inbox)?/?[0-9a-f-]{0,40}",
        ) {
            let origin = origin();
            let id = format!("https://a.example{path}");
            if let Some(user) = origin.parse_actor(&id) { prop_assert_eq!(origin.actor(&user), id.clone()); }
            if let Some((user, device)) = origin.parse_device(&id) { prop_assert_eq!(origin.device(&user,
            &device), id.clone()); }
            if let Some(user) = origin.parse_key_packages(&id) { prop_assert_eq!(origin.key_packages(&user),
            id.clone()); }
            if let Some((user, key)) = origin.parse_entry(&id) { prop_assert_eq!(origin.entry(&user, &key),
            id); }
        }
    }
}
