//! The public profile of a user (`docs/protocol.md`, section 2): a display name and an avatar, which are
//! the members `name` and `icon` of the actor.
//!
//! Users choose both, and nobody verifies them. A name is shown beside a handle and never in its place.

use serde_json::{Map, Value, json};
use url::Url;

use crate::Invalid;
use crate::address::{Handle, Origin, UserName};
use crate::json::{has_type, optional_text, text};
use crate::limits::{MAX_DISPLAY_NAME_CHARS, MAX_ICON_URL_BYTES};

/// The media types of avatars. ActivityPub servers take these as pictures.
const ICON_TYPES: [&str; 5] = ["image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"];

/// A display name: one line of text that cannot change how the text around it is read.
///
/// It has 1 to [`MAX_DISPLAY_NAME_CHARS`] characters, of which one can be seen. Each run of white space
/// is one space, and there is none at the ends. Control characters, line separators, marks of the
/// reading direction, and characters that nobody sees are refused; the joiners that some scripts and
/// emoji need are allowed. A name that looks like a handle is refused.
///
/// ```
/// use eko_protocol::profile::DisplayName;
///
/// assert_eq!(DisplayName::parse("  Ada   Lovelace ")?.as_str(), "Ada Lovelace");
/// assert!(DisplayName::parse("Ada\u{202e}").is_err() && DisplayName::parse("\u{200d}").is_err());
/// assert_eq!(DisplayName::of_another("Ada\u{202e}\n\u{1b}[2J").unwrap().as_str(), "Ada [2J");
/// assert_eq!(DisplayName::of_another("\u{3164}"), None);
/// assert_eq!(DisplayName::of_another("@bob@b.example"), None);
/// # Ok::<(), eko_protocol::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DisplayName(String);

impl DisplayName {
    /// Reads a name that its owner chooses.
    ///
    /// # Errors
    /// [`Invalid`] for a text that is too long, or has no character that can be seen, or one that is
    /// not allowed, or that looks like a handle.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if text.chars().any(is_forbidden) {
            return Err(Invalid::whole("has a control character, or one that is not seen"));
        }
        let name = with_single_spaces(text.chars());
        if name.chars().count() > MAX_DISPLAY_NAME_CHARS {
            return Err(Invalid::whole(format!("has more than {MAX_DISPLAY_NAME_CHARS} characters")));
        }
        if name.chars().all(is_unseen_alone) {
            return Err(Invalid::whole("has no character that can be seen"));
        }
        if looks_like_handle(&name) {
            return Err(Invalid::whole("looks like a handle: an at sign needs a space on both sides"));
        }
        Ok(Self(name))
    }

    /// Reads a name that another server states: as much of it as may be shown, or `None` if nothing is
    /// left. Characters that [`parse`](Self::parse) refuses are left out, and the end of a long name. A name
    /// that looks like a handle is nobody's.
    pub fn of_another(text: &str) -> Option<Self> {
        let spaced = text.chars().map(|c| if c.is_whitespace() { ' ' } else { c });
        let name = with_single_spaces(spaced.filter(|c| !is_forbidden(*c)));
        let name: String = name.chars().take(MAX_DISPLAY_NAME_CHARS).collect();
        Self::parse(&name).ok()
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Returns a text in which each run of white space is one space, without any at the ends.
fn with_single_spaces(chars: impl Iterator<Item = char>) -> String {
    let text: String = chars.collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// True for a character that no name may have.
fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}'
                | '\u{180B}'..='\u{180F}' | '\u{200B}' | '\u{200E}' | '\u{200F}'
                | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{2800}' | '\u{3164}'
                | '\u{E000}'..='\u{F8FF}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFF}'
                | '\u{E0000}'..='\u{10FFFF}'
        )
}

/// True for a name with an at sign, or what looks like one, that has no space on both sides. Nobody is to take
/// the name for the handle of somebody else.
fn looks_like_handle(name: &str) -> bool {
    name.split(' ').any(|word| word.chars().count() > 1 && word.contains(['@', '\u{FE6B}', '\u{FF20}']))
        || name.starts_with(['@', '\u{FE6B}', '\u{FF20}'])
}

/// True for a character that shows nothing by itself: white space, joiners and variation selectors.
fn is_unseen_alone(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200C}' | '\u{200D}' | '\u{FE00}'..='\u{FE0F}')
}

/// An avatar: the address of a picture. The server does not fetch it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Icon {
    url: String,
    media_type: String,
}

