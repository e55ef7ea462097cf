use serde::{Deserialize, Serialize};

use crate::address::check_url;
use crate::json::only_as_object;
use crate::limits::MAX_CONTENT_BYTES;
use crate::{Invalid, key};

/// One message of an envelope: ciphertext for one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The address of the device it is for.
    pub to: String,
    /// The ciphertext: 1 to [`MAX_CONTENT_BYTES`] bytes.
    pub content: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Self")]
pub(super) struct WireMessage {
    pub(super) to: String,
    pub(super) from: String,
    content: String,
}

only_as_object!(WireMessage);

impl WireMessage {
    pub(super) fn read(self) -> Result<Message, Invalid> {
        check_url(&self.to).map_err(|fault| fault.under("/to"))?;
        // Four characters carry three bytes: what is longer need not be decoded to be refused.
        let most = MAX_CONTENT_BYTES.div_ceil(3).saturating_mul(4);
        if self.content.len() > most {
            return Err(too_long());
        }
        let content = key::decode(&self.content).map_err(|fault| fault.under("/content"))?;
        match content.len() {
            0 => Err(Invalid::at("/content", "is empty")),
            length if length > MAX_CONTENT_BYTES => Err(too_long()),
            _ => Ok(Message { to: self.to, content }),
        }
    }
}

fn too_long() -> Invalid {
    Invalid::at("/content", format!("is more than {MAX_CONTENT_BYTES} bytes"))
}
