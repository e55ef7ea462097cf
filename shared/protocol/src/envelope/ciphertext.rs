//! Ciphertexts of an envelope.

use serde::{Deserialize, Serialize};

use crate::address::check_url;
use crate::json::only_as_object;
use crate::limits::MAX_CONTENT_BYTES;
use crate::{Invalid, key};

/// The encrypted content of an envelope for one device: an item of `messages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressedCiphertext {
    /// The address of the device that can decrypt it.
    pub to: String,
    /// The ciphertext: 1 to [`MAX_CONTENT_BYTES`] bytes.
    pub content: Vec<u8>,
}

/// An item of `messages` as it travels.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Self")]
pub(super) struct WireCiphertext {
    pub(super) to: String,
    pub(super) from: String,
    content: String,
}

only_as_object!(WireCiphertext);

impl WireCiphertext {
    /// Checks the address and decodes the content.
    pub(super) fn read(self) -> Result<AddressedCiphertext, Invalid> {
        check_url(&self.to).map_err(|fault| fault.under("/to"))?;
        // Four characters carry three bytes. A text that is too long is refused without decoding.
        let most = MAX_CONTENT_BYTES.div_ceil(3).saturating_mul(4);
        if self.content.len() > most {
            return Err(too_long());
        }
        let content = key::decode(&self.content).map_err(|fault| fault.under("/content"))?;
        match content.len() {
            0 => Err(Invalid::at("/content", "is empty")),
            length if length > MAX_CONTENT_BYTES => Err(too_long()),
            _ => Ok(AddressedCiphertext { to: self.to, content }),
        }
    }
}

fn too_long() -> Invalid {
    Invalid::at("/content", format!("is more than {MAX_CONTENT_BYTES} bytes"))
}
