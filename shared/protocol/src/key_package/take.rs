//! `Take`: the activity that consumes one-time keys.

use serde_json::Value;

use crate::Invalid;
use crate::address::{Handle, Origin, UserName, check_url};
use crate::id::DeviceId;
use crate::json::{has_type, list, text, text_of};
use crate::limits::MAX_TAKEN_PACKAGES;

/// A `Take`: a request for key packages with one-time keys (section 4).
///
/// ```text
/// {"type": "Take", "actor": <URL>, "object": <target> or [<target>, …]}
///
/// target: a collection of key packages, a key package, or a handle
/// ```
///
/// The caller must check that `actor` is the one who sends the activity.
///
/// ```
/// use eko_protocol::address::Origin;
/// use eko_protocol::key_package::{RequestedDevices, TakeActivity, TakeTarget};
/// use serde_json::json;
///
/// let origin = Origin::parse("https://a.example")?;
/// let by = |object: &str| json!({"type": "Take", "actor": "https://b.example/user/x", "object": object});
///
/// let take = TakeActivity::parse(&by("https://a.example/user/bob/keyPackages"), &origin)?;
/// let TakeTarget::Local(packages) = take.target else { panic!() };
/// assert_eq!((packages.user.as_str(), packages.devices), ("bob", RequestedDevices::All));
///
/// let no_packages = TakeActivity::parse(&by("https://a.example/user/bob"), &origin);
/// assert_eq!(no_packages.unwrap_err().pointer, "/object");
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakeActivity {
    /// The actor id of the taker.
    pub actor: String,
    /// The packages that it asks for.
    pub target: TakeTarget,
}

/// The key packages that a `Take` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeTarget {
    /// Packages of a user of this server.
    Local(LocalPackages),
    /// Packages of a user of another server. Allowed in an outbox only.
    Remote(RemotePackages),
}

/// Key packages of a user of this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPackages {
    /// The owner.
    pub user: UserName,
    /// The devices whose packages are asked for.
    pub devices: RequestedDevices,
}

/// The devices whose packages a `Take` asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedDevices {
    /// Every active device.
    All,
    /// These devices: at least one, at most [`MAX_TAKEN_PACKAGES`], none twice.
    Named(Vec<DeviceId>),
}

/// Key packages of a user of another server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemotePackages {
    /// Packages of every active device of the user with this handle.
    OfHandle(Handle),
    /// A collection or packages on one other server. Only the form of the ids is checked.
    OnServer {
        /// The server.
        origin: Origin,
        /// The ids of one collection, or of one or several packages.
        ids: Vec<String>,
    },
}

impl TakeActivity {
    /// Reads a `Take` as the server at `origin` receives it. The handle of a local user means that
    /// user's collection.
    ///
    /// # Errors
    /// [`Invalid`] at `/type`, `/actor` or `/object`: for another type, no actor, no target, too
    /// many targets, a target that appears twice, targets of several users or servers, or an
    /// address on this server that is neither a key package nor a collection of key packages.
    pub fn parse(value: &Value, origin: &Origin) -> Result<Self, Invalid> {
        if !has_type(value, "Take") {
            return Err(Invalid::at("/type", "must be Take"));
        }
        let actor = text(value, "actor")?;
        check_url(actor).map_err(|fault| fault.under("/actor"))?;
        let target = match list(value, "object") {
            [Value::String(one)] => target_of_one(one, origin),
            many => target_of_many(many, origin),
        };
        let target = target.map_err(|fault| fault.under("/object"))?;
        Ok(Self { actor: actor.to_owned(), target })
    }
}

/// Reads one target.
fn target_of_one(text: &str, origin: &Origin) -> Result<TakeTarget, Invalid> {
    let local = |user, devices| Ok(TakeTarget::Local(LocalPackages { user, devices }));
    if let Some(user) = origin.parse_key_packages(text) {
        return local(user, RequestedDevices::All);
    }
    if let Some((user, device)) = origin.parse_key_package(text) {
        return local(user, RequestedDevices::Named(vec![device]));
    }
    if let Ok(handle) = Handle::parse(text) {
        return match handle.authority() == origin.authority() {
            true => match handle.user() {
                Some(user) => local(user, RequestedDevices::All),
                None => Err(Invalid::whole("is no name of a user here")),
            },
            false => Ok(TakeTarget::Remote(RemotePackages::OfHandle(handle))),
        };
    }
    let other = remote(text, origin)?;
    Ok(TakeTarget::Remote(RemotePackages::OnServer { origin: other, ids: vec![text.to_owned()] }))
}

