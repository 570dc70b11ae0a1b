//! How much space there is where jobs wait for some.
//!
//! Every job that waits asks every few seconds, and many of them may lie in one directory: one look at it serves them all, and a file system
//! that does not answer has one thread wait for it in each directory, not one for each job and each time. Nothing here outlives a crash.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

/// Directories that are looked at, at the same time. A file system that does not answer may have them all; a look at one more has to wait
/// until one of them is over, and a job that asked tries again by itself.
const LOOKS_MAX: usize = 16;

/// How long a look serves those who come later: less than the time between two looks for one job.
const SERVES_FOR: Duration = Duration::from_secs(1);

/// Looks at directories, each at most once at a time.
#[derive(Debug, Default)]
pub(super) struct SpaceLooks(Mutex<HashMap<PathBuf, Look>>);

/// Bytes that may be written, and when they were found.
type Found = Option<(u64, Instant)>;

#[derive(Debug)]
struct Look {
    found: watch::Receiver<Found>,
    /// Blocks on the disk. Kept so that it has an owner; nobody needs to wait for it.
    task: JoinHandle<()>,
}

impl Look {
    fn begin(look: impl FnOnce() -> u64 + Send + 'static) -> Self {
        let (found_tx, found) = watch::channel(None);
        let task = spawn_blocking(move || {
            let bytes = look();
            found_tx.send_replace(Some((bytes, Instant::now())));
        });
        Self { found, task }
    }

    fn is_over(&self) -> bool {
        self.found.borrow().is_some() || self.task.is_finished()
    }

    /// It is not over, or not for long.
    fn serves(&self) -> bool {
        match *self.found.borrow() {
            Some((_, at)) => at.elapsed() < SERVES_FOR,
            None => !self.task.is_finished(),
        }
    }
}

impl SpaceLooks {
    /// Bytes that may be written in a directory, as `look` finds them; it blocks. None if it cannot be looked at now. Cancel-safe.
    pub(super) async fn bytes_available(
        &self,
        directory: PathBuf,
        look: impl FnOnce() -> u64 + Send + 'static,
    ) -> Option<u64> {
        let mut found = {
            let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            looks.retain(|_, look| look.serves());
            match looks.get(&directory) {
                Some(look) => look.found.clone(),
                None if looks.values().filter(|look| !look.is_over()).count() >= LOOKS_MAX => return None,
                None => looks.entry(directory).or_insert(Look::begin(look)).found.clone(),
            }
        };
        let found = found.wait_for(Option::is_some).await.ok()?;
        found.map(|(bytes, _)| bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc;

    use futures_util::FutureExt as _;
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn one_look_at_a_time_serves_all_who_wait_for_a_directory() {
        let (looks, count) = (SpaceLooks::default(), Arc::new(AtomicU64::new(0)));
        let (answer, answers) = mpsc::channel::<()>();
        let answers = Arc::new(Mutex::new(answers));
        let ask = || {
            let (count, answers) = (Arc::clone(&count), Arc::clone(&answers));
            looks.bytes_available("/a".into(), move || {
                let _ended = answers.lock().unwrap().recv();
                count.fetch_add(1, Ordering::Relaxed) + 100
            })
        };
        let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(ask())).collect();
        assert!(waiting.iter_mut().all(|asked| asked.now_or_never().is_none()), "the file system hangs");
        answer.send(()).unwrap();
        assert!(join_all(waiting).await.iter().all(|bytes| *bytes == Some(100)));
        assert_eq!(ask().await, Some(100), "it has just been looked at");
        assert_eq!(count.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_file_system_that_hangs_takes_no_more_than_so_many_threads() {
        let looks = SpaceLooks::default();
        let (hang, hung) = mpsc::channel::<()>();
        let hung = Arc::new(Mutex::new(hung));
        let ask = |directory: usize| {
            let hung = Arc::clone(&hung);
            looks.bytes_available(format!("/{directory}").into(), move || {
                let _ended = hung.lock().unwrap_or_else(PoisonError::into_inner).recv();
                7
            })
        };
        for directory in 0..LOOKS_MAX {
            assert_eq!(ask(directory).now_or_never(), None);
        }
        assert_eq!(ask(LOOKS_MAX).now_or_never(), Some(None));
        drop(hang);
        assert_eq!(ask(0).await, Some(7));
        join_all((0..LOOKS_MAX).map(ask)).await;
        assert_eq!(ask(LOOKS_MAX).await, Some(7));
    }
}
