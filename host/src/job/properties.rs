//! The properties of a job with their limits and defaults (bits.md section 2, design.md section 3).

use serde::{Deserialize, Serialize};

/// Limits on what a client may give. BITS's own where bits.md has one; else as the contract of the policies (design.md section 4).
pub mod limits {
    /// Bytes of a remote name. BITS allows 2,200 characters; signed URLs of today are longer.
    pub const URL_BYTES_MAX: usize = 8 << 10;
    /// Characters of a display name (bits.md 2.1).
    pub const DISPLAY_NAME_CHARS_MAX: usize = 256;
    /// Characters of a description (bits.md 2.2).
    pub const DESCRIPTION_CHARS_MAX: usize = 1024;
    /// Milliseconds: the shortest retry delay that a client can set; shorter ones are raised to it (bits.md 2.2). The scheduler's
    /// own floor (`scheduler.retry_floor`) applies on top and may be lower only where an operator says so.
    pub const MINIMUM_RETRY_DELAY_MS_DEFAULT: u64 = 600_000;
    /// Milliseconds: 14 days (bits.md 3.1).
    pub const NO_PROGRESS_TIMEOUT_MS_DEFAULT: u64 = 1_209_600_000;
    /// Milliseconds: 90 days (bits.md 2.5).
    pub const MAXIMUM_DOWNLOAD_TIME_MS_DEFAULT: u64 = 7_776_000_000;
    /// Milliseconds between two notifications that a job was modified, or has made progress (bits.md 2.6).
    pub const MINIMUM_NOTIFICATION_INTERVAL_MS_DEFAULT: u64 = 500;
    /// Milliseconds: the longest duration that a client may set, 10 years: far beyond use, and safe to add to any time.
    pub const DURATION_MS_MAX: u64 = 315_360_000_000;
    /// Files of one job moved at once (design.md section 3).
    pub const PARALLEL_FILES_MAX: u16 = 64;
    /// Labels of one job, as the contract's attributes.
    pub const LABELS_MAX: usize = 32;
    /// Request headers of one job: as many as a response may have.
    pub const HEADERS_MAX: usize = 100;
    /// Bytes of the name of a request header: far beyond those in use.
    pub const HEADER_NAME_BYTES_MAX: usize = 256;
    /// Bytes of one header value, as the contract's.
    pub const HEADER_VALUE_BYTES_MAX: usize = 8 << 10;
    /// Bytes of all request headers of a job, as lines with their ends (bits.md 2.7).
    pub const HEADERS_BYTES_MAX: usize = 16 << 10;
    /// Policies that a job may add to the operator's.
    pub const POLICIES_MAX: usize = 8;
    /// Every number that a guest sees stays below 2^53: JavaScript guests see a double.
    pub const GUEST_NUMBER_MAX: u64 = (1 << 53) - 1;
}

/// What a job moves, and which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// From the origin to local files.
    #[default]
    Download,
    /// One local file to the origin.
    Upload,
    /// An upload whose answer is fetched into a local file.
    UploadReply,
}

/// BG_JOB_PRIORITY, in the order in which the scheduler serves them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Runs beside the background jobs, without their slots.
    Foreground,
    /// First of the background levels.
    High,
    /// The default.
    #[default]
    Normal,
    /// Last.
    Low,
}

impl Priority {
    /// All levels, first served first.
    pub const ALL: [Self; 4] = [Self::Foreground, Self::High, Self::Normal, Self::Low];

    /// The level's number in BITS (BG_JOB_PRIORITY).
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// What the present network costs: BITS_COST_STATE_*. Exactly one holds; roaming is separate.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum CostState {
    /// Unknown or unlimited.
    #[default]
    Unrestricted,
    /// A limited plan of unknown use.
    CappedUsageUnknown,
    /// Under 80 % of the plan.
    BelowCap,
    /// 80 % to 100 % of the plan.
    NearCap,
    /// Beyond the plan, at a surcharge.
    OvercapCharged,
    /// Beyond the plan, slowed down.
    OvercapThrottled,
    /// Paid by the byte.
    UsageBased,
}

/// The cost states under which a job may run: BITS's bits (bits.md section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CostFlags(pub u32);

impl CostFlags {
    /// The job may run while the network roams.
    pub const ROAMING: Self = Self(0x80);
    /// The job may run although the network reports congestion.
    pub const IGNORE_CONGESTION: Self = Self(0x8000_0000);
    /// BITS's preset ALWAYS.
    pub const ALWAYS: Self = Self(0x8000_00FF);
    /// BITS's preset NOT_ROAMING.
    pub const NOT_ROAMING: Self = Self(0x8000_007F);
    /// BITS's preset NO_SURCHARGE.
    pub const NO_SURCHARGE: Self = Self(0x8000_006F);
    /// BITS's preset STANDARD.
    pub const STANDARD: Self = Self(0x8000_0067);
    /// BITS's preset UNRESTRICTED.
    pub const UNRESTRICTED: Self = Self(0x8000_0021);

