//! The one thread on which guests run: they compute, and nothing else may wait for them on an async worker.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use super::decide::Decider;
use super::error::PolicyError;
use super::guest_state::{JobFacts, NoFacts};
use super::registry::{Member, Shared};
use super::tally::Answered;
use crate::scheduler::Ask;

/// Questions that wait. The driver has at most 256 of one step, and waits for their answers before the next.
const QUEUE_CAPACITY: usize = 256;

/// A question with whom to ask, and where its answer goes.
struct Work {
    ask: Ask,
    members: Vec<Member>,
    facts: Box<dyn JobFacts>,
    answered_tx: oneshot::Sender<Answered>,
}

/// Owns the thread: it ends when this is dropped, after it has answered everybody who still waits.
#[derive(Debug)]
pub(super) struct PolicyThread {
    shared: Arc<Shared>,
    work_tx: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl PolicyThread {
    pub(super) fn start(shared: Arc<Shared>) -> Result<Self, PolicyError> {
        let (work_tx, work_rx) = mpsc::channel(QUEUE_CAPACITY);
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("policy".into())
            .spawn(move || run(of_thread, work_rx))
            .map_err(|error| PolicyError::Thread(error.to_string()))?;
        Ok(Self { shared, work_tx: Some(work_tx), thread: Some(thread) })
    }

    /// Has a question answered.
    pub(super) fn answer(
        &self,
        ask: Ask,
        members: Vec<Member>,
        facts: Box<dyn JobFacts>,
    ) -> impl Future<Output = Answered> + Send + 'static + use<> {
        // Weak: a future that nobody polls any more must not keep the thread from ending.
        let work_tx = self.work_tx.as_ref().map(mpsc::Sender::downgrade);
        let shared = Arc::clone(&self.shared);
        async move {
            let (answered_tx, answered_rx) = oneshot::channel();
            let unsent = match work_tx.and_then(|work_tx| work_tx.upgrade()) {
                Some(work_tx) => {
                    work_tx.send(Work { ask, members, facts, answered_tx }).await.err().map(|error| error.0.ask)
                }
                None => Some(ask),
            };
            match unsent {
                None => answered_rx.await.expect("the thread answers whatever it takes from the queue"),
                // The policies were dropped while they were asked: there is nobody left but the built-in default.
                Some(ask) => Decider::new(shared).answer(&ask, &[], Box::new(NoFacts)),
            }
        }
    }
}

fn run(shared: Arc<Shared>, mut work_rx: mpsc::Receiver<Work>) {
    let mut decider = Decider::new(Arc::clone(&shared));
    while let Some(Work { ask, members, facts, answered_tx }) = work_rx.blocking_recv() {
        // Nobody waits for it any more, and those behind it need not wait either.
        if answered_tx.is_closed() {
            continue;
        }
        let answered = catch_unwind(AssertUnwindSafe(|| decider.answer(&ask, &members, facts)));
        let answered = answered.unwrap_or_else(|_| {
            tracing::error!(decision = %ask.decision, "the policy runtime broke down on a question; the built-in default decides");
            decider = Decider::new(Arc::clone(&shared));
            Decider::new(Arc::clone(&shared)).answer(&ask, &[], Box::new(NoFacts))
        });
        // Whoever asked may have left meanwhile; the answer has no effect then.
        let _received = answered_tx.send(answered);
    }
}

impl Drop for PolicyThread {
    fn drop(&mut self) {
        self.work_tx = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the policy thread broke down");
        }
    }
}