/// Reads an array of targets, which must be of one user or server.
fn target_of_many(ids: &[Value], origin: &Origin) -> Result<TakeTarget, Invalid> {
    if ids.len() > MAX_TAKEN_PACKAGES {
        return Err(Invalid::whole(format!("holds more than {MAX_TAKEN_PACKAGES} key packages")));
    }
    let mut targets = ids.iter().enumerate().map(|(index, id)| {
        let text = text_of(id).ok_or_else(|| Invalid::whole("must be a string"));
        text.and_then(|text| target_of_one(text, origin)).map_err(|fault| fault.under(format!("/{index}")))
    });
    let first = targets.next().ok_or_else(|| Invalid::whole("must name at least one key package"))??;
    targets.enumerate().try_fold(first, |so_far, (index, next)| {
        let place = format!("/{}", index.saturating_add(1));
        joined(so_far, next?).map_err(|detail| Invalid::at(place, detail))
    })
}

/// Joins two targets that each name packages of the same user, or on the same other server.
fn joined(so_far: TakeTarget, next: TakeTarget) -> Result<TakeTarget, &'static str> {
    use RequestedDevices::Named;
    const TWICE: &str = "appears twice";
    match (so_far, next) {
        (
            TakeTarget::Local(LocalPackages { user, devices: Named(mut devices) }),
            TakeTarget::Local(LocalPackages { user: other, devices: Named(more) }),
        ) if user == other => {
            if more.iter().any(|device| devices.contains(device)) {
                return Err(TWICE);
            }
            devices.extend(more);
            Ok(TakeTarget::Local(LocalPackages { user, devices: Named(devices) }))
        }
        (
            TakeTarget::Remote(RemotePackages::OnServer { origin, mut ids }),
            TakeTarget::Remote(RemotePackages::OnServer { origin: other, ids: more }),
        ) if origin == other => {
            if more.iter().any(|id| ids.contains(id)) {
                return Err(TWICE);
            }
            ids.extend(more);
            Ok(TakeTarget::Remote(RemotePackages::OnServer { origin, ids }))
        }
        _ => Err("must be a key package of the same user as the others"),
    }
}

