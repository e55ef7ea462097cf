//! Actors, as the library handles them.

use activitypub_federation::config::Data;
use activitypub_federation::error::Error;
use activitypub_federation::fetch::object_id::ObjectId;
use activitypub_federation::http_signatures::generate_actor_keypair;
use activitypub_federation::kinds::actor::PersonType;
use activitypub_federation::protocol::public_key::PublicKey;
use activitypub_federation::protocol::verification::verify_domains_match;
use activitypub_federation::traits::{Actor, Object};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::App;

/// An actor of this server or of another one.
#[derive(Clone, Debug)]
pub struct Account {
    pub id: ObjectId<Self>,
    inbox: Url,
    public_key: String,
    /// The private key, of this server's actor only.
    private_key: Option<String>,
}

/// The document of an actor.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Person {
    #[serde(rename = "type")]
    kind: PersonType,
    id: ObjectId<Account>,
    preferred_username: String,
    inbox: Url,
    public_key: PublicKey,
    /// The collection of key packages, which this server's actor names for a `Take`.
    #[serde(rename = "eko:keyPackages")]
    key_packages: Option<Url>,
}

impl Account {
    /// Returns the actor of the server at `domain`.
    pub fn local(domain: &str) -> Self {
        let keys = generate_actor_keypair().unwrap();
        let url = |path: &str| Url::parse(&format!("http://{domain}/user/actor{path}")).unwrap();
        Self {
            id: url("").into(),
            inbox: url("/inbox"),
            public_key: keys.public_key,
            private_key: Some(keys.private_key),
        }
    }
}

#[async_trait::async_trait]
impl Object for Account {
    type DataType = App;
    type Kind = Person;
    type Error = Error;

    async fn read_from_id(id: Url, data: &Data<App>) -> Result<Option<Self>, Error> {
        if *data.actor.id.inner() == id {
            return Ok(Some(data.actor.clone()));
        }
        Ok(data.fetched.lock().unwrap().iter().find(|account| *account.id.inner() == id).cloned())
    }

    async fn into_json(self, _: &Data<App>) -> Result<Person, Error> {
        Ok(Person {
            kind: PersonType::Person,
            preferred_username: "actor".to_owned(),
            inbox: self.inbox.clone(),
            public_key: self.public_key(),
            key_packages: Some(Url::parse(&format!("{}/keyPackages", self.id.inner()))?),
            id: self.id,
        })
    }

    async fn verify(person: &Person, domain: &Url, _: &Data<App>) -> Result<(), Error> {
        verify_domains_match(person.id.inner(), domain)
    }

    async fn from_json(person: Person, data: &Data<App>) -> Result<Self, Error> {
        let account = Self {
            id: person.id,
            inbox: person.inbox,
            public_key: person.public_key.public_key_pem,
            private_key: None,
        };
        data.fetched.lock().unwrap().push(account.clone());
        Ok(account)
    }
}

impl Actor for Account {
    fn id(&self) -> Url {
        self.id.inner().clone()
    }

    fn public_key_pem(&self) -> &str {
        &self.public_key
    }

    fn private_key_pem(&self) -> Option<String> {
        self.private_key.clone()
    }

    fn inbox(&self) -> Url {
        self.inbox.clone()
    }
}
