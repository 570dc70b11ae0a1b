//! Which job runs next, and what happens after: a pure core and one driver.
//!
//! ```text
//! commands, worker reports, network, ticks ─→ Driver ─ Input ─→ Core::handle ─→ Step { asks, writes, effects }
//!                                               ↑                                  │       │        │
//!                                               └──── Input::Answer ←── policies ←─┘       │        │
//!                                                        one transaction of the store ←────┘        │
//!                                                 replies, workers, renames: after the commit ←─────┘
//! ```
//!
//! The [`core`] has no I/O, reads no clock and draws no randomness that it was not given. Equal inputs give equal steps.

mod config;
pub mod core;
pub(crate) mod driver;
mod gates;
mod input;
mod limits;
mod origins;
mod queue;
mod step;
mod timers;
mod turns;

pub use self::core::{Core, Follows, Gating, Reported};
pub use self::driver::RetentionConfig;
pub use config::SchedulerConfig;
pub use limits::{LimitReached, Limits};

pub use input::{
    Admission, AdmitAnswer, Answer, Because, Begin, Command, CommandError, FileProgress, Input, PrefixOutcome,
    RecoverAnswer, Recovery, Redirection, Reply, Report, RequestId, RetryAnswer, WaitingOn,
};
pub use step::{Ask, Assignment, Effect, FileChange, Overwrite, Question, Replacement, Step, StopReason, Terms, Write};
