//! The secrets of a local server: the keys of access tokens, the key that signs requests to other
//! servers, and the key by which push services know it. They are made at the first start and kept in
//! the data folder.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_federation::keys::SigningKey;
use eko_service::config::TokenKey;
use eko_service::state::Random;
use eko_web_push::VapidKey;

/// The file of the token keys.
const TOKEN_KEYS: &str = "token-keys";

/// The file of the signing key.
const SIGNING_KEY: &str = "signing-key.pem";

/// The file of the VAPID key.
const VAPID_KEY: &str = "vapid-key.pem";

/// True if a server has made a key in the folder `dir`.
pub(crate) fn has_any(dir: &Path) -> bool {
    [TOKEN_KEYS, SIGNING_KEY, VAPID_KEY].iter().any(|name| dir.join(name).exists())
}

/// Returns the token keys of the folder `dir`, in the format that [`TokenKey::list`] parses. Makes
/// them if there are none. Without a folder, they are new each time.
///
/// # Errors
/// The file cannot be read or written, or its content is invalid.
pub fn token_keys(dir: Option<&Path>, random: &Random) -> anyhow::Result<String> {
    let text = read_or_make(dir, TOKEN_KEYS, || Ok(new_token_keys(random)))?.trim().to_owned();
    TokenKey::list(&text).with_context(|| {
        damaged(
            dir,
            TOKEN_KEYS,
            "put it back from a copy, or delete it, and every device gets a new token by itself",
        )
    })?;
    Ok(text)
}

/// Returns the signing key of the folder `dir`: PKCS #8 in PEM. Makes it if there is none. Without
/// a folder, it is new each time.
///
/// # Errors
/// The key cannot be made, its file cannot be read or written, or it holds no key. The key is gone from a
/// folder that had one: other servers know it, and refuse what another one signs.
pub fn signing_key(dir: Option<&Path>) -> anyhow::Result<String> {
    const REMEDY: &str = "put it back from a copy, or begin anew with another folder: other servers know this key, and refuse \
                          what another one signs";
    if let Some(dir) = dir {
        // The VAPID key is made after it.
        let path = dir.join(SIGNING_KEY);
        if dir.join(VAPID_KEY).exists() && !path.exists() {
            bail!("the file {} is gone: {REMEDY}", path.display());
        }
    }
    let text = read_or_make(dir, SIGNING_KEY, || Ok(SigningKey::generate()?))?;
    SigningKey::from_pem(&text).with_context(|| damaged(dir, SIGNING_KEY, REMEDY))?;
    Ok(text)
}

/// Returns the VAPID key of the folder `dir`: PKCS #8 in PEM. Makes it if there is none. Without a
/// folder, it is new each time.
///
/// # Errors
/// The key cannot be made, its file cannot be read or written, or it holds no key.
pub fn vapid_key(dir: Option<&Path>) -> anyhow::Result<String> {
    const REMEDY: &str = "put it back from a copy, or delete it, and every client subscribes to pushes anew";
    let text = read_or_make(dir, VAPID_KEY, || Ok(VapidKey::generate()?))?;
    VapidKey::from_pem(&text).with_context(|| damaged(dir, VAPID_KEY, REMEDY))?;
    Ok(text)
}

/// Returns that a file of the folder is damaged, and what can be done.
fn damaged(dir: Option<&Path>, name: &str, remedy: &str) -> String {
    format!("the file {} is damaged: {remedy}", dir.unwrap_or(Path::new("")).join(name).display())
}

/// Returns the content of a file in `dir`. Makes and writes it if there is none.
fn read_or_make(
    dir: Option<&Path>,
    name: &str,
    make: impl FnOnce() -> anyhow::Result<String>,
) -> anyhow::Result<String> {
    let Some(dir) = dir else { return make() };
    let path = dir.join(name);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = make()?;
            write_private(dir, name, text.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(text)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Makes token keys: one random key, named `local`.
fn new_token_keys(random: &Random) -> String {
    let mut secret = [0; 32];
    random(&mut secret);
    format!("local:{}", STANDARD.encode(secret))
}

/// Writes a file of the folder `dir` that only its owner can read. Renames it into place, so that a
/// killed process leaves no part of it.
pub(crate) fn write_private(dir: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(dir)?;
    let new = dir.join(format!("{name}.new"));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(new, dir.join(name))
}