impl Icon {
    /// Creates an avatar from its parts.
    ///
    /// # Errors
    /// [`Invalid`] at `/url` unless it is an https URL in normal form, at a domain name, of at most
    /// [`MAX_ICON_URL_BYTES`], without credentials and fragment; at `/mediaType` unless it is PNG,
    /// JPEG, GIF, WebP or AVIF.
    pub fn new(url: &str, media_type: &str) -> Result<Self, Invalid> {
        if url.len() > MAX_ICON_URL_BYTES {
            return Err(Invalid::at("/url", format!("is longer than {MAX_ICON_URL_BYTES} bytes")));
        }
        if !is_picture_url(url) {
            return Err(Invalid::at("/url", "must be an https URL at a domain name, in normal form"));
        }
        if !ICON_TYPES.contains(&media_type) {
            return Err(Invalid::at("/mediaType", format!("must be one of {}", ICON_TYPES.join(", "))));
        }
        Ok(Self { url: url.to_owned(), media_type: media_type.to_owned() })
    }

    /// Reads an `Image`: `{"type": "Image", "mediaType": "image/png", "url": "https://…"}`.
    ///
    /// # Errors
    /// [`Invalid`] at `/type`, and as [`Icon::new`].
    pub fn parse(value: &Value) -> Result<Self, Invalid> {
        if !has_type(value, "Image") {
            return Err(Invalid::at("/type", "must be Image"));
        }
        Self::new(text(value, "url")?, text(value, "mediaType")?)
    }

    /// Returns the media type that the end of a picture's name stands for, if it is one of an avatar.
    pub fn media_type_of(url: &str) -> Option<&'static str> {
        let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        let (_, ending) = path.rsplit_once('.')?;
        let ending = if ending == "jpg" { "jpeg" } else { ending };
        ICON_TYPES.into_iter().find(|kind| kind.strip_prefix("image/") == Some(ending))
    }

    /// Returns the address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the media type.
    pub fn media_type(&self) -> &str {
        &self.media_type
    }

    /// Writes the `Image`.
    pub fn to_value(&self) -> Value {
        json!({ "type": "Image", "mediaType": self.media_type, "url": self.url })
    }
}

/// True for the address of a picture that somebody may be told to fetch.
fn is_picture_url(text: &str) -> bool {
    let is_public = text.starts_with("https://") && Origin::of_opaque(text).is_some();
    let is_normal = || Url::parse(text).is_ok_and(|url| url.as_str() == text && url.fragment().is_none());
    is_public && is_normal()
}

/// The name and avatar that a user shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PublicProfile {
    /// The display name.
    pub name: Option<DisplayName>,
    /// The avatar.
    pub icon: Option<Icon>,
}

impl PublicProfile {
    /// Reads the profile in an actor document of any server. What cannot be used is left out: it is
    /// somebody else's, and decides nothing.
    pub fn of_actor(document: &Value) -> Self {
        let name = optional_text(document, "name").ok().flatten().and_then(DisplayName::of_another);
        let icon = crate::json::list(document, "icon").iter().find_map(|icon| Icon::parse(icon).ok());
        Self { name, icon }
    }

    /// Adds `name` and `icon` to an actor document.
    pub fn put_into(&self, document: &mut Value) {
        if let Some(name) = &self.name {
            document["name"] = json!(name.as_str());
        }
        if let Some(icon) = &self.icon {
            document["icon"] = icon.to_value();
        }
    }
}

/// The change that an [`UpdateProfile`] makes to one part of the profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PartChange<T> {
    /// The part stays.
    #[default]
    Keep,
    /// The part is removed.
    Remove,
    /// The part is replaced.
    Set(T),
}

impl<T> PartChange<T> {
    fn read(
        object: &Value,
        member: &str,
        read: impl FnOnce() -> Result<T, Invalid>,
    ) -> Result<Self, Invalid> {
        match object.get(member) {
            None => Ok(Self::Keep),
            Some(Value::Null) => Ok(Self::Remove),
            Some(_) => read().map(Self::Set),
        }
    }

    fn to_value(&self, write: impl FnOnce(&T) -> Value) -> Option<Value> {
        match self {
            Self::Keep => None,
            Self::Remove => Some(Value::Null),
            Self::Set(part) => Some(write(part)),
        }
    }
}

/// The activity `Update` by which a device changes the profile of its user. As ActivityPub, section
/// 6.3.1, has it, a member that is left out stays, and null removes one.
///
/// ```text
/// {"type": "Update", "actor": <URL>, optional, "object":
///   {"type": "Person", "id": <own actor>, "name": <text or null>, "icon": <Image or null>}}
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UpdateProfile {
    /// The actor id that the device states, if it states one.
    pub actor: Option<String>,
    /// The display name.
    pub name: PartChange<DisplayName>,
    /// The avatar.
    pub icon: PartChange<Icon>,
}

