//! The only place that reads a clock. Everything else is given a [`Now`], so that it runs the same under a virtual one.

use serde::{Deserialize, Serialize};

/// Unix time in milliseconds: what is shown and stored. It jumps when somebody sets the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub u64);

/// Milliseconds since the machine started, sleep included (`CLOCK_BOOTTIME`): what timers run on (bits.md section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BootMillis(pub u64);

impl UnixMillis {
    /// The time `millis` later, capped at the largest representable one.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to `self`; 0 when the clock was set back in between.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl BootMillis {
    /// The time `millis` later, capped at the largest representable one.
    #[must_use]
    pub const fn plus(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to `self`, 0 if `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// One reading of both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Now {
    /// For stamps that people and policies see.
    pub wall: UnixMillis,
    /// For timers.
    pub boot: BootMillis,
}

impl Now {
    /// Reads the machine's clocks.
    #[must_use]
    pub fn read() -> Self {
        use rustix::time::{ClockId, clock_gettime};
        let millis = |id| {
            let time = clock_gettime(id);
            let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
            let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
            seconds.saturating_mul(1000).saturating_add(nanos / 1_000_000)
        };
        Self { wall: UnixMillis(millis(ClockId::Realtime)), boot: BootMillis(millis(ClockId::Boottime)) }
    }
}

/// Measures how long something of this process took. For measurements and for deadlines of computations, never for what is stored.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts to measure.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is `clock`")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// The time since the start.
    #[must_use]
    pub fn elapsed(self) -> std::time::Duration {
        self.0.elapsed()
    }
}

/// The time that this thread has computed for: it stands still while others have the processor.
#[must_use]
pub fn thread_time() -> std::time::Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    std::time::Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
