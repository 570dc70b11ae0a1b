//! Tokens: made, listed, taken back, and asked at every request over TCP, from memory.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use crate::access::{Caller, Scopes, Secret, Subject, TokenDigest, TokenName, TokenRecord};
use crate::clock::Now;
use crate::scheduler::Write;
use crate::store::{Batch, Store, StoreError};

/// Tokens at once: each request is compared with all of them, in some 20 us.
const TOKENS_MAX: usize = 1_000;

/// Why a token was not made, or not taken back.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Its jobs would belong to both.
    #[error("there is a token {0} already; revoke it first, or give the new one another name")]
    Exists(TokenName),
    /// Nobody has it.
    #[error("there is no token {0}")]
    Missing(TokenName),
    /// There are too many.
    #[error("there are {TOKENS_MAX} tokens, as many as allowed; revoke some")]
    TooMany,
    /// The system gave no random bytes.
    #[error("the system has no random bytes: {0}")]
    Random(String),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The tokens of a host.
#[derive(Debug)]
pub struct Tokens {
    store: Store,
    held: RwLock<Vec<Held>>,
    /// Those who change them do so one after the other.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Held {
    record: TokenRecord,
    caller: Arc<Caller>,
}

impl Held {
    fn new(record: TokenRecord) -> Self {
        let caller = Caller::token(Subject::Token(record.name.clone()), record.scopes);
        Self { record, caller: Arc::new(caller) }
    }
}

impl Tokens {
    /// Those of a store. Blocks on the disk.
    pub(super) fn load(store: Store) -> Result<Self, StoreError> {
        let held = store.reader()?.tokens()?.into_iter().map(Held::new).collect();
        Ok(Self { store, held: RwLock::new(held), turn: tokio::sync::Mutex::default() })
    }

    /// All of them, by name; those that are over as well.
    #[must_use]
    pub fn list(&self) -> Vec<TokenRecord> {
        let mut records: Vec<_> = self.read().iter().map(|held| held.record.clone()).collect();
        records.sort_by(|a, b| a.name.cmp(&b.name));
        records
    }

    /// Who has the token of this digest; none if it is worth nothing. All of them are compared, whichever it is.
    #[must_use]
    pub fn caller(&self, digest: &TokenDigest) -> Option<Arc<Caller>> {
        let now = Now::read().wall;
        let held = self.read();
        let equal =
            held.iter().fold(None, |found, held| if held.record.digest.is_equal(digest) { Some(held) } else { found });
        equal.filter(|held| held.record.is_valid(now)).map(|held| Arc::clone(&held.caller))
    }

    /// Makes a token. Durable when this returns; the secret is known to nobody but the caller.
    ///
    /// # Errors
    /// If there is one of the name, or it cannot be stored.
    pub async fn create(
        &self,
        name: TokenName,
        scopes: Scopes,
        lifetime_ms: Option<u64>,
    ) -> Result<(Secret, TokenRecord), TokenError> {
        let _turn = self.turn.lock().await;
        {
            let held = self.read();
            if held.iter().any(|held| held.record.name == name) {
                return Err(TokenError::Exists(name));
            }
            if held.len() >= TOKENS_MAX {
                return Err(TokenError::TooMany);
            }
        }
        let mut random = [0; 32];
        getrandom::fill(&mut random).map_err(|error| TokenError::Random(error.to_string()))?;
        let secret = Secret::from_random(random);
        let created_at = Now::read().wall;
        let expires_at = lifetime_ms.map(|lifetime| created_at.plus(lifetime));
        let record = TokenRecord { name, scopes, digest: secret.digest(), created_at, expires_at };
        self.write(Write::InsertToken(record.clone())).await?;
        self.held.write().unwrap_or_else(PoisonError::into_inner).push(Held::new(record.clone()));
        Ok((secret, record))
    }

    /// Takes a token back: the next request with it is refused, and its streams end. Durable when this returns.
    ///
    /// # Errors
    /// If there is none of the name, or that cannot be stored.
    pub async fn revoke(&self, name: &TokenName) -> Result<(), TokenError> {
        let _turn = self.turn.lock().await;
        if !self.read().iter().any(|held| held.record.name == *name) {
            return Err(TokenError::Missing(name.clone()));
        }
        self.write(Write::RemoveToken(name.clone())).await?;
        self.held.write().unwrap_or_else(PoisonError::into_inner).retain(|held| held.record.name != *name);
        Ok(())
    }

    async fn write(&self, write: Write) -> Result<(), StoreError> {
        self.store.commit(Batch { writes: vec![write], ..Batch::default() }).await.map(drop)
    }

    fn read(&self) -> RwLockReadGuard<'_, Vec<Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::Scope;
    use crate::store::OpenMode;

    fn name(text: &str) -> TokenName {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_token_is_known_until_it_is_revoked_and_over_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), OpenMode::CreateIfMissing).unwrap().store;
        let tokens = Tokens::load(store.clone()).unwrap();
        let scopes = Scopes::from_iter([Scope::Read]);
        let (ci, record) = tokens.create(name("ci"), scopes, None).await.unwrap();
        let (other, _) = tokens.create(name("other"), Scopes::ALL, Some(60_000)).await.unwrap();
        assert!(matches!(tokens.create(name("ci"), scopes, None).await, Err(TokenError::Exists(_))));
        assert_ne!(ci.expose(), other.expose());
        let again = Tokens::load(store).unwrap();
        for tokens in [&tokens, &again] {
            assert_eq!(tokens.caller(&ci.digest()).unwrap().subject.to_string(), "token:ci");
            assert!(tokens.caller(&other.digest()).unwrap().scopes.has(Scope::Admin));
            assert!(tokens.caller(&TokenDigest::of(b"guessed")).is_none());
            assert_eq!(tokens.list()[0], record);
        }
        tokens.revoke(&name("ci")).await.unwrap();
        assert!(tokens.caller(&ci.digest()).is_none());
        assert!(matches!(tokens.revoke(&name("ci")).await, Err(TokenError::Missing(_))));
        let bytes = std::fs::read(directory.path().join("store.db-wal")).unwrap();
        let secret = other.expose().as_bytes();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "only the digest is stored");
    }

    #[tokio::test]
    async fn a_token_that_is_over_is_worth_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path(), OpenMode::CreateIfMissing).unwrap().store;
        let tokens = Tokens::load(store).unwrap();
        let (secret, _) = tokens.create(name("short"), Scopes::ALL, Some(0)).await.unwrap();
        assert!(tokens.caller(&secret.digest()).is_none());
        assert_eq!(tokens.list().len(), 1);
    }
}
