//! The deletion of the user's account.

use super::ending::note_deleted;
use super::{Messenger, MessengerError, Person};
use crate::store::DeviceStoreError;
use crate::{ClientError, SignInChallenge, SignalSessions, Transport};

impl<T: Transport, S: SignalSessions> Messenger<T, S> {
    /// Returns the challenge of the sign-in that a deletion needs. The ID token must carry its nonce. It is
    /// kept until a sign-in or a deletion with it has succeeded.
    ///
    /// # Errors
    /// [`DeviceStoreError`]
    pub fn deletion_challenge(&self) -> Result<SignInChallenge, DeviceStoreError> {
        self.store.write(|tx| match tx.challenge(&self.device)? {
            Some(kept) => Ok(kept),
            None => {
                let drawn = self.device.challenge();
                tx.keep_challenge(&drawn)?;
                Ok(drawn)
            }
        })
    }

    /// Returns true if the server says that the account was deleted. One call.
    ///
    /// # Errors
    /// There is no answer, or another one than the chain.
    pub async fn is_account_deleted(&self) -> Result<bool, MessengerError> {
        match self.device.chain(self.device.user()).await {
            Ok(_) => Ok(false),
            Err(error) if error.is_gone() => {
                note_deleted(&self.store, self.now_ms())?;
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// True if the server of a person has called their account deleted, and has not shown their devices since.
    /// Nothing can be sent to them.
    ///
    /// # Errors
    /// [`DeviceStoreError`] if the store cannot be read.
    pub fn is_person_deleted(&self, person: &Person) -> Result<bool, DeviceStoreError> {
        self.store.read(|tx| tx.is_person_deleted(&person.actor()))
    }

    /// Reads the chain of a person of whom a server has said that their account was deleted. It is their own
    /// server that counts. One call.
    pub(super) async fn check_deleted(&self, error: &MessengerError, actor: &str) {
        if let MessengerError::Client(ClientError::Problem(problem)) = error
            && problem.slug() == "user-deleted"
            && let Some(person) = Person::of(actor)
        {
            // Without an answer nothing more is known of it.
            let _ = Box::pin(self.look_again(&person)).await;
        }
    }

    /// Deletes the account of this device's user, with everything that the server has of it, after a fresh
    /// sign-in: `id_token` was made for the [`deletion_challenge`](Self::deletion_challenge) by this issuer,
    /// for this audience. Keys and messages in this store stay. An account that is gone already counts as
    /// deleted, so that it may be repeated.
    ///
    /// # Errors
    /// [`MessengerError::IdToken`] if the token was made for something else: nothing is sent then;
    /// [`MessengerError::Pending`], [`MessengerError::Revoked`] and the refusals of
    /// [`Device::delete_account`](crate::Device::delete_account). After an error without an answer the
    /// account may be deleted.
    pub async fn delete_account(
        &self,
        issuer: &str,
        audience: &str,
        id_token: &str,
    ) -> Result<(), MessengerError> {
        let id_token = self.deletion_challenge()?.accept(id_token, issuer, audience)?;
        self.device.delete_account(&id_token).await?;
        note_deleted(&self.store, self.now_ms())?;
        self.device.set_tokens(None);
        Ok(self.store.write(|tx| {
            tx.keep_tokens(None)?;
            tx.forget_challenge()
        })?)
    }
}
