//! Beginning sessions, and encrypting envelopes for the devices of their recipients.

use std::collections::BTreeSet;

use eko_protocol::id::{DeviceId, EnvelopeId};
use eko_protocol::key_package::KeyPackage;

use super::contact::Contact;
use super::resending::RESENT_FOR_DAYS;
use super::{Distrust, Messenger, MessengerError, ProgressStep};
use crate::content::{Activity, FrankedContent, MAX_VOID, with_key};
use crate::device::TakenPackages;
use crate::sessions::{LocalDevice, PeerDevice};
use crate::store::{DeviceStoreError, Transaction};
use crate::{ClientError, SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns this device as sessions see it.
    pub(super) fn own<'a>(&'a self, address: &'a str) -> LocalDevice<'a> {
        LocalDevice {
            address,
            identity: self.device.keys().identity(),
            registration_id: self.device.keys().registration_id(),
            environment: &self.environment,
        }
    }

    /// Makes the ciphertexts of an envelope for those of these devices that have none yet. Begins a
    /// session where there is none, where the Signal library has ended it because the device never
    /// answered, and where it is to be renewed.
    pub(super) async fn encrypt(
        &self,
        envelope: &EnvelopeId,
        contact: &Contact,
        devices: &BTreeSet<String>,
    ) -> Result<(), MessengerError> {
        let _one = self.beginning.lock().await;
        let now_ms = self.now_ms();
        let (without, is_first, plaintext) = self.store.read(|tx| {
            let have: Vec<_> = tx.ciphertexts(envelope)?.into_iter().map(|sent| sent.device).collect();
            let mut without = Vec::new();
            for device in devices.iter().filter(|device| !have.contains(device)) {
                let usable = match tx.session(device)? {
                    Some(known) => {
                        !known.should_renew(now_ms) && self.sessions.usable(&known.record, now_ms)?
                    }
                    None => false,
                };
                without.push((device.clone(), usable));
            }
            Ok::<_, MessengerError>((without, have.is_empty(), tx.plaintext(envelope)?))
        })?;
        let mut plaintext = plaintext.ok_or(DeviceStoreError::Corrupt("envelope"))?;
        let begin: Vec<&str> =
            without.iter().filter(|(_, usable)| !usable).map(|(device, _)| device.as_str()).collect();
        let packages = if begin.is_empty() { Vec::new() } else { self.packages(contact, &begin).await? };
        let (actor, address) = (contact.person.actor(), self.device.address());
        let own = self.own(&address);
        self.store.write(|tx| {
            // An earlier version of this library has made it without a key.
            if is_first
                && let Some(sent) = tx.envelope(envelope.as_str())?.filter(|it| it.resent_to.is_none())
                && let Some(keyed) = self.with_new_key(&sent.recipient, &plaintext)
            {
                tx.put_plaintext(envelope, &keyed)?;
                plaintext = keyed;
            }
            if is_first && let Some(stated) = self.with_void(tx, envelope, &plaintext)? {
                tx.put_plaintext(envelope, &stated)?;
                plaintext = stated;
            }
            for (device, _) in &without {
                let Some(listed) = contact.listed(device) else { continue };
                let peer = PeerDevice { address: device, identity: &listed.identity };
                let known = tx.session(device)?.map(|session| session.record);
                let package = packages.iter().find(|package| package.device == *device);
                let record = match (package, known) {
                    (Some(package), known) => self.sessions.begin(own, peer, package, known.as_deref())?,
                    (None, Some(known)) => known,
                    (None, None) => return Err(crate::SessionError::NoSession(device.clone()).into()),
                };
                let encrypted = self.sessions.encrypt(own, peer, &record, &plaintext)?;
                match package {
                    Some(_) => tx.keep_begun(&actor, device, &encrypted.record, now_ms)?,
                    None => tx.keep_sent(device, &encrypted.record)?,
                }
                tx.keep_ciphertext(envelope, device, &encrypted.content)?;
            }
            Ok(())
        })
    }

    /// Returns a note with the numbers before its own under which its recipient gets nothing, because the
    /// user has given up what had them, or it could not be sent. Returns `None` if there are none. They
    /// are known only now: what is older is sent first.
    fn with_void(
        &self,
        tx: &Transaction<'_>,
        id: &EnvelopeId,
        plaintext: &[u8],
    ) -> Result<Option<Vec<u8>>, MessengerError> {
        let Some(envelope) = tx.envelope(id.as_str())?.filter(|it| !it.silent) else { return Ok(None) };
        let since_ms = self.now_ms().saturating_sub(RESENT_FOR_DAYS * 24 * 3_600_000);
        let me = self.device.actor();
        let void = tx.void_for(&me, &envelope.message, &envelope.recipient, since_ms, MAX_VOID)?;
        if void.is_empty() {
            return Ok(None);
        }
        let activity = Activity::from_plaintext(plaintext)?;
        // A note that has no room for them goes without.
        let Ok(stated) = (Activity { void, ..activity }).to_plaintext() else { return Ok(None) };
        Ok(match FrankedContent::of(plaintext) {
            Some(franked) => with_key(&stated, &franked.key).ok(),
            None => Some(stated),
        })
    }

    /// Takes a key package of each of these devices, and checks them against the chain.
    async fn packages(&self, contact: &Contact, devices: &[&str]) -> Result<Vec<KeyPackage>, MessengerError> {
        let person = &contact.person;
        self.step(ProgressStep::Take { actor: person.actor(), devices: devices.len() });
        let ids: Vec<DeviceId> = devices
            .iter()
            .filter_map(|device| person.origin.parse_device(device))
            .map(|(_, id)| id)
            .collect();
        let here = person.origin == *self.device.origin();
        let taken = self
            .signed_in(async || match here {
                true => self.device.take_devices(&person.user, &ids).await,
                false => self.device.take_devices_from(&person.origin, &person.user, &ids).await,
            })
            .await;
        let checked = taken.and_then(|taken: TakenPackages| {
            taken.check(&person.origin, &contact.state)?;
            Ok(taken.packages)
        });
        match checked {
            Err(MessengerError::Client(ClientError::Untrusted(why))) => {
                Err(self.alarm(&person.actor(), Distrust::FalseKeys(why))?)
            }
            other => other,
        }
    }
}
