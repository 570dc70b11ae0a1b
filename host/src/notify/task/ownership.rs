//! Jobs that change hands: what their former owners were still to be told of them is dropped, here and in the store.
//!
//! The store drops its rows with the change itself. What was written in between by this task, from what it had in memory, goes here.

use super::*;
use crate::job::{Event, EventKind, JobId};

impl Running {
    /// Drops what is left of a job for webhooks of others, if the event says that it has changed hands.
    pub(super) fn forget_lost(&mut self, event: &Event) {
        let (Some(job), EventKind::OwnershipTaken { to, .. }) = (event.job, &event.kind) else { return };
        for (id, hook) in self.hooks.iter_mut().filter(|(_, hook)| hook.webhook.owner != *to) {
            hook.outbox.forget(job);
            self.forgotten.push(NotifyWrite::ForgetJob { webhook: *id, job });
        }
    }

    /// The same for all jobs, where events were missed. Those that are final have not changed hands, and will not.
    pub(super) fn forget_all_lost(&mut self) {
        for (id, hook) in &mut self.hooks {
            let lost = |job: &JobId| self.journal.owner(*job).is_some_and(|owner| owner != hook.webhook.owner);
            let lost: Vec<JobId> = hook.outbox.jobs().into_iter().filter(lost).collect();
            for job in lost {
                hook.outbox.forget(job);
                self.forgotten.push(NotifyWrite::ForgetJob { webhook: *id, job });
            }
        }
    }
}