impl UpdateProfile {
    /// Reads the activity of a device of the user whose actor id is `own`.
    ///
    /// # Errors
    /// [`Invalid`] at `/type`; at `/object/id` for another object than the own actor; at `/object` if
    /// it changes nothing; at `/object/name` and `/object/icon` for what a user cannot have.
    pub fn parse(value: &Value, own: &str) -> Result<Self, Invalid> {
        if !has_type(value, "Update") {
            return Err(Invalid::at("/type", "must be Update"));
        }
        let actor = optional_text(value, "actor")?.map(str::to_owned);
        let object = crate::json::only(value, "object")?;
        let read = || {
            if text(object, "id")? != own {
                return Err(Invalid::at("/id", "must be the own actor"));
            }
            let name = PartChange::read(object, "name", || {
                DisplayName::parse(text(object, "name")?).map_err(|fault| fault.under("/name"))
            })?;
            let icon = PartChange::read(object, "icon", || {
                let icon = crate::json::only(object, "icon")?;
                Icon::parse(icon).map_err(|fault| fault.under("/icon"))
            })?;
            if (&name, &icon) == (&PartChange::Keep, &PartChange::Keep) {
                return Err(Invalid::whole("has neither name nor icon"));
            }
            Ok(Self { actor, name, icon })
        };
        read().map_err(|fault: Invalid| fault.under("/object"))
    }

    /// Writes the activity of the user whose actor id is `own`, without `@context`.
    pub fn to_value(&self, own: &str) -> Value {
        let members = [
            ("type", Some(json!("Person"))),
            ("id", Some(json!(own))),
            ("name", self.name.to_value(|name| json!(name.as_str()))),
            ("icon", self.icon.to_value(Icon::to_value)),
        ];
        let object: Map<String, Value> =
            members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        json!({ "type": "Update", "actor": own, "object": object })
    }
}

/// The handle that an actor document claims. It counts once the handle's own domain names the actor.
///
/// ```
/// use eko_protocol::profile::claimed_handle;
/// use serde_json::json;
///
/// let me = json!({"id": "https://chat.example.org/user/me", "webfinger": "me@example.org"});
/// assert_eq!(claimed_handle(&me).unwrap().to_string(), "@me@example.org");
/// ```
pub fn claimed_handle(document: &Value) -> Option<Handle> {
    optional_text(document, "webfinger").ok().flatten().and_then(|handle| Handle::parse(handle).ok())
}

