//! Reads of the store beside the driver: a few at once, on threads for what blocks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use crate::store::{Reader, Store, StoreError};

/// Reads at once. 4: more than the processors of a small host can do, and each keeps a connection with its cache (2 MiB at most).
const READERS_MAX: usize = 4;

/// Connections for reading, opened as they are needed and kept.
#[derive(Debug)]
pub(super) struct Readers {
    store: Store,
    idle: Arc<Mutex<Idle>>,
    permits: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Idle {
    readers: Vec<Reader>,
    closed: bool,
}

impl Readers {
    pub(super) fn new(store: Store) -> Self {
        Self { store, idle: Arc::default(), permits: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    /// Reads when it is its turn. What was begun is ended even if nobody waits for it any more.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the semaphore is never closed");
        let (store, idle) = (self.store.clone(), Arc::clone(&self.idle));
        let task = move || {
            let _permit = permit;
            let reader = lock(&idle).readers.pop();
            let reader = reader.map_or_else(|| store.reader(), Ok)?;
            let result = read(&reader);
            let mut idle = lock(&idle);
            // One that met an error may have more of them; after the end, none may keep the store's lock.
            if result.is_ok() && !idle.closed {
                idle.readers.push(reader);
            }
            result
        };
        tokio::task::spawn_blocking(task)
            .await
            .expect("reading does not panic, and the runtime is not shut down while it is awaited")
    }

    /// Lets go of the store.
    pub(super) fn close(&self) {
        let mut idle = lock(&self.idle);
        idle.closed = true;
        idle.readers.clear();
    }
}

fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
