//! Where the daemon keeps its state, unless somebody says otherwise.

use std::ffi::OsString;
use std::path::PathBuf;

/// Why there is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("neither XDG_STATE_HOME nor HOME is set to an absolute path; say with --state-dir DIR where the state may lie")]
pub(super) struct NoStateDirectory;

/// The state directory of this user's daemon.
pub(super) fn state_dir(
    variable: impl Fn(&str) -> Option<OsString>,
    is_root: bool,
) -> Result<PathBuf, NoStateDirectory> {
    // Relative values are to be ignored, says the XDG base directory specification.
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // systemd's own, with one directory for each StateDirectory= of the unit; ours has one.
    if let Some(given) = absolute("STATE_DIRECTORY") {
        return Ok(given);
    }
    if is_root {
        return Ok(PathBuf::from("/var/lib/backhaul"));
    }
    let state_home = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")));
    Ok(state_home.ok_or(NoStateDirectory)?.join("backhaul/daemon"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_place_that_is_said_holds() {
        let of = |variables: &[(&str, &str)], is_root| {
            state_dir(|name| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()), is_root)
        };
        let all = [("STATE_DIRECTORY", "/var/lib/x"), ("XDG_STATE_HOME", "/s"), ("HOME", "/h")];
        assert_eq!(of(&all, true), Ok("/var/lib/x".into()));
        assert_eq!(of(&all[1..], true), Ok("/var/lib/backhaul".into()));
        assert_eq!(of(&all[1..], false), Ok("/s/backhaul/daemon".into()));
        assert_eq!(of(&all[2..], false), Ok("/h/.local/state/backhaul/daemon".into()));
        assert_eq!(of(&[("HOME", "relative")], false), Err(NoStateDirectory));
    }
}
