//! `limits.preset`: the limits that a file does not name.

use super::Settings;
use super::quantity::Unit;
use super::setting::{Kind, Setting};
use super::table::SETTINGS;
use crate::scheduler::Limits;

/// The section of [`Limits`].
pub(super) const LIMITS: &str = "limits";

/// Where the limits come from that the file does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LimitsPreset {
    /// Those of a host that serves many.
    #[default]
    Generous,
    /// BITS's own.
    Bits,
}

impl LimitsPreset {
    /// By the positions of their words.
    pub(super) const ALL: [Self; 2] = [Self::Generous, Self::Bits];

    fn limits(self) -> Limits {
        match self {
            Self::Generous => Limits::default(),
            Self::Bits => Limits::BITS,
        }
    }
}

impl Setting {
    /// Whether the value comes from [`LimitsPreset`], where the file does not name it.
    #[must_use]
    pub fn is_of_preset(&self) -> bool {
        self.section == LIMITS && !matches!(self.kind, Kind::Number { unit: Unit::Word(_), .. })
    }
}

/// Lets the preset say what the file does not, once it is known what that is.
pub(super) fn apply_preset(settings: &mut Settings, is_given: impl Fn(&Setting) -> bool) {
    let mut preset = Settings::default();
    preset.scheduler.limits = settings.limits_preset.limits();
    for setting in SETTINGS.iter().filter(|setting| setting.is_of_preset() && !is_given(setting)) {
        if let Kind::Number { get, set, .. } = &setting.kind {
            set(settings, get(&preset));
        }
    }
}
