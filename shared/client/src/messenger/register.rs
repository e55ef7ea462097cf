//! Signing in and out.

use eko_protocol::address::{Handle, Origin, UserName};

use super::awaiting::awaits_move;
use super::clocks::of_clock;
use super::ending::{note_deleted, note_said_end};
use super::{Distrust, JoinState, Messenger, MessengerError};
use crate::device::{JoinKind, RegistrationStatus, SignInOutcome};
use crate::joining::JoiningCode;
use crate::store::{DeviceStore, DeviceStoreError};
use crate::{
    ClientError, Device, DeviceKeys, Environment, IdToken, KeyCounts, ProblemDetails, SignInChallenge,
    SignalSessions, Transport,
};

/// The parameters of a sign-in.
#[derive(Clone)]
pub struct SignInRequest {
    /// The server.
    pub origin: Origin,
    /// The issuer that the server trusts.
    pub issuer: String,
    /// The client id that ID tokens must be made for.
    pub audience: String,
    /// The user's name, which may be new.
    pub user: UserName,
    /// The user's name for this device. It is sent in the clear.
    pub device_name: Option<String>,
    /// The numbers of keys that a new device begins with, and tops up to.
    pub counts: KeyCounts,
    /// True if this device replaces all others of the user, who has lost them. Every correspondent
    /// is told.
    pub reset: bool,
}

/// A sign-in whose keys are in the store, and which waits for the ID token.
pub struct PreparedSignIn<T> {
    device: Device<T>,
    store: DeviceStore,
    environment: Environment,
    challenge: SignInChallenge,
    issuer: String,
    audience: String,
    reset: bool,
    /// The actor id of the account from which the user moves to this one.
    moved_from: Option<String>,
    /// True if the device was made by this preparation, so that no server can know it.
    is_new: bool,
}

impl<T: Transport> PreparedSignIn<T> {
    /// Prepares a sign-in, without a call. If the store has a device, that device will prove itself
    /// again. Otherwise the keys of a new one are made and kept.
    ///
    /// The challenge is kept until a sign-in with it has succeeded, so the user may sign in at the
    /// issuer with another program, or after a restart.
    ///
    /// # Errors
    /// [`MessengerError::ResetHere`] if a reset needs a new store; [`MessengerError::Invalid`] if
    /// the store belongs to another user; [`MessengerError::Store`].
    pub fn new(
        transport: T,
        store: DeviceStore,
        environment: Environment,
        request: SignInRequest,
    ) -> Result<Self, MessengerError> {
        let SignInRequest { origin, issuer, audience, user, device_name, counts, reset } = request;
        if reset && store.is_registered()? {
            return Err(MessengerError::ResetHere);
        }
        let known = store.read(|tx| tx.account())?;
        let is_new = known.is_none();
        let device = match known {
            Some(account) if account.origin != origin || account.user != user => {
                let whose = format!("this store is of {}", account.origin.actor(&account.user));
                return Err(eko_protocol::Invalid::whole(whose).into());
            }
            Some(saved) => Device::restore(transport, saved, environment.clone()),
            None => {
                let keys = DeviceKeys::generate(counts, &environment)?;
                let mut device = Device::new(transport, origin, user, keys, environment.clone());
                if let Some(name) = device_name {
                    device = device.with_name(name);
                }
                store.write(|tx| {
                    keep_new(tx, &device)?;
                    tx.keep_key_counts(counts)
                })?;
                device
            }
        };
        let challenge = store.write(|tx| match tx.challenge(&device)? {
            Some(kept) => Ok(kept),
            None => {
                let drawn = device.challenge();
                tx.keep_challenge(&drawn)?;
                Ok::<_, DeviceStoreError>(drawn)
            }
        })?;
        let moved_from = None;
        Ok(Self { device, store, environment, challenge, issuer, audience, reset, moved_from, is_new })
    }

    /// Makes the account one that takes over from the account with this actor id, from which the user
    /// moves. It must be a new one.
    #[must_use]
    pub fn after(self, old_actor: String) -> Self {
        Self { moved_from: Some(old_actor), ..self }
    }

