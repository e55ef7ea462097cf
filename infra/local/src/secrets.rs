//! The secret that local access tokens are signed with: made on the first start, kept in the data folder.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use eko_service::config::TokenKey;
use eko_service::state::Random;

const FILE: &str = "token-keys";

/// The token keys of `dir`, made if there are none; only in memory without a folder.
pub fn token_keys(dir: Option<&Path>, random: &Random) -> anyhow::Result<Vec<TokenKey>> {
    let Some(dir) = dir else { return Ok(TokenKey::list(&fresh(random))?) };
    let path = dir.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = fresh(random);
            write_private(&path, text.as_bytes())
                .with_context(|| format!("cannot write {}", path.display()))?;
            text
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    TokenKey::list(text.trim()).with_context(|| format!("{} is damaged", path.display()))
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