    /// The flag of one cost state.
    #[must_use]
    pub const fn of(state: CostState) -> Self {
        Self(1 << state as u32)
    }

    /// Whether every flag of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl Default for CostFlags {
    fn default() -> Self {
        Self::ALWAYS
    }
}

/// Which notifications of a job are delivered: BG_NOTIFY_* (bits.md section 5). The journal has every event, whatever they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NotifyFlags(u32);

impl NotifyFlags {
    /// The job became TRANSFERRED.
    pub const JOB_TRANSFERRED: Self = Self(0x1);
    /// The job went into ERROR.
    pub const JOB_ERROR: Self = Self(0x2);
    /// None is delivered, whatever else is set.
    pub const DISABLE: Self = Self(0x4);
    /// The job was changed, or has made progress.
    pub const JOB_MODIFICATION: Self = Self(0x8);
    /// A file is whole.
    pub const FILE_TRANSFERRED: Self = Self(0x10);

    /// None.
    pub const NONE: Self = Self(0);

    /// The flags of these bits; none if one of them is no flag (E_NOTIMPL in BITS). BG_NOTIFY_FILE_RANGES_TRANSFERRED is of on-demand
    /// jobs, which there are none.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !0x1F == 0 { Some(Self(bits)) } else { None }
    }

    /// BITS's bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Those of either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether every flag of `other` is set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether notifications of this kind are delivered.
    #[must_use]
    pub const fn delivers(self, kind: Self) -> bool {
        !self.contains(Self::DISABLE) && self.contains(kind)
    }
}

impl Default for NotifyFlags {
    /// As Start-BitsTransfer: transferred, and error.
    fn default() -> Self {
        Self::JOB_TRANSFERRED.with(Self::JOB_ERROR)
    }
}

/// What happens when an origin answers with a redirect (bits.md 8.5). They apply to downloads only.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Redirects {
    /// It is followed; the remote name stays.
    #[default]
    Allow,
    /// It is followed; the remote name becomes where it led.
    Report,
    /// The job goes into ERROR with the status of the redirect; the remote name becomes where it would have led.
    Disallow,
}

impl Redirects {
    /// All of them, by the number that is stored.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Report, Self::Disallow];
}

/// What a client sets for a whole job. Durations in milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// The level in the queue.
    pub priority: Priority,
    /// Milliseconds between a transient error and the next attempt.
    pub minimum_retry_delay_ms: u64,
    /// Milliseconds without progress after which a transient error becomes fatal; 0: every error is fatal.
    pub no_progress_timeout_ms: u64,
    /// Milliseconds that the job may spend connecting and transferring.
    pub maximum_download_time_ms: u64,
    /// Files moved at once, 1 to [`limits::PARALLEL_FILES_MAX`].
    pub parallel_files: u16,
    /// The cost states under which the job may run.
    pub cost_flags: CostFlags,
    /// Complete the job as soon as it is transferred.
    pub auto_complete: bool,
    /// Replace existing local files at publication; else their presence is an error.
    pub overwrite: bool,
    /// Which notifications are delivered.
    pub notify_flags: NotifyFlags,
    /// Milliseconds between two notifications of changes and of progress.
    pub minimum_notification_interval_ms: u64,
    /// What the origins serve need not have a size, nor be the same twice: it is fetched in one go, and from its begin after every
    /// interruption (bits.md 2.6). Only before the first resume, only at the level foreground, not with ranges.
    pub dynamic_content: bool,
    /// No progress is made durable while a file is moved: it begins again after a crash (bits.md 2.6). Only before any file.
    pub high_performance: bool,
    /// Bytes that all files of the job together may have; at least 1. Only before the first resume.
    pub maximum_download_size: Option<u64>,
    /// What happens at a redirect.
    pub redirects: Redirects,
    /// Redirects may lead from https to http.
    pub redirects_to_http: bool,
}

impl Default for Properties {
    fn default() -> Self {
        Self {
            priority: Priority::Normal,
            minimum_retry_delay_ms: limits::MINIMUM_RETRY_DELAY_MS_DEFAULT,
            no_progress_timeout_ms: limits::NO_PROGRESS_TIMEOUT_MS_DEFAULT,
            maximum_download_time_ms: limits::MAXIMUM_DOWNLOAD_TIME_MS_DEFAULT,
            parallel_files: 1,
            cost_flags: CostFlags::ALWAYS,
            auto_complete: false,
            overwrite: false,
            notify_flags: NotifyFlags::default(),
            minimum_notification_interval_ms: limits::MINIMUM_NOTIFICATION_INTERVAL_MS_DEFAULT,
            dynamic_content: false,
            high_performance: false,
            maximum_download_size: None,
            redirects: Redirects::Allow,
            redirects_to_http: false,
        }
    }
}

/// A property that a client may not set so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {allowed}, not {given}")]
pub struct PropertyError {
    /// The property, in the API's spelling.
    pub field: &'static str,
    /// What is allowed, in words.
    pub allowed: String,
    /// What was given.
    pub given: String,
}