    /// Succeeds unless somebody has the name, or has had it, as the server says. A device that this store has
    /// had before may have it: its registration says so. One call.
    ///
    /// # Errors
    /// [`MessengerError::NotNew`] or [`MessengerError::PersonDeleted`]; those of the call.
    pub async fn require_new_name(&self) -> Result<(), MessengerError> {
        match self.is_new && exists(&self.device).await? {
            true => Err(MessengerError::NotNew),
            false => Ok(()),
        }
    }

    /// Returns the challenge. The ID token must carry its nonce.
    pub fn challenge(&self) -> &SignInChallenge {
        &self.challenge
    }

    /// Signs in with the ID token that the issuer made for the challenge. A device that the server
    /// knows proves itself again. Any other is registered: as the user's first, or as one that waits
    /// until another approves it.
    ///
    /// The keys are in the store, so a registration whose answer was lost goes on where it was. A
    /// device that waits shows the code of [`Messenger::joining_code`].
    ///
    /// # Errors
    /// [`MessengerError::IdToken`] if the token was made for something else: nothing is sent then;
    /// [`MessengerError::Distrust`] if the server shows a chain in which this device was not
    /// approved, or that this device did not begin though it is the first;
    /// [`MessengerError::Client`] with the problem `name-taken`, `account-exists` or another;
    /// [`MessengerError::Revoked`] or [`MessengerError::Forgotten`] if the device can no longer be
    /// used and a new store is needed; [`MessengerError::ResetHere`] if a reset needs a new store;
    /// [`MessengerError::NothingToReset`] if the server shows no devices to reset;
    /// [`MessengerError::NotNew`] if the user moves to an account that is there already;
    /// [`MessengerError::AwaitsMove`] if the store has a copy of an account from which the user moves, and this
    /// is another sign-in.
    pub async fn complete<S: SignalSessions>(
        self,
        sessions: S,
        id_token: &str,
    ) -> Result<(Messenger<T, S>, SignInOutcome), MessengerError> {
        let Self { device, store, environment, challenge, issuer, audience, reset, moved_from, is_new } =
            self;
        let id_token = challenge.accept(id_token, &issuer, &audience)?;
        let again = if is_new { None } else { sign_in_again(&device, &store, &id_token).await? };
        let registered = match again {
            // The answer to an earlier registration was lost, which was none by a reset.
            Some(registered) if reset && registered.status == RegistrationStatus::Pending => {
                return Err(MessengerError::ResetHere);
            }
            Some(registered) => registered,
            // A device that was registered once is not registered again: a server that does not
            // know it has lost its data, and with it the chain that others have pinned.
            None if !is_new && device.keys().first().signed_pre_key.is_none() => {
                return Err(MessengerError::Forgotten);
            }
            None => {
                store.write(|tx| await_move(tx, &device, moved_from.as_deref()))?;
                register(&device, &store, &id_token, reset, moved_from).await?
            }
        };
        store.write(|tx| {
            tx.keep_tokens(device.tokens().as_ref())?;
            tx.forget_challenge()?;
            tx.forget_said_end()?;
            if reset {
                // What was taken over before the user asked for the reset.
                tx.forget_groups()?;
                tx.drop_own_move()?;
            }
            tx.registered()
        })?;
        let messenger = Messenger::new(device, sessions, store, environment);
        let outcome = messenger.membership(registered).await?;
        Ok((messenger, outcome))
    }
}

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Decides whether this device is one of its user's devices, and which devices there are. The
    /// server's word for it counts only if it says that the device waits.
    async fn membership(&self, said: SignInOutcome) -> Result<SignInOutcome, MessengerError> {
        let waits = self.kept_code()?.is_some();
        if waits && said.status == RegistrationStatus::Pending {
            return Ok(said);
        }
        if waits && self.join().await? == JoinState::Waiting {
            return Err(self.alarm(&self.device.actor(), Distrust::NotApproved)?);
        }
        let own = self.look_again(&self.me()).await?;
        if !own.active().contains(&self.device.address()) {
            return Err(MessengerError::Revoked);
        }
        let device_set = own.device_set().ok_or(DeviceStoreError::Corrupt("device chain"))?;
        Ok(SignInOutcome { status: RegistrationStatus::Active, device_set })
    }

    /// Ends the tokens of this device, on the server and here. Other processes that use the store see it
    /// before their next call. Keys, sessions and messages stay.
    ///
    /// # Errors
    /// Those of every call. The device then stays signed in.
    pub async fn sign_out(&self) -> Result<(), MessengerError> {
        // Another process may have replaced those that this one began with.
        self.device.set_tokens(self.store.read(|tx| tx.tokens())?);
        match self.device.logout().await {
            Ok(()) | Err(ClientError::NotSignedIn) => Ok(self.store.write(|tx| tx.keep_tokens(None))?),
            Err(error) => Err(error.into()),
        }
    }
}

