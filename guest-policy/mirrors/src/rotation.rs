//! Which mirror comes next. Kept between calls as a memo.

use std::fmt::Write as _;

use backhaul_policy::Memo;
use backhaul_policy::types::Call;

use crate::settings::{Place, Settings};

/// The mirrors that were tried since the last progress, under one version of the settings.
pub(crate) struct Round {
    settings: String,
    progress: String,
    tried: Vec<Place>,
    chosen: Option<Place>,
}

impl Round {
    /// The round that the last call left, or a new one if there was progress since, or other settings.
    pub(crate) fn of(call: &Call, settings: &Settings) -> Self {
        let mut round = Self::fresh(call, settings);
        let memo = Memo::of(call);
        if memo.get("settings") != Some(&round.settings) {
            return round;
        }
        let places = |name| memo.get(name).unwrap_or_default().split_whitespace().filter_map(Place::parse);
        round.chosen = places("chosen").next();
        if memo.get("progress") == Some(&round.progress) {
            round.tried = places("tried").collect();
        }
        round
    }

    /// A round in which nothing was tried yet.
    pub(crate) fn fresh(call: &Call, settings: &Settings) -> Self {
        let progress = call.job.last_progress_at.map_or("none".to_owned(), |at| at.to_string());
        Self { settings: format!("{:016x}", settings.fingerprint), progress, tried: Vec::new(), chosen: None }
    }

    /// The mirror to try after `failed`: the one chosen last, else the one that follows in the list; none when all were tried.
    pub(crate) fn next(&mut self, failed: Place, settings: &Settings) -> Option<Place> {
        if !self.tried.contains(&failed) {
            self.tried.push(failed);
        }
        let count = settings.set(failed).len();
        let following = (1..count).map(|step| Place { set: failed.set, mirror: (failed.mirror + step) % count });
        let chosen = self.chosen.filter(|place| place.set == failed.set && place.mirror < count);
        let next = chosen.into_iter().chain(following).find(|place| !self.tried.contains(place))?;
        self.chosen = Some(next);
        Some(next)
    }

    pub(crate) fn memo(&self) -> Memo {
        let mut memo = Memo::default();
        memo.set("settings", self.settings.as_str());
        memo.set("progress", self.progress.as_str());
        let list = |places: &[Place]| {
            let mut text = String::new();
            for Place { set, mirror } in places {
                let space = if text.is_empty() { "" } else { " " };
                write!(text, "{space}{set}.{mirror}").expect("writing to a string cannot fail");
            }
            text
        };
        memo.set("tried", list(&self.tried));
        memo.set("chosen", list(self.chosen.as_slice()));
        memo
    }
}
