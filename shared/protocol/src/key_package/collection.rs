//! Collections of key packages, as other servers answer them.

use serde_json::Value;

use super::KeyPackage;
use crate::Invalid;
use crate::address::Origin;
use crate::collection::package_collection;
use crate::device_set::DeviceSetRef;
use crate::json::{has_type, optional, required_list, shape, text};
use crate::limits::MAX_TAKEN_PACKAGES;

/// A server's collection of key packages: the answer to a `Take`, or the public list (section 4).
///
/// ```text
/// {"type": "Collection" | "OrderedCollection", "id": <URL>,
///  "items" | "orderedItems": [<key package>, …], "eko:deviceSet": {…}, optional}
/// ```
///
/// ```
/// use eko_protocol::address::Origin;
/// use eko_protocol::key_package::PackageCollection;
/// use serde_json::json;
///
/// let bobs = Origin::parse("https://b.example")?;
/// let id = "https://b.example/user/bob/keyPackages";
/// let answer = json!({"type": "Collection", "id": id, "totalItems": 0, "items": []});
/// assert!(PackageCollection::parse(&answer, &bobs)?.packages.is_empty());
///
/// // An answer that speaks for another server.
/// let eves = Origin::parse("https://e.example")?;
/// assert_eq!(PackageCollection::parse(&answer, &eves).unwrap_err().pointer, "/id");
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageCollection {
    /// The collection's address.
    pub id: String,
    /// The packages, at most [`MAX_TAKEN_PACKAGES`] and at most one for each device.
    pub packages: Vec<KeyPackage>,
    /// The owner's device set when the server answered.
    pub device_set: Option<DeviceSetRef>,
}

impl PackageCollection {
    /// Reads the answer of the server at `origin`. Unknown members are ignored. The signatures are
    /// not verified; see [`KeyPackage::verify`].
    ///
    /// # Errors
    /// [`Invalid`] if the value is not a collection of key packages, holds more than
    /// [`MAX_TAKEN_PACKAGES`], has two packages of one device, or names an address on another
    /// server.
    pub fn parse(value: &Value, origin: &Origin) -> Result<Self, Invalid> {
        if !["Collection", "OrderedCollection"].iter().any(|kind| has_type(value, kind)) {
            return Err(Invalid::at("/type", "must be Collection"));
        }
        let elsewhere = |pointer: String| Invalid::at(pointer, "is on another server");
        let id = text(value, "id")?;
        if !origin.owns(id) {
            return Err(elsewhere("/id".to_owned()));
        }
        let ordered = |missing| required_list(value, "orderedItems").map_err(|_| missing);
        let items = required_list(value, "items").or_else(ordered)?;
        if items.len() > MAX_TAKEN_PACKAGES {
            return Err(Invalid::at("/items", format!("holds more than {MAX_TAKEN_PACKAGES} packages")));
        }
        let mut packages: Vec<KeyPackage> = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let at = |fault: Invalid| fault.under(format!("/items/{index}"));
            let package = KeyPackage::parse(item).map_err(at)?;
            if !origin.owns(&package.id) || !origin.owns(&package.device) {
                return Err(elsewhere(format!("/items/{index}")));
            }
            if packages.iter().any(|other| other.device == package.device) {
                return Err(Invalid::at(format!("/items/{index}"), "is a second package of one device"));
            }
            packages.push(package);
        }
        let device_set = optional(value, "eko:deviceSet")?
            .map(shape)
            .transpose()
            .map_err(|fault| fault.under("/eko:deviceSet"))?;
        Ok(Self { id: id.to_owned(), packages, device_set })
    }

    /// Returns the wire form.
    pub fn to_value(&self) -> Value {
        package_collection(&self.id, &self.packages, self.device_set.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::super::package::tests::package;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn origin() -> Origin {
        Origin::parse("https://a.example").unwrap()
    }

    fn collection() -> Value {
        let set = DeviceSetRef::new(2, "ab".repeat(32)).ok();
        let id = "https://a.example/user/bob/keyPackages".to_owned();
        PackageCollection { id, packages: vec![package(1, true, true)], device_set: set }.to_value()
    }

    #[test]
    fn what_a_server_answers_is_read() {
        let read = PackageCollection::parse(&collection(), &origin()).unwrap();
        assert_eq!(read.packages, [package(1, true, true)]);
        assert_eq!(read.to_value(), collection());
        let mut ordered = collection();
        ordered["type"] = json!("OrderedCollection");
        ordered["orderedItems"] = ordered["items"].take();
        ordered.as_object_mut().unwrap().remove("items");
        ordered["unknown"] = json!("member");
        assert_eq!(PackageCollection::parse(&ordered, &origin()), Ok(read));
    }

    #[test]
    fn a_collection_has_a_package_for_each_device() {
        let item = &collection()["items"][0];
        let of_device = |n: usize| {
            let mut item = item.clone();
            item["device"] = json!(format!("https://a.example/user/bob/device/{n}"));
            item
        };
        let mut body = collection();
        body["items"] = (0..MAX_TAKEN_PACKAGES).map(of_device).collect();
        let read = PackageCollection::parse(&body, &origin()).unwrap();
        assert_eq!(read.packages.len(), MAX_TAKEN_PACKAGES);
        body["items"] = (0..=MAX_TAKEN_PACKAGES).map(of_device).collect();
        assert_eq!(PackageCollection::parse(&body, &origin()).unwrap_err().pointer, "/items");
    }

    #[test]
    fn what_is_no_answer_of_that_server_is_refused() {
        let item = &collection()["items"][0];
        let elsewhere = |member: &str| {
            let mut item = item.clone();
            item[member] = json!(item[member].as_str().unwrap().replace("a.example", "b.example"));
            item
        };
        for (pointer, member, value) in [
            ("/type", "type", json!("Note")),
            ("/id", "id", json!("https://b.example/user/bob/keyPackages")),
            ("/id", "id", json!(null)),
            ("/items", "items", json!(null)),
            ("/items/0/type", "items", json!({})),
            ("/items", "items", json!(vec![item; 17])),
            ("/items/1", "items", json!([item, item])),
            ("/items/0", "items", json!([elsewhere("id")])),
            ("/items/0", "items", json!([elsewhere("device")])),
            ("/items/0/type", "items", json!(["https://a.example/user/bob/keyPackage/1"])),
            ("/eko:deviceSet/length", "eko:deviceSet", json!({"length": "2", "head": "ab".repeat(32)})),
        ] {
            let mut body = collection();
            body[member] = value.clone();
            let fault = PackageCollection::parse(&body, &origin()).unwrap_err();
            assert_eq!(fault.pointer, pointer, "{member}: {value}");
        }
    }

    proptest! {
        #[test]
        fn any_json_is_read_without_panic(text in "\\PC{0,60}", n in 0usize..40) {
            let mut body = collection();
            body["items"] = json!(vec![text; n]);
            let _ = PackageCollection::parse(&body, &origin());
        }
    }
}