/// Reads the domain of a server's handles, as an operator configures it. Returns it in the form of
/// [`Handle::authority`].
///
/// # Errors
/// [`Invalid`] unless it is a domain name, with a port or without.
pub fn handle_domain(text: &str) -> Result<String, Invalid> {
    let fault = || Invalid::whole("must be a domain name");
    let name = UserName::parse("a").map_err(|_| fault())?;
    let handle = Handle::parse(&format!("{name}@{text}")).map_err(|_| fault())?;
    Ok(handle.authority().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ME: &str = "https://a.example/user/me";

    #[test]
    fn names_that_users_have() {
        for name in ["Ada", "Zoë", "سارة", "می‌خواهم", "李", "👩‍👩‍👧", "❤️", "O'Neil @ home", "a"]
        {
            assert_eq!(DisplayName::parse(name).unwrap().as_str(), name);
            assert_eq!(DisplayName::of_another(name).unwrap().as_str(), name);
        }
        let long = "x".repeat(MAX_DISPLAY_NAME_CHARS);
        assert!(DisplayName::parse(&long).is_ok() && DisplayName::parse(&format!("{long}x")).is_err());
        assert_eq!(DisplayName::of_another(&format!("{long}yz")).unwrap().as_str(), long);
    }

    #[test]
    fn names_that_deceive() {
        for name in [
            "",
            " ",
            "\u{a0}",
            "a\nb",
            "a\u{0}",
            "\u{1b}[2J",
            "a\u{202e}b",
            "a\u{2066}b",
            "a\u{200e}",
            "a\u{2028}b",
            "\u{200b}",
            "\u{200d}\u{200d}",
            "\u{fe0f}",
            "\u{3164}",
            "\u{2800}",
            "a\u{ad}",
            "a\u{feff}",
            "a\u{e0041}",
            "\u{e000}",
            "a\u{9b}",
        ] {
            assert!(DisplayName::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn no_name_looks_like_a_handle() {
        for name in [
            "@alice@localhost:18140",
            "alice@a.example",
            "Alice @bob",
            "@ bob",
            "Alice (@bob)",
            "bob@ a.example",
            "\u{ff20}bob",
            "Alice \u{fe6b}bob",
            "@\u{200c}bob",
            "@",
        ] {
            assert!(
                DisplayName::parse(name).unwrap_err().detail.starts_with("looks like a handle"),
                "{name}"
            );
            assert_eq!(DisplayName::of_another(name), None, "{name}");
        }
    }

    #[test]
    fn an_avatar_is_at_a_public_address() {
        for url in [
            "https://b.example/a.png",
            "https://b.example:8443/a?size=2&v=%20",
            "https://xn--bcher-kva.example/",
        ] {
            assert!(Icon::new(url, "image/png").is_ok(), "{url}");
        }
        for url in [
            "http://b.example/a.png",
            "http://localhost:8080/a.png",
            "https://127.0.0.1/a",
            "https://[::1]/a",
            "data:image/png;base64,",
            "https://u@b.example/a",
            "https://b.example/a#x",
            "https://B.example/a",
            "https://b.example/a/../b",
            "https://b.example./a",
            "https://b.example/a b",
            "//b.example/a",
            "a.png",
            "javascript:alert(1)",
            "",
            "https://169.254.169.254/latest",
        ] {
            assert_eq!(Icon::new(url, "image/png").unwrap_err().pointer, "/url", "{url}");
        }
        let url = format!("https://b.example/{}", "x".repeat(MAX_ICON_URL_BYTES - 18));
        assert!(Icon::new(&url, "image/png").is_ok() && Icon::new(&format!("{url}x"), "image/png").is_err());
        for kind in ["image/svg+xml", "text/html", "image/*", "IMAGE/PNG", ""] {
            assert_eq!(Icon::new("https://b.example/a", kind).unwrap_err().pointer, "/mediaType", "{kind}");
        }
        assert_eq!(Icon::media_type_of("https://b.example/a.JPG?x=.png"), Some("image/jpeg"));
        assert_eq!(Icon::media_type_of("https://b.example/a"), None);
    }

    #[test]
    fn an_update_changes_what_it_has() {
        let icon = Icon::new("https://b.example/a.png", "image/png").unwrap();
        let name = PartChange::Set(DisplayName::parse("Me").unwrap());
        for update in [
            UpdateProfile { actor: Some(ME.to_owned()), name, icon: PartChange::Keep },
            UpdateProfile {
                actor: Some(ME.to_owned()),
                name: PartChange::Remove,
                icon: PartChange::Set(icon),
            },
        ] {
            assert_eq!(UpdateProfile::parse(&update.to_value(ME), ME), Ok(update));
        }
        for (object, pointer) in [
            (json!({ "id": ME }), "/object"),
            (json!({ "name": "Me" }), "/object/id"),
            (json!({ "id": "https://a.example/user/you", "name": "Me" }), "/object/id"),
            (json!({ "id": ME, "name": "" }), "/object/name"),
            (json!({ "id": ME, "name": 7 }), "/object/name"),
            (json!({ "id": ME, "name": ["a", "b"] }), "/object/name"),
            (json!({ "id": ME, "icon": "https://b.example/a.png" }), "/object/icon/type"),
            (
                json!({ "id": ME, "icon": { "type": "Image", "url": "https://b.example/" } }),
                "/object/icon/mediaType",
            ),
        ] {
            let update = json!({ "type": "Update", "object": object });
            assert_eq!(UpdateProfile::parse(&update, ME).unwrap_err().pointer, pointer, "{update}");
        }
    }

    #[test]
    fn of_an_actor_what_can_be_shown_is_read() {
        let actor = json!({
            "id": ME, "name": "M\u{202e}e", "icon": [{ "type": "Image", "url": "http://b.example/" },
            { "type": "Image", "mediaType": "image/png", "url": "https://b.example/me.png" }],
        });
        let profile = PublicProfile::of_actor(&actor);
        assert_eq!(profile.name.as_ref().unwrap().as_str(), "Me");
        assert_eq!(profile.icon.as_ref().unwrap().url(), "https://b.example/me.png");
        let mut written = json!({});
        profile.put_into(&mut written);
        assert_eq!(PublicProfile::of_actor(&written), profile);
        for nothing in
            [json!({}), json!({ "name": 7, "icon": 7 }), json!({ "name": null, "icon": [] }), json!([])]
        {
            assert_eq!(PublicProfile::of_actor(&nothing), PublicProfile::default(), "{nothing}");
        }
    }

    #[test]
    fn the_domain_of_handles() {
        assert_eq!(handle_domain("Example.org"), Ok("example.org".to_owned()));
        for text in
            ["", "https://example.org", "example.org/x", "example.org.", "a@example.org", "exa mple.org"]
        {
            assert!(handle_domain(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_shown_of_another_may_be_chosen(text in ".{0,100}") {
            if let Some(name) = DisplayName::of_another(&text) {
                prop_assert_eq!(DisplayName::parse(name.as_str()), Ok(name));
            }
        }
    }
}
