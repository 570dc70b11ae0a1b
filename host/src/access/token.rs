//! Tokens: 256 random bits that stand for a subject. Shown once; what is kept is their SHA-256.

use std::fmt;

use sha2::Digest as _;

use super::scope::Scopes;
use super::subject::TokenName;
use crate::clock::UnixMillis;

/// Random bytes of a token: nobody guesses 256 bits, however fast it may try.
const SECRET_BYTES: usize = 32;
/// What a token begins with, so that scanners of repositories and logs know one.
const PREFIX: &str = "backhaul_";

/// A token as it is shown, once. It does not show itself otherwise.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A new one from random bytes.
    #[must_use]
    pub fn from_random(random: [u8; SECRET_BYTES]) -> Self {
        use fmt::Write as _;
        let mut text = String::from(PREFIX);
        for byte in random {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// For the one answer that shows it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is kept of it.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.0.as_bytes())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// SHA-256 of a token. Not slowed down: there is nothing to be tried out in 256 random bits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    /// Of what somebody presents.
    #[must_use]
    pub fn of(presented: &[u8]) -> Self {
        Self(sha2::Sha256::digest(presented).into())
    }

    /// Compares all bytes, whatever the first ones are: how long it takes tells nothing.
    #[must_use]
    pub fn is_equal(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(&other.0).fold(0, |difference, (a, b)| difference | (a ^ b));
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(..)")
    }
}

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// Its name; its jobs are owned by `token:NAME`.
    pub name: TokenName,
    /// What it may do.
    pub scopes: Scopes,
    /// Its digest.
    pub digest: TokenDigest,
    /// When it was made.
    pub created_at: UnixMillis,
    /// From when on it is worth nothing; none: never.
    pub expires_at: Option<UnixMillis>,
}

impl TokenRecord {
    /// Whether it is worth something at a time.
    #[must_use]
    pub fn is_valid(&self, now: UnixMillis) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_shown_only_on_purpose() {
        let secret = Secret::from_random([0xab; 32]);
        assert_eq!(secret.expose(), format!("backhaul_{}", "ab".repeat(32)));
        for shown in [format!("{secret:?}"), format!("{:?}", secret.digest())] {
            assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
        }
    }

    #[test]
    fn digests_are_equal_in_all_bytes_or_not() {
        let digest = Secret::from_random([7; 32]).digest();
        assert!(digest.is_equal(&TokenDigest::of(Secret::from_random([7; 32]).expose().as_bytes())));
        for position in 0..32 {
            let mut other = digest;
            other.0[position] ^= 1;
            assert!(!digest.is_equal(&other));
        }
    }
}