impl Properties {
    /// Whether a job of these properties may run: one of dynamic content cannot be slowed down, and so competes openly (bits.md 2.6).
    #[must_use]
    pub fn can_run(&self) -> bool {
        !self.dynamic_content || self.priority == Priority::Foreground
    }

    /// The names of the properties that differ, in the API's spelling.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&'static str> {
        // Nothing is left out of the pattern: a property that is not compared does not compile.
        let Self {
            priority,
            minimum_retry_delay_ms,
            no_progress_timeout_ms,
            maximum_download_time_ms,
            parallel_files,
            cost_flags,
            auto_complete,
            overwrite,
            notify_flags,
            minimum_notification_interval_ms,
            dynamic_content,
            high_performance,
            maximum_download_size,
            redirects,
            redirects_to_http,
        } = self;
        let differences = [
            ("priority", *priority != other.priority),
            ("minimum_retry_delay", *minimum_retry_delay_ms != other.minimum_retry_delay_ms),
            ("no_progress_timeout", *no_progress_timeout_ms != other.no_progress_timeout_ms),
            ("maximum_download_time", *maximum_download_time_ms != other.maximum_download_time_ms),
            ("parallel_files", *parallel_files != other.parallel_files),
            ("cost_flags", *cost_flags != other.cost_flags),
            ("auto_complete", *auto_complete != other.auto_complete),
            ("overwrite", *overwrite != other.overwrite),
            ("notify_flags", *notify_flags != other.notify_flags),
            (
                "minimum_notification_interval",
                *minimum_notification_interval_ms != other.minimum_notification_interval_ms,
            ),
            ("dynamic_content", *dynamic_content != other.dynamic_content),
            ("high_performance", *high_performance != other.high_performance),
            ("maximum_download_size", *maximum_download_size != other.maximum_download_size),
            ("redirects", *redirects != other.redirects),
            ("redirects_to_http", *redirects_to_http != other.redirects_to_http),
        ];
        differences.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }

    /// Checks every limit.
    pub fn check(&self) -> Result<(), PropertyError> {
        let duration = |field, given: u64| match given {
            0..=limits::DURATION_MS_MAX => Ok(()),
            _ => {
                Err(PropertyError { field, allowed: "at most ten years".into(), given: format!("{} s", given / 1000) })
            }
        };
        duration("minimum_retry_delay", self.minimum_retry_delay_ms)?;
        duration("no_progress_timeout", self.no_progress_timeout_ms)?;
        duration("maximum_download_time", self.maximum_download_time_ms)?;
        duration("minimum_notification_interval", self.minimum_notification_interval_ms)?;
        if !(1..=limits::PARALLEL_FILES_MAX).contains(&self.parallel_files) {
            let allowed = format!("1 to {}", limits::PARALLEL_FILES_MAX);
            return Err(PropertyError { field: "parallel_files", allowed, given: self.parallel_files.to_string() });
        }
        if self.maximum_download_size == Some(0) {
            let allowed = "at least 1".to_owned();
            return Err(PropertyError { field: "maximum_download_size", allowed, given: "0".into() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_and_flags_have_bits_values() {
        assert_eq!(CostFlags::of(CostState::Unrestricted).0, 0x1);
        assert_eq!(CostFlags::of(CostState::UsageBased).0, 0x40);
        assert!(!CostFlags::NOT_ROAMING.contains(CostFlags::ROAMING));
        assert!(!CostFlags::STANDARD.contains(CostFlags::of(CostState::NearCap)));
        assert!(CostFlags::STANDARD.contains(CostFlags::IGNORE_CONGESTION));
        assert!(CostFlags::NO_SURCHARGE.contains(CostFlags::of(CostState::OvercapThrottled)));
        assert!(!CostFlags::NO_SURCHARGE.contains(CostFlags::of(CostState::OvercapCharged)));
    }

    #[test]
    fn limits_name_the_field_and_what_is_allowed() {
        let properties = Properties { parallel_files: 65, ..Properties::default() };
        assert_eq!(properties.check().unwrap_err().to_string(), "parallel_files must be 1 to 64, not 65");
        let properties = Properties { no_progress_timeout_ms: u64::MAX, ..Properties::default() };
        assert_eq!(properties.check().unwrap_err().field, "no_progress_timeout");
        assert_eq!(Properties::default().check(), Ok(()));
        let properties = Properties { maximum_download_size: Some(0), ..Properties::default() };
        assert_eq!(properties.check().unwrap_err().field, "maximum_download_size");
    }

    #[test]
    fn notify_flags_have_bits_values_and_disable_silences_the_others() {
        assert_eq!(NotifyFlags::default().bits(), 3);
        assert_eq!(NotifyFlags::from_bits(0x20), None);
        assert!(!NotifyFlags::from_bits(0x1F).unwrap().delivers(NotifyFlags::JOB_ERROR));
        let some = NotifyFlags::JOB_ERROR.with(NotifyFlags::FILE_TRANSFERRED);
        assert!(some.delivers(NotifyFlags::JOB_ERROR) && !some.delivers(NotifyFlags::JOB_TRANSFERRED));
    }
}
