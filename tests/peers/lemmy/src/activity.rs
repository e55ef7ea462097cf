//! Activities of any type, as the library handles them.

use activitypub_federation::config::Data;
use activitypub_federation::error::Error;
use activitypub_federation::traits::ActivityHandler;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use url::Url;

use crate::App;

/// An activity of any type. The library requires `id` and `actor`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct AnyActivity {
    id: Url,
    actor: Url,
    /// The other members.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[async_trait::async_trait]
impl ActivityHandler for AnyActivity {
    type DataType = App;
    type Error = Error;

    fn id(&self) -> &Url {
        &self.id
    }

    fn actor(&self) -> &Url {
        &self.actor
    }

    async fn verify(&self, _: &Data<App>) -> Result<(), Error> {
        Ok(())
    }

    async fn receive(self, data: &Data<App>) -> Result<(), Error> {
        *data.heard.lock().unwrap() = Some(serde_json::json!({ "activity": self }));
        Ok(())
    }
}
