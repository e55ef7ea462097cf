//! The request by which a device reads a device chain through its own server (`docs/protocol.md`,
//! section 3). It is ActivityPub's `proxyUrl` for one kind of object.

use url::form_urlencoded;

use crate::Invalid;
use crate::address::{Origin, UserName};
use crate::limits::MAX_ID_BYTES;

/// The chain that a device asks its own server for.
///
/// ```text
/// id=https%3A%2F%2Fb.example%2Fuser%2Fbob%2Fdevices     application/x-www-form-urlencoded
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainRequest {
    /// The server of the user.
    pub origin: Origin,
    /// The user whose chain it is.
    pub user: UserName,
}

impl ChainRequest {
    /// Reads the form of a request. Parameters other than `id` are ignored.
    ///
    /// ```
    /// use eko_protocol::chain_request::ChainRequest;
    ///
    /// let request = ChainRequest::parse(b"id=https%3A%2F%2Fb.example%2Fuser%2Fbob%2Fdevices")?;
    /// assert_eq!((request.origin.as_str(), request.user.as_str()), ("https://b.example", "bob"));
    ///
    /// // No other document is read through the own server.
    /// let fault = ChainRequest::parse(b"id=https%3A%2F%2Fb.example%2Fuser%2Fbob").unwrap_err();
    /// assert_eq!(fault.pointer, "/id");
    /// # Ok::<(), eko_protocol::Invalid>(())
    /// ```
    ///
    /// # Errors
    /// [`Invalid`] at `/id` if it is missing, there twice, longer than [`MAX_ID_BYTES`], or not the
    /// address of a device chain.
    pub fn parse(form: &[u8]) -> Result<Self, Invalid> {
        let mut ids = form_urlencoded::parse(form).filter(|(name, _)| name == "id").map(|(_, id)| id);
        let id = ids.next().ok_or(Invalid::at("/id", "is missing"))?;
        if ids.next().is_some() {
            return Err(Invalid::at("/id", "is there twice"));
        }
        if id.len() > MAX_ID_BYTES {
            return Err(Invalid::at("/id", format!("has more than {MAX_ID_BYTES} bytes")));
        }
        let origin = Origin::of(&id);
        let user = origin.as_ref().and_then(|origin| origin.parse_devices(&id));
        match (origin, user) {
            (Some(origin), Some(user)) => Ok(Self { origin, user }),
            _ => Err(Invalid::at("/id", "must be the address of a device chain")),
        }
    }

    /// Returns the form of a request.
    pub fn to_form(&self) -> String {
        let id = self.origin.devices(&self.user);
        form_urlencoded::Serializer::new(String::new()).append_pair("id", &id).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(id: &str) -> Result<ChainRequest, Invalid> {
        ChainRequest::parse(
            form_urlencoded::Serializer::new(String::new()).append_pair("id", id).finish().as_bytes(),
        )
    }

    #[test]
    fn the_form_of_the_contract() {
        let request = of("https://b.example:8443/user/bob/devices").unwrap();
        assert_eq!(request.to_form(), "id=https%3A%2F%2Fb.example%3A8443%2Fuser%2Fbob%2Fdevices");
        for form in [
            "x=1&id=https%3A%2F%2Fb.example%3A8443%2Fuser%2Fbob%2Fdevices&y",
            "id=https://b.example:8443/user/bob/devices",
            "%69d=https://b.example:8443/user/bob/devices",
        ] {
            assert_eq!(ChainRequest::parse(form.as_bytes()), Ok(request.clone()), "{form}");
        }
    }

    #[test]
    fn one_address_of_a_chain_and_nothing_else() {
        for form in ["", "id", "id=", "ID=https://b.example/user/bob/devices", "{\"id\":\"x\"}"] {
            assert_eq!(ChainRequest::parse(form.as_bytes()).unwrap_err().pointer, "/id", "{form}");
        }
        let good = "id=https://b.example/user/bob/devices";
        let twice = ChainRequest::parse(format!("{good}&{good}").as_bytes()).unwrap_err();
        assert_eq!(twice, Invalid::at("/id", "is there twice"));
        for id in [
            "https://b.example/user/bob",
            "https://b.example/user/bob/",
            "https://b.example/user/bob/devices/",
            "https://b.example/user/bob/devices/0",
            "https://b.example/user/bob/devices/pending",
            "https://b.example/user/bob/devices?x=1",
            "https://b.example/user/bob/devices#x",
            "https://b.example/user/bob/../bob/devices",
            "https://b.example/user/b%6fb/devices",
            "https://b.example/user/Bob/devices",
            "https://B.example/user/bob/devices",
            "https://b.example:443/user/bob/devices",
            "https://eve@b.example/user/bob/devices",
            "https://b.example./user/bob/devices",
            "https://b.example/x/user/bob/devices",
            "https://93.184.216.34/user/bob/devices",
            "http://b.example/user/bob/devices",
            "ftp://b.example/user/bob/devices",
            "/user/bob/devices",
            "https://b.example/user/bob/devices\n",
            " https://b.example/user/bob/devices",
        ] {
            assert_eq!(of(id).unwrap_err().pointer, "/id", "{id:?}");
        }
        let host = |length: usize| format!("https://{}.b.example/user/bob/devices", "x".repeat(length));
        assert!(of(&host(40)).is_ok());
        assert_eq!(of(&host(512)).unwrap_err().detail, "has more than 512 bytes");
    }

    proptest! {
        #[test]
        fn round_trip(host in "[a-z]{1,9}\\.example", port in proptest::option::of(1024u16..), user in "[a-z0-9_]{1,30}") {
            let port = port.map(|port| format!(":{port}")).unwrap_or_default();
            let origin = Origin::parse(&format!("https://{host}{port}")).unwrap();
            let request = ChainRequest { origin, user: UserName::parse(&user).unwrap() };
            prop_assert_eq!(ChainRequest::parse(request.to_form().as_bytes()), Ok(request));
        }

        #[test]
        fn any_bytes_are_read_without_panic(form in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(ChainRequest::parse(&form).is_err());
        }
    }
}