/// Returns the origin of a target on another server.
fn remote(text: &str, origin: &Origin) -> Result<Origin, Invalid> {
    Origin::of(text)
        .filter(|other| other != origin)
        .ok_or_else(|| Invalid::whole("is no collection of key packages, no key package and no handle"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn device(n: usize) -> DeviceId {
        DeviceId::parse(&format!("00000000-0000-4000-8000-0000000000{n:02x}")).unwrap()
    }

    fn origin() -> Origin {
        Origin::parse("https://a.example").unwrap()
    }

    fn user(name: &str) -> UserName {
        UserName::parse(name).unwrap()
    }

    fn package(name: &str, n: usize) -> String {
        origin().key_package(&user(name), &device(n))
    }

    fn read(object: Value) -> Result<TakeTarget, Invalid> {
        let take = json!({"type": "Take", "actor": "https://b.example/user/x", "object": object});
        TakeActivity::parse(&take, &origin()).map(|take| take.target)
    }

    fn all(name: &str) -> TakeTarget {
        TakeTarget::Local(LocalPackages { user: user(name), devices: RequestedDevices::All })
    }

    fn named(name: &str, devices: Vec<DeviceId>) -> TakeTarget {
        TakeTarget::Local(LocalPackages { user: user(name), devices: RequestedDevices::Named(devices) })
    }

    fn on_server(origin: &Origin, ids: &[&str]) -> TakeTarget {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        TakeTarget::Remote(RemotePackages::OnServer { origin: origin.clone(), ids })
    }

    #[test]
    fn targets() {
        let b = Origin::parse("https://b.example").unwrap();
        for (object, expected) in [
            (json!("https://a.example/user/bob/keyPackages"), all("bob")),
            (json!("@Bob@a.example"), all("bob")),
            (json!("acct:bob@a.example"), all("bob")),
            (json!(package("bob", 1)), named("bob", vec![device(1)])),
            (json!([package("bob", 2), package("bob", 1)]), named("bob", vec![device(2), device(1)])),
            (json!(["https://a.example/user/bob/keyPackages"]), all("bob")),
            (
                json!("@bob@b.example"),
                TakeTarget::Remote(RemotePackages::OfHandle(Handle::parse("bob@b.example").unwrap())),
            ),
            (json!("https://b.example/k/1"), on_server(&b, &["https://b.example/k/1"])),
            (
                json!(["https://b.example/k/1", "https://b.example/k/2"]),
                on_server(&b, &["https://b.example/k/1", "https://b.example/k/2"]),
            ),
        ] {
            assert_eq!(read(object.clone()), Ok(expected), "{object}");
        }
    }

    #[test]
    fn other_targets_are_refused_where_they_stand() {
        let many: Vec<_> = (0..17).map(|n| package("bob", n)).collect();
        for (object, pointer) in [
            (json!(null), "/object"),
            (json!([]), "/object"),
            (json!({"id": "x"}), "/object/0"),
            (json!(many), "/object"),
            (json!("https://a.example/user/bob"), "/object"),
            (json!("https://a.example/user/Bob/keyPackages"), "/object"),
            (json!("http://c.example/x"), "/object"),
            (json!("bob"), "/object"),
            (json!("https://b.example/k?x"), "/object"),
            (json!([package("bob", 1), 3]), "/object/1"),
            (json!([package("bob", 1), package("bob", 1)]), "/object/1"),
            (json!([package("bob", 1), package("eve", 1)]), "/object/1"),
            (json!([package("bob", 1), package("eve", 2)]), "/object/1"),
            (json!([package("bob", 1), "https://a.example/user/bob/keyPackages"]), "/object/1"),
            (json!([package("bob", 1), "https://b.example/k/1"]), "/object/1"),
            (json!(["https://b.example/k/1", "https://c.example/k/1"]), "/object/1"),
            (json!(["@bob@b.example", "@eve@b.example"]), "/object/1"),
            (json!([[package("bob", 1)]]), "/object/0"),
        ] {
            assert_eq!(read(object.clone()).unwrap_err().pointer, pointer, "{object}");
        }
        let object = "https://a.example/user/bob/keyPackages";
        assert_eq!(
            TakeActivity::parse(
                &json!({"type": "Give", "actor": "https://b.example/x", "object": object}),
                &origin()
            )
            .unwrap_err()
            .pointer,
            "/type"
        );
        assert_eq!(
            TakeActivity::parse(&json!({"type": "Take", "object": object}), &origin()).unwrap_err().pointer,
            "/actor"
        );
        assert_eq!(
            TakeActivity::parse(&json!({"type": "Take", "actor": "x", "object": object}), &origin())
                .unwrap_err()
                .pointer,
            "/actor"
        );
    }

    #[test]
    fn as_many_as_a_user_has_devices() {
        let sixteen: Vec<_> = (0..MAX_TAKEN_PACKAGES).map(|n| package("bob", n)).collect();
        let devices = (0..MAX_TAKEN_PACKAGES).map(device).collect();
        assert_eq!(read(json!(sixteen)), Ok(named("bob", devices)));
    }

    proptest! {
        #[test]
        fn local_packages_round_trip(
            name in "[a-z0-9_]{1,30}",
            ns in proptest::collection::btree_set(0usize..200, 1..=16),
        ) {
            let ids: Vec<_> = ns.iter().map(|n| package(&name, *n)).collect();
            let devices = ns.iter().map(|n| device(*n)).collect();
            prop_assert_eq!(read(json!(ids)), Ok(named(&name, devices)));
        }
    }
}
