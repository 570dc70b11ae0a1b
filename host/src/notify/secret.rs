//! The secret of a webhook, and what is signed with it: Standard Webhooks 1.0.0, symmetric signatures.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};

/// What a secret begins with, so that whoever finds one knows what it is.
const PREFIX: &str = "whsec_";
/// Bytes of a secret that a client gives (Standard Webhooks: 24 to 64).
const BYTES_MIN: usize = 24;
const BYTES_MAX: usize = 64;
/// Bytes of a secret that we draw: as many as the digest has.
const BYTES_DRAWN: usize = 32;
/// The version of the signature: symmetric.
const VERSION: &str = "v1";

/// The key of a webhook's signatures. `Debug` does not show it; it is told once, when the webhook is created.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// Why a text is no secret. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It looks like something else.
    #[error("must be {PREFIX} and then base64 of {BYTES_MIN} to {BYTES_MAX} bytes, with its padding")]
    Form,
    /// The length of the key.
    #[error("has a key of {0} bytes; {BYTES_MIN} to {BYTES_MAX} are allowed")]
    Length(usize),
}

impl Secret {
    /// Draws a secret.
    ///
    /// # Errors
    /// If the kernel gives no randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = vec![0; BYTES_DRAWN];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Reads a secret as clients give it: `whsec_` and base64.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let digits = text.strip_prefix(PREFIX).ok_or(SecretError::Form)?;
        let bytes = BASE64.decode(digits).map_err(|_| SecretError::Form)?;
        Self::from_bytes(bytes)
    }

    /// A secret of these bytes.
    ///
    /// # Errors
    /// If there are too few or too many.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, SecretError> {
        match bytes.len() {
            BYTES_MIN..=BYTES_MAX => Ok(Self(bytes)),
            length => Err(SecretError::Length(length)),
        }
    }

    /// The key, for the store.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The secret as it is told to who creates the webhook.
    #[must_use]
    pub fn expose_text(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(&self.0))
    }

    /// The value of `webhook-signature`: over the id, the time of the attempt in Unix seconds, and the body.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> String {
        let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("{VERSION},{}", BASE64.encode(mac.finalize().into_bytes()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification and of its reference libraries. The second was computed with Python's `hmac`.
    #[test]
    fn signatures_are_those_of_the_specification() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let secret = Secret::parse("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
        let signature = secret.sign("evt_0000beef_7", 1_795_176_000, b"{}");
        assert_eq!(signature, "v1,kiOjIdv5g2P6GmxmcI/CTleIHSK4goCukhYbtr1SdaY=");
    }

    #[test]
    fn a_secret_has_a_prefix_and_24_to_64_bytes() {
        let text = |length: usize| format!("whsec_{}", BASE64.encode(vec![7; length]));
        for length in [24, 32, 64] {
            let secret = Secret::parse(&text(length)).unwrap();
            assert_eq!(secret.expose_text(), text(length));
        }
        for length in [0, 23, 65] {
            assert_eq!(Secret::parse(&text(length)), Err(SecretError::Length(length)));
        }
        for wrong in ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS*"] {
            assert!(Secret::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_drawn_secret_is_another_each_time_and_is_not_shown() {
        let (first, second) = (Secret::generate().unwrap(), Secret::generate().unwrap());
        assert_ne!(first, second);
        assert_eq!(Secret::parse(&first.expose_text()), Ok(first.clone()));
        assert_eq!(format!("{first:?}"), "Secret(..)");
    }
}
