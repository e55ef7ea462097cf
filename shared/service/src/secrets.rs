//! The secrets of a function in Lambda: SecureString parameters of the SSM Parameter Store, read
//! once, in init.
//!
//! SSM answers 40 such requests a second unless its higher throughput is switched on
//! (`docs/operate.md`). A burst of cold starts can exceed that, so this request is tried more often
//! than others.

use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use lambda_runtime::Error;

use crate::aws::AwsAccount;
use crate::config::{
    ConfigError, Needs, SIGNING_KEY_PARAMETER, Secrets, TOKEN_KEYS_PARAMETER, VAPID_KEY_PARAMETER,
};

/// The most times that the request is tried. The last try begins some three seconds after the
/// first, within the ten seconds that init has.
const TRIES: u32 = 6;

/// Reads the secrets that a function needs.
///
/// One GetParameters; no call if no secret is needed.
///
/// # Errors
/// A [`ConfigError`] if a needed variable is not set or names a parameter that does not exist; the
/// text of the SDK's error if SSM does not answer.
pub(crate) async fn read(
    needs: Needs,
    get: impl Fn(&str) -> Option<String>,
    account: &AwsAccount,
) -> Result<Secrets, Error> {
    let token_keys = match get(TOKEN_KEYS_PARAMETER) {
        Some(name) if needs.token_keys => Some(name),
        None if needs.token_keys => {
            let reason = "is not set".to_owned();
            return Err(ConfigError { variable: TOKEN_KEYS_PARAMETER, reason }.into());
        }
        _ => None,
    };
    let signing_key = get(SIGNING_KEY_PARAMETER).filter(|_| needs.signing_key);
    let vapid_key = get(VAPID_KEY_PARAMETER).filter(|_| needs.vapid_key);
    let names: Vec<String> = [&token_keys, &signing_key, &vapid_key].into_iter().flatten().cloned().collect();
    if names.is_empty() {
        return Ok(Secrets::default());
    }
    let retries = RetryConfig::standard()
        .with_max_attempts(TRIES)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(1));
    let mut found = account.parameters(&names, &retries).await?;
    let mut take = |variable: &'static str, name: Option<String>| {
        let Some(name) = name else { return Ok(None) };
        match found.remove(&name) {
            Some(value) => Ok(Some(value)),
            None => {
                Err(ConfigError { variable, reason: format!("names {name}, and there is no such parameter") })
            }
        }
    };
    Ok(Secrets {
        token_keys: take(TOKEN_KEYS_PARAMETER, token_keys)?,
        signing_key: take(SIGNING_KEY_PARAMETER, signing_key)?,
        vapid_key: take(VAPID_KEY_PARAMETER, vapid_key)?,
    })
}
