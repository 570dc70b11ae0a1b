//! Where the daemon's socket is, unless somebody says otherwise. Client and server ask here, so that they meet.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// The environment variable that names the socket.
pub const SOCKET_VARIABLE: &str = "BACKHAUL_SOCKET";

/// Bytes of a socket's path: what the kernel has, less the zero at its end.
const PATH_BYTES_MAX: usize = 107;

/// Bytes that the daemon needs for a name of its own beside the socket: a dot, and the seven digits of the largest process id.
const NAME_BYTES: usize = 8;

/// Why there is no place for the socket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "none of XDG_RUNTIME_DIR, XDG_STATE_HOME and HOME is set to an absolute path; say with --socket PATH or in BACKHAUL_SOCKET where the \
     daemon's socket is"
)]
pub struct NoSocketPath;

/// A path that no socket can have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{} is too long for a socket: the system allows {PATH_BYTES_MAX} bytes for its path, and {} for its directory; say with --socket PATH or \
     in BACKHAUL_SOCKET where else it is", .0.display(), PATH_BYTES_MAX - NAME_BYTES - 1
)]
pub struct SocketPathTooLong(PathBuf);

/// The path, if a socket can have it. Client and server ask here, so that they say the same.
pub(crate) fn checked_socket(path: PathBuf) -> Result<PathBuf, SocketPathTooLong> {
    let bytes = |path: &Path| path.as_os_str().as_bytes().len();
    let directory = path.parent().map_or(0, bytes);
    if bytes(&path) > PATH_BYTES_MAX || directory + 1 + NAME_BYTES > PATH_BYTES_MAX {
        return Err(SocketPathTooLong(path));
    }
    Ok(path)
}

/// The socket of this user's daemon: the one that `BACKHAUL_SOCKET` names, else `$XDG_RUNTIME_DIR/backhaul/backhaul.sock`, else
/// `/run/backhaul/backhaul.sock` for root, else `backhaul/backhaul.sock` below `$XDG_STATE_HOME` or `~/.local/state`.
///
/// # Errors
/// If nothing in the environment says where it could be.
pub fn default_socket() -> Result<PathBuf, NoSocketPath> {
    let variable = |name: &str| std::env::var_os(name);
    socket_of(rustix::process::geteuid().is_root(), &variable)
}

fn socket_of(is_root: bool, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf, NoSocketPath> {
    if let Some(named) = variable(SOCKET_VARIABLE).filter(|path| !path.is_empty()) {
        return Ok(named.into());
    }
    // Relative values are to be ignored, says the XDG base directory specification.
    let directory = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let for_root = || is_root.then(|| PathBuf::from("/run"));
    let state_home = || directory("XDG_STATE_HOME").or_else(|| directory("HOME").map(|home| home.join(".local/state")));
    let base = directory("XDG_RUNTIME_DIR").or_else(for_root).or_else(state_home).ok_or(NoSocketPath)?;
    Ok(base.join("backhaul/backhaul.sock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(is_root: bool, variables: &[(&str, &str)]) -> Result<PathBuf, NoSocketPath> {
        socket_of(is_root, &|name| variables.iter().find(|(of, _)| *of == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn a_path_is_as_long_as_a_socket_can_have_it() {
        let long = |bytes: usize| PathBuf::from(format!("/tmp/{}", "x".repeat(bytes - 5)));
        assert_eq!(checked_socket(long(107)), Ok(long(107)));
        assert_eq!(checked_socket(long(108)), Err(SocketPathTooLong(long(108))));
        assert_eq!(checked_socket(long(98).join("s")), Ok(long(98).join("s")));
        assert_eq!(checked_socket(long(99).join("s")), Err(SocketPathTooLong(long(99).join("s"))));
        let told = SocketPathTooLong(long(108)).to_string();
        assert!(told.contains("107 bytes") && told.contains("98 for its directory"), "{told}");
    }

    #[test]
    fn the_nearest_place_that_is_said_holds() {
        let all = [(SOCKET_VARIABLE, "x.sock"), ("XDG_RUNTIME_DIR", "/r"), ("XDG_STATE_HOME", "/s"), ("HOME", "/h")];
        let expected = [
            "x.sock",
            "/r/backhaul/backhaul.sock",
            "/s/backhaul/backhaul.sock",
            "/h/.local/state/backhaul/backhaul.sock",
        ];
        for (left_out, expected) in expected.into_iter().enumerate() {
            assert_eq!(of(false, &all[left_out..]), Ok(expected.into()));
        }
        assert_eq!(of(true, &all[2..]), Ok("/run/backhaul/backhaul.sock".into()));
        assert_eq!(of(false, &[("HOME", "relative"), (SOCKET_VARIABLE, "")]), Err(NoSocketPath));
    }
}
