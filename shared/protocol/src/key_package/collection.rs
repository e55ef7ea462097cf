use serde_json::{Value, json};

use super::KeyPackage;
use crate::Invalid;
use crate::activity::put_device_set;
use crate::address::Origin;
use crate::collection::start;
use crate::device_set::DeviceSetRef;
use crate::json::{has_type, shape, text};
use crate::limits::MAX_TAKEN_PACKAGES;

/// A collection of one server's key packages, as it answers a `Take` or lists them (section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageCollection {
    /// The collection's address.
    pub id: String,
    /// The packages, at most one a device.
    pub packages: Vec<KeyPackage>,
    /// The owner's device set at that moment.
    pub device_set: Option<DeviceSetRef>,
}

impl PackageCollection {
    /// Reads what the server at `origin` answered; unknown members are ignored. Says nothing about signatures.
    ///
    /// # Errors
    /// It is no collection of key packages, holds too many, or names another server.
    pub fn parse(value: &Value, origin: &Origin) -> Result<Self, Invalid> {
        if !["Collection", "OrderedCollection"].iter().any(|kind| has_type(value, kind)) {
            return Err(Invalid::at("/type", "must be Collection"));
        }
        let elsewhere = |pointer: String| Invalid::at(pointer, "is on another server");
        let id = text(value, "id")?;
        if !origin.owns(id) {
            return Err(elsewhere("/id".to_owned()));
        }
        let items = value.get("items").or_else(|| value.get("orderedItems")).and_then(Value::as_array);
        let items = items.ok_or_else(|| Invalid::at("/items", "must be an array"))?;
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
        let set = value.get("eko:deviceSet").filter(|set| !set.is_null());
        let device_set = set.map(shape).transpose().map_err(|fault| fault.under("/eko:deviceSet"))?;
        Ok(Self { id: id.to_owned(), packages, device_set })
    }

    /// The wire form; `origin` is this server's, for the context.
    pub fn to_value(&self, origin: &Origin) -> Value {
        let mut body = start(origin, "Collection", &self.id);
        let items: Vec<Value> = self.packages.iter().map(|package| package.to_value(origin)).collect();
        body.insert("totalItems".to_owned(), json!(items.len()));
        body.insert("items".to_owned(), Value::Array(items));
        put_device_set(&mut body, self.device_set.as_ref());
        Value::Object(body)
    }
}

#[cfg(test)]
mod tests {
    use super::super::package::tests::package;
    use super::*;
    use proptest::prelude::*;

    fn origin() -> Origin {
        Origin::parse("https://a.example").unwrap()
    }

    fn collection() -> Value {
        let set = DeviceSetRef::new(2, "ab".repeat(32)).ok();
        let id = "https://a.example/user/bob/keyPackages".to_owned();
        PackageCollection { id, packages: vec![package(1, true, true)], device_set: set }.to_value(&origin())
    }

    #[test]
    fn what_a_server_answers_is_read() {
        let read = PackageCollection::parse(&collection(), &origin()).unwrap();
        assert_eq!(read.packages, [package(1, true, true)]);
        assert_eq!(read.to_value(&origin()), collection());
        let mut ordered = collection();
        ordered["type"] = json!("OrderedCollection");
        ordered["orderedItems"] = ordered["items"].take();
        ordered.as_object_mut().unwrap().remove("items");
        ordered["unknown"] = json!("member");
        assert_eq!(PackageCollection::parse(&ordered, &origin()), Ok(read));
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
            ("/items", "items", json!({})),
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
