//! The secrets of a local server: what access tokens are signed with, and the key that requests to other
//! servers are signed with. Made on the first start, kept in the data folder.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_federation::keys::SigningKey;
use eko_service::config::TokenKey;
use eko_service::state::Random;

const TOKEN_KEYS: &str = "token-keys";
const SIGNING_KEY: &str = "signing-key.pem";

/// The token keys of `dir`, made if there are none; only in memory without a folder. As [`TokenKey::list`]
/// reads them.
pub fn token_keys(dir: Option<&Path>, random: &Random) -> anyhow::Result<String> {
    let text = kept(dir, TOKEN_KEYS, || Ok(fresh(random)))?.trim().to_owned();
    TokenKey::list(&text).with_context(|| format!("{TOKEN_KEYS} is damaged"))?;
    Ok(text)
}

/// The signing key of `dir`, likewise: PKCS#8 in PEM.
pub fn signing_key(dir: Option<&Path>) -> anyhow::Result<String> {
    kept(dir, SIGNING_KEY, || Ok(SigningKey::generate()?))
}

/// What `dir` keeps under a name, made if there is none.
fn kept(
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
            write_private(&path, text.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            Ok(text)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn fresh(random: &Random) -> String {
    let mut secret = [0; 32];
    random(&mut secret);
    format!("local:{}", STANDARD.encode(secret))
}

/// Writes a new file that only its owner can read.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