fn keep_new<T: Transport>(
    tx: &crate::store::Transaction<'_>,
    device: &Device<T>,
) -> Result<(), DeviceStoreError> {
    let now_ms = device.environment().now_ms();
    tx.keep_device(device, now_ms)?;
    tx.forget_carried_self()?;
    match device.keys().last_resort() {
        Some(key) => tx.note_last_resort(key.id),
        None => Ok(()),
    }
}

/// Has the account wait for the move from another one, before any server knows its device: a copy of what that
/// account has must become no other account. Once that one is left, a new device may take the place of this one.
fn await_move<T: Transport>(
    tx: &crate::store::Transaction<'_>,
    device: &Device<T>,
    moved_from: Option<&str>,
) -> Result<(), MessengerError> {
    let Some(awaited) = tx.awaited_move()? else {
        return Ok(moved_from.map_or(Ok(()), |from| tx.await_move(from))?);
    };
    match awaited.is_left || moved_from == Some(awaited.from.as_str()) {
        true => Ok(()),
        false => Err(awaits_move(&device.actor(), &awaited)),
    }
}

/// Gets fresh tokens for a device that was registered before. Returns `None` if the server does not
/// know it.
async fn sign_in_again<T: Transport>(
    device: &Device<T>,
    store: &DeviceStore,
    id_token: &IdToken,
) -> Result<Option<SignInOutcome>, MessengerError> {
    match device.sign_in_again(id_token).await {
        Ok(registered) => Ok(Some(registered)),
        Err(ClientError::Problem(problem)) if is_unknown(&problem) => Ok(None),
        Err(error) => {
            let error = MessengerError::from(error);
            match error {
                MessengerError::Revoked => note_said_end(store, device.environment().now_ms())?,
                MessengerError::AccountDeleted => note_deleted(store, device.environment().now_ms())?,
                _ => {}
            }
            Err(error)
        }
    }
}

/// True if there is no such device, or no such user: then the server asks for a user name.
fn is_unknown(problem: &ProblemDetails) -> bool {
    problem.status == 404 || problem.pointer.as_deref() == Some("/username")
}

/// True if the server shows devices of the user whose device this is.
async fn exists<T: Transport>(device: &Device<T>) -> Result<bool, MessengerError> {
    match device.chain(device.user()).await {
        Ok((nodes, _)) => Ok(!nodes.is_empty()),
        Err(ClientError::Problem(problem)) if problem.status == 404 => Ok(false),
        Err(error) if error.is_gone() => {
            let handle = Handle::new(device.user().clone(), device.origin());
            Err(MessengerError::PersonDeleted(handle.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Registers a device. The joining code of a further one is kept before anything is sent, so that
/// the device shows the same code if the answer is lost.
async fn register<T: Transport>(
    device: &Device<T>,
    store: &DeviceStore,
    id_token: &IdToken,
    reset: bool,
    moved_from: Option<String>,
) -> Result<SignInOutcome, MessengerError> {
    let exists = exists(device).await?;
    // Without this the device would begin a chain of its own, as if nobody had the name.
    if reset && !exists {
        return Err(MessengerError::NothingToReset);
    }
    if exists && moved_from.is_some() {
        return Err(MessengerError::NotNew);
    }
    let joining = store.write(|tx| match (exists, reset) {
        (true, false) => {
            let known = tx.joining_code()?;
            let code = known.unwrap_or_else(|| JoiningCode::generate(device.environment()));
            tx.keep_joining_code(&code)?;
            Ok(JoinKind::Further(code))
        }
        (false, _) => {
            tx.forget_joining_code().map(|()| moved_from.map_or(JoinKind::First, JoinKind::FirstAfter))
        }
        (true, true) => tx.forget_joining_code().map(|()| JoinKind::Reset),
    });
    let joining: Result<JoinKind, DeviceStoreError> = joining;
    let registered = device.register(id_token, joining?).await;
    registered.map_err(|error| of_clock(device, error.into()))
}
