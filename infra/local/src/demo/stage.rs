//! The devices and servers of the demo.

use anyhow::{Context as _, bail};
use eko_client::capabilities::Capabilities;
use eko_client::device::TakenPackages;
use eko_client::{ClientError, Device, DeviceKeys, Environment, HttpTransport, KeyCounts, TransportError};
use eko_protocol::address::{Origin, UserName};
use eko_protocol::id::DeviceId;
use tokio::sync::Mutex;

use super::issuer::TrustedIssuer;
use super::listening::PartySocket;
use super::recording::RecordingTransport;
use super::transcript::Transcript;

/// The keys that a device publishes. A real device publishes a hundred of each kind.
pub(super) const KEYS: KeyCounts = KeyCounts { pre_keys: 5, kyber_pre_keys: 3, last_resort: true };

/// The letters and digits of the suffix that makes user names new.
const SUFFIX_CHARS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A device and its name in the transcript.
pub(super) struct Party {
    pub(super) label: &'static str,
    pub(super) device: Device<RecordingTransport>,
    /// The issuer where its user signs in.
    pub(super) issuer: TrustedIssuer,
    /// The address of its server's sockets.
    pub(super) live: Option<String>,
    /// The socket, if the device listens.
    pub(super) socket: Mutex<PartySocket>,
}

/// The servers, their issuers, and the devices.
pub(super) struct DemoStage {
    pub(super) transcript: Transcript,
    pub(super) environment: Environment,
    pub(super) alice: Party,
    /// Bob's first device.
    pub(super) phone: Party,
    /// Bob's second device.
    pub(super) tablet: Party,
    /// Bob's third device, which joins in scene 4.
    pub(super) laptop: Party,
}

/// A server that answered, and its issuer.
struct FoundServer {
    transport: RecordingTransport,
    capabilities: Capabilities,
    issuer: TrustedIssuer,
}

impl DemoStage {
    /// Finds the server, and makes the devices with their keys.
    ///
    /// # Errors
    /// No server answers at `url`, or its issuer is no development issuer.
    pub(super) async fn open(url: &str, transcript: &Transcript) -> anyhow::Result<Self> {
        let transport = RecordingTransport::new(HttpTransport::new()?.through(url)?, transcript);
        let home = FoundServer::find(url, transport, transcript).await?;
        home.introduce(transcript);
        Self::among(transcript, &home, &home)
    }

    /// Does as [`DemoStage::open`] with two servers at their public addresses, Alice's and Bob's.
    ///
    /// # Errors
    /// Those of [`DemoStage::open`].
    pub(super) async fn open_two(hers: &str, his: &str, transcript: &Transcript) -> anyhow::Result<Self> {
        let transport = RecordingTransport::new(HttpTransport::new()?, transcript).among_several();
        let hers = FoundServer::find(hers, transport.clone(), transcript).await?;
        hers.introduce(transcript);
        let his = FoundServer::find(his, transport, transcript).await?;
        his.introduce(transcript);
        Self::among(transcript, &hers, &his)
    }

    /// Makes the devices.
    fn among(transcript: &Transcript, hers: &FoundServer, his: &FoundServer) -> anyhow::Result<Self> {
        let environment = Environment::system();
        let suffix = suffix(&environment);
        let alice = UserName::parse(&format!("alice_{suffix}"))?;
        let bob = UserName::parse(&format!("bob_{suffix}"))?;
        transcript.say(&format!(
            "\n{alice} has one device, {bob} will have three. Their messages are random bytes in place of ciphertexts,\n\
             because this program is not linked with Signal's library, as the command eko is, and no server sees a difference.",
        ));
        let party = |home: &FoundServer, user: &UserName, label: &'static str, name: &str| {
            let keys = DeviceKeys::generate(KEYS, &environment)?;
            let (origin, user) = (home.capabilities.origin.clone(), user.clone());
            let device = Device::new(home.transport.clone(), origin, user, keys, environment.clone());
            // The demo's two servers are on this machine.
            let servers = [hers, his].map(|server| server.capabilities.origin.clone());
            let device = device.with_local_servers(servers.into());
            anyhow::Ok(Party {
                label,
                device: device.with_name(name),
                issuer: home.issuer.clone(),
                live: home.capabilities.live.clone(),
                socket: Mutex::default(),
            })
        };
        Ok(Self {
            alice: party(hers, &alice, "Alice's phone", "phone")?,
            phone: party(his, &bob, "Bob's phone", "phone")?,
            tablet: party(his, &bob, "Bob's tablet", "tablet")?,
            laptop: party(his, &bob, "Bob's laptop", "laptop")?,
            transcript: transcript.clone(),
            environment,
        })
    }

    /// Returns Bob's name.
    pub(super) fn bob(&self) -> &UserName {
        self.phone.device.user()
    }

    /// Returns Bob's server.
    pub(super) fn bobs_server(&self) -> &Origin {
        self.phone.device.origin()
    }

    /// Takes key packages of the given devices of Bob, or of all, for Alice. If Bob is on another
    /// server, her own server takes them there.
    ///
    /// # Errors
    /// The error of the call.
    pub(super) async fn take(&self, devices: Option<&[DeviceId]>) -> anyhow::Result<TakenPackages> {
        let (alice, there, bob) = (&self.alice.device, self.bobs_server(), self.bob());
        Ok(match (devices, alice.origin() == there) {
            (None, true) => alice.take(bob).await?,
            (None, false) => alice.take_from(there, bob).await?,
            (Some(devices), true) => alice.take_devices(bob, devices).await?,
            (Some(devices), false) => alice.take_devices_from(there, bob, devices).await?,
        })
    }
}

impl FoundServer {
    /// Fetches a server's description, and finds its issuer.
    async fn find(url: &str, transport: RecordingTransport, transcript: &Transcript) -> anyhow::Result<Self> {
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
        let issuer = TrustedIssuer::discover(
            RecordingTransport::new(HttpTransport::new()?, transcript),
            &capabilities,
        )
        .await?;
        // Sockets are at the server's own host, or elsewhere at their public address.
        let own = capabilities.origin.as_str().split_once("://").map_or("", |(_, host)| host);
        let is_elsewhere = capabilities.live.as_ref().is_some_and(|live| {
            live.split_once("://").is_none_or(|(_, rest)| rest.split('/').next() != Some(own))
        });
        let transport = if is_elsewhere { transport.with_sockets(HttpTransport::new()?) } else { transport };
        Ok(Self { transport, capabilities, issuer })
    }

    /// Writes the server's description into the transcript.
    fn introduce(&self, transcript: &Transcript) {
        let Capabilities { origin, protocol_version, issuer, .. } = &self.capabilities;
        transcript
            .say(&format!("{origin} speaks Eko {protocol_version}, and trusts {issuer} to say who is who."));
    }
}

/// Returns four random letters or digits, such as `x7k2`.
fn suffix(environment: &Environment) -> String {
    let letter = |byte: u8| SUFFIX_CHARS.get(usize::from(byte) % SUFFIX_CHARS.len()).copied();
    environment.bytes::<4>().into_iter().filter_map(letter).map(char::from).collect()
}
