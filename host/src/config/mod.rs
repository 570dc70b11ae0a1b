//! The configuration of the daemon: a TOML file, checked whole before anything starts.
//!
//! Two tables ([`SETTINGS`] and, for texts, [`TEXTS`]) describe every setting: its key, unit, default, limits and reason. Parsing, refusals and `config show` all come
//! from it, so that a setting cannot exist without its description.

mod error;
mod parse;
mod policies;
mod preset;
mod quantity;
mod setting;
mod subjects;
mod table;
mod texts;
mod zone;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::access::AccessConfig;
use crate::api::{ApiSettings, TcpConfig};
use crate::host::{PolicyToLoad, RetentionConfig};
use crate::notify::WebhookSettings;
use crate::policy::PolicyConfig;
use crate::scheduler::SchedulerConfig;
use crate::transfer::TransferSettings;

pub use error::{ConfigError, WrongKey};
pub(crate) use policies::table as policy_table;
pub use preset::LimitsPreset;
pub use setting::Setting;
pub use table::SETTINGS;
pub use texts::{Form, TEXTS, TextSetting};

/// Bytes of a configuration file. Beyond this it is some other file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The values of all settings.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `[scheduler]`, and with it `[limits]`
    pub scheduler: SchedulerConfig,
    /// `limits.preset`
    pub limits_preset: LimitsPreset,
    /// `[transfer]`
    pub transfer: TransferSettings,
    /// `[policy]`
    pub policy: PolicyConfig,
    /// `[retention]`
    pub retention: RetentionConfig,
    /// `[webhooks]`
    pub webhooks: WebhookSettings,
    /// `[api]`
    pub api: ApiSettings,
}

/// A configuration.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// The file that it came from; none if there was none.
    pub file: Option<PathBuf>,
    /// The values, defaults included.
    pub settings: Settings,
    /// `[[policies]]`, in order.
    pub policies: Vec<PolicyToLoad>,
    /// `[access]`, `[egress]` and `[[subjects]]`.
    pub access: AccessConfig,
    /// The texts of `[api]`: where it is offered over TCP.
    pub tcp: TcpConfig,
    /// The settings that the file names, for example `scheduler.time_slice`.
    pub given: BTreeSet<String>,
}

impl Config {
    /// Reads a file. Paths in it are relative to its directory.
    ///
    /// # Errors
    /// If it cannot be read, is no TOML, or has keys or values that cannot be: each of them is named.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let failed = |source| ConfigError::Read { path: path.to_owned(), source };
        let size = std::fs::metadata(path).map_err(failed)?.len();
        if size > FILE_BYTES_MAX {
            return Err(ConfigError::TooLarge { path: path.to_owned(), size, allowed: FILE_BYTES_MAX });
        }
        let text = std::fs::read_to_string(path).map_err(failed)?;
        parse::parse(&text, path)
    }
}
