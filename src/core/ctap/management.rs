//! Requests to one key that look at the key itself or change it: its description, its PIN, its reset. Whether they may
//! be made is decided elsewhere.

use super::client::{Client, Exchange, KeyError, cbor_of};
use super::client_pin;
use super::ctap2::Info;
use super::description::{Description, read_description};
use super::u2f;
use crate::pin::{Pin, PinHash};
use crate::ports::{Keys, Moment};

/// Asks for a reset: everything on the key is lost (CTAP 2.1 section 6.6). The key wants a touch, and wants to have been
/// plugged in just before.
#[must_use]
pub fn reset() -> Vec<u8> {
    vec![0x07]
}

impl<K: Keys> Client<'_, '_, K> {
    /// What the key says of itself, all of it. From here on no response may be longer than it says, where it says so.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn describe(&mut self, until: Moment) -> Result<(Info, Description), KeyError> {
        let (info, payload) = self.info_and_more(until).await?;
        Ok((info, read_description(&payload)?))
    }

    /// The version that a first-generation key says it speaks; the text is the key's.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn u2f_version(&mut self, until: Moment) -> Result<String, KeyError> {
        let data = self.u2f_message(&u2f::version(), until).await?;
        String::from_utf8(data).map_err(|_| KeyError::Malformed)
    }

    /// Gives the key this PIN: its first one, or another than the one whose hash is `old`. One try of the old one is spent
    /// on it.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub async fn set_pin(
        &mut self,
        exchange: &Exchange<'_>,
        old: Option<(&PinHash, &[u8; 16])>,
        new: &Pin,
        until: Moment,
    ) -> Result<(), KeyError> {
        let Exchange { shared, ours, random, .. } = exchange;
        let new = shared.encrypt(random, &*new.padded()).ok_or(KeyError::Malformed)?;
        let old = match old {
            Some((hash, random)) => {
                Some(shared.encrypt(random, hash.bytes()).ok_or(KeyError::Malformed)?)
            }
            None => None,
        };
        let both = [&new[..], old.as_deref().unwrap_or_default()].concat();
        let param = shared.authenticate(&both).ok_or(KeyError::Malformed)?;
        let request = client_pin::set_pin(shared.protocol(), ours, &param, &new, old.as_deref());
        let response = self.silent_call(&request, until).await?;
        cbor_of(&response).map(|_nothing| ())
    }
}
