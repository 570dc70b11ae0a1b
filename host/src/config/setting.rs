//! One setting: how its value is read, refused and shown.

use std::ops::RangeInclusive;

use jiff::tz::TimeZone;
use toml::Value;

use super::Settings;
use super::quantity::Unit;
use super::zone;

/// One setting: what it is, and where it goes.
#[derive(Debug)]
pub struct Setting {
    /// The section of the file.
    pub section: &'static str,
    /// Its key in the section.
    pub key: &'static str,
    /// What it is for, and why its default is what it is.
    pub reason: &'static str,
    /// What it takes.
    pub(super) kind: Kind,
}

/// What a setting takes, and where that is read and written.
#[derive(Debug)]
pub(super) enum Kind {
    /// A quantity, or one of some words.
    Number {
        /// What it is measured in.
        unit: Unit,
        /// What is allowed, in the unit's base: milliseconds, bytes, things.
        allowed: RangeInclusive<u64>,
        /// Reads it.
        get: fn(&Settings) -> u64,
        /// Writes it; the value is allowed.
        set: fn(&mut Settings, u64),
    },
    /// A time zone; none for the machine's.
    Zone {
        /// Reads it.
        get: fn(&Settings) -> Option<&TimeZone>,
        /// Writes it.
        set: fn(&mut Settings, Option<TimeZone>),
    },
}

impl Setting {
    /// Section and key.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}.{}", self.section, self.key)
    }

    /// The word beside a value.
    #[must_use]
    pub const fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Number { unit, .. } => unit.name(),
            Kind::Zone { .. } => "time zone",
        }
    }

    /// The value as it could stand in the file.
    #[must_use]
    pub fn value(&self, settings: &Settings) -> String {
        match self.kind {
            Kind::Number { unit, get, .. } => unit.show(get(settings)),
            Kind::Zone { get, .. } => zone::show(get(settings)),
        }
    }

    /// The value that holds if the file does not name it.
    #[must_use]
    pub fn default(&self) -> String {
        self.value(&Settings::default())
    }

    /// What is allowed, in words.
    #[must_use]
    pub fn limits(&self) -> String {
        match &self.kind {
            Kind::Number { unit, allowed, .. } if matches!(unit, Unit::Word(_)) => {
                allowed.clone().map(|word| unit.show(word)).collect::<Vec<_>>().join(", ")
            }
            Kind::Number { unit, allowed, .. } => {
                format!("{} to {}", unit.show(*allowed.start()), unit.show(*allowed.end()))
            }
            Kind::Zone { .. } => zone::ALLOWED.to_owned(),
        }
    }

    /// The least and the greatest value, where values have an order.
    #[must_use]
    pub fn range(&self) -> Option<(String, String)> {
        match &self.kind {
            Kind::Number { unit: Unit::Word(_), .. } | Kind::Zone { .. } => None,
            Kind::Number { unit, allowed, .. } => Some((unit.show(*allowed.start()), unit.show(*allowed.end()))),
        }
    }

    /// Takes a value of the file. The error says what is wrong with it, and what is allowed.
    pub(super) fn take(&self, value: &Value, settings: &mut Settings) -> Result<(), String> {
        match &self.kind {
            Kind::Number { unit, allowed, set, .. } => {
                let refused = |problem: String| format!("{problem}; allowed are {} {}", self.limits(), unit.name());
                let value = unit.read(value).map_err(refused)?;
                if !allowed.contains(&value) {
                    return Err(refused(format!("is {}", unit.show(value))));
                }
                set(settings, value);
            }
            Kind::Zone { set, .. } => set(settings, zone::read(value)?),
        }
        Ok(())
    }
}
