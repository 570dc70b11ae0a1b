//! A job changes hands.

use super::super::input::{Reply, RequestId};
use super::super::queue::End;
use super::super::step::{StopReason, Write};
use super::board::Board;
use super::job::Job;
use crate::job::{EventKind, Transition};

impl Board {
    /// Gives the job to another owner, and takes from it what the former one had entrusted to it.
    ///
    /// One whose files are getting their names, or are being deleted, is past that, and stays as it is.
    pub(super) fn take_ownership(&mut self, job: &mut Job, request: RequestId, owner: String) {
        if let Err(error) = self.check(job, Transition::Suspended) {
            return self.reply(request, Err(error));
        }
        self.active(job);
        if job.record.owner != owner {
            self.count_out(&job.record.owner);
            // An administrator may have more jobs than others: what was taken in is not turned away.
            self.count_in(&owner);
            let from = std::mem::replace(&mut job.record.owner, owner.clone());
            self.touch(job);
            self.step.writes.push(Write::ForgetOwner(job.record.id));
            self.journal(job, EventKind::OwnershipTaken { from, to: owner });
            self.begin_anew(job);
        }
        let job = self.snapshot(job);
        self.reply(request, Ok(Reply::Job(job)));
    }

    /// Its worker, if it has one, has the former owner's headers and connections: it stops at once, and the next one begins where it was.
    fn begin_anew(&mut self, job: &mut Job) {
        if let Some(worker) = job.active_worker() {
            worker.requeue = End::Front;
        }
        self.stop(job, StopReason::GateShut);
    }
}
