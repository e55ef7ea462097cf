//! Who plays, and where.

use anyhow::{Context as _, bail};
use eko_client::capabilities::Capabilities;
use eko_client::{ClientError, Device, DeviceKeys, Environment, Http, KeyCounts, TransportError};
use eko_protocol::address::UserName;

use super::issuer::Issuer;
use super::recorded::Recorded;
use super::transcript::Transcript;

/// What a device begins with here; a real one brings a hundred of each.
pub(super) const KEYS: KeyCounts = KeyCounts { pre_keys: 5, kyber_pre_keys: 3, last_resort: true };
/// Letters and digits of the suffix that makes user names new.
const SUFFIX_CHARS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A device and what people call it.
pub(super) struct Party {
    pub(super) label: &'static str,
    pub(super) device: Device<Recorded>,
}

/// The server, its issuer, and the devices.
pub(super) struct Stage {
    pub(super) transcript: Transcript,
    pub(super) issuer: Issuer,
    pub(super) environment: Environment,
    pub(super) alice: Party,
    /// Bob's first device.
    pub(super) phone: Party,
    /// Bob's second.
    pub(super) tablet: Party,
    /// Bob's third, which comes late.
    pub(super) laptop: Party,
}

impl Stage {
    /// Finds the server and makes the devices, each with its own keys.
    pub(super) async fn open(url: &str, transcript: &Transcript) -> anyhow::Result<Self> {
        let environment = Environment::system();
        let http = Http::new()?;
        let transport = Recorded::new(http.clone().through(url)?, transcript);
        let capabilities = match Capabilities::fetch(&transport, url).await {
            Ok(capabilities) => capabilities,
            Err(ClientError::Transport(TransportError::Connect(reason))) => bail!(
                "no server listens at {url} ({reason})\n\nstart one in another terminal with\n\n    cargo run\n\n\
                 and run the demo again; where the server listens elsewhere, say where with --url"
            ),
            Err(error) => {
                return Err(error).with_context(|| format!("{url} does not answer as an Eko server"));
            }
        };
        let issuer = Issuer::discover(Recorded::new(http, transcript), &capabilities).await?;
        let suffix = suffix(&environment);
        let alice = UserName::parse(&format!("alice_{suffix}"))?;
        let bob = UserName::parse(&format!("bob_{suffix}"))?;
        transcript.say(&format!(
            "{} speaks Eko {}, and trusts {} to say who is who.",
            capabilities.origin, capabilities.protocol_version, capabilities.issuer,
        ));
        transcript.say(&format!(
            "\n{alice} has one device, {bob} will have three. What they send is opaque ciphertext, made of random\n\
             bytes: this client has no ratchet yet, and the server could not tell the difference.",
        ));
        let party = |user: &UserName, label: &'static str, name: &str| {
            let keys = DeviceKeys::generate(KEYS, &environment)?;
            let (origin, user) = (capabilities.origin.clone(), user.clone());
            let device = Device::new(transport.clone(), origin, user, keys, environment.clone())?;
            anyhow::Ok(Party { label, device: device.with_name(name) })
        };
        Ok(Self {
            alice: party(&alice, "Alice's phone", "phone")?,
            phone: party(&bob, "Bob's phone", "phone")?,
            tablet: party(&bob, "Bob's tablet", "tablet")?,
            laptop: party(&bob, "Bob's laptop", "laptop")?,
            transcript: transcript.clone(),
            issuer,
            environment,
        })
    }

    /// Bob's name.
    pub(super) fn bob(&self) -> &UserName {
        self.phone.device.user()
    }
}

/// Four letters or digits, such as `x7k2`.
fn suffix(environment: &Environment) -> String {
    let letter = |byte: u8| SUFFIX_CHARS.get(usize::from(byte) % SUFFIX_CHARS.len()).copied();
    environment.bytes::<4>().into_iter().filter_map(letter).map(char::from).collect()
}
