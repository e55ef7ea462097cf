//! The secrets of a local server: the keys of access tokens, the key that signs requests to other
//! servers, and the key by which push services know it. They are made at the first start and kept in
//! the data folder.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
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

/// Returns the token keys of the folder `dir`, in the format that [`TokenKey::list`] parses. Makes
/// them if there are none. Without a folder, they are new each time.
///
/// # Errors
/// The file cannot be read or written, or its content is invalid.
pub fn token_keys(dir: Option<&Path>, random: &Random) -> anyhow::Result<String> {
    let text = read_or_make(dir, TOKEN_KEYS, || Ok(new_token_keys(random)))?.trim().to_owned();
    TokenKey::list(&text).with_context(|| format!("{TOKEN_KEYS} is damaged"))?;
    Ok(text)
}

/// Returns the signing key of the folder `dir`: PKCS #8 in PEM. Makes it if there is none. Without
/// a folder, it is new each time.
///
/// # Errors
/// The key cannot be made, or its file cannot be read or written.
pub fn signing_key(dir: Option<&Path>) -> anyhow::Result<String> {
    read_or_make(dir, SIGNING_KEY, || Ok(SigningKey::generate()?))
}

/// Returns the VAPID key of the folder `dir`: PKCS #8 in PEM. Makes it if there is none. Without a
/// folder, it is new each time.
///
/// # Errors
/// The key cannot be made, or its file cannot be read or written.
pub fn vapid_key(dir: Option<&Path>) -> anyhow::Result<String> {
    read_or_make(dir, VAPID_KEY, || Ok(VapidKey::generate()?))
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
