//! A gate holds a connection at a chosen point until the test opens it, and tells the test when one has come there.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use tokio::sync::watch;

#[derive(Debug, Clone)]
pub(crate) struct Gate(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    open: watch::Sender<bool>,
    reached: Mutex<usize>,
    arrival: Condvar,
}

impl Gate {
    /// A shut gate. If the test never opens it, whoever comes there stalls until the origin stops.
    pub(crate) fn shut() -> Self {
        Self(Arc::new(Inner { open: watch::Sender::new(false), reached: Mutex::new(0), arrival: Condvar::new() }))
    }

    pub(crate) fn open(&self) {
        self.0.open.send_replace(true);
    }

    /// Blocks until `count` connections have come to the gate.
    pub(crate) fn wait_reached(&self, count: usize, limit: Duration) {
        let reached = self.0.reached.lock().unwrap();
        let (reached, _) = self.0.arrival.wait_timeout_while(reached, limit, |reached| *reached < count).unwrap();
        assert!(*reached >= count, "{} of {count} connections came to the gate within {limit:?}", *reached);
    }

    pub(crate) async fn pass(&self) {
        *self.0.reached.lock().unwrap() += 1;
        self.0.arrival.notify_all();
        // The sender lives in the gate, so that waiting cannot fail while `self` is borrowed.
        self.0.open.subscribe().wait_for(|open| *open).await.unwrap();
    }
}
