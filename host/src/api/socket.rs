//! The unix socket: made for its owner only, and taken over only from nobody.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Whose the socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SocketOwner {
    /// The user's only: whoever can connect can do everything.
    User,
    /// The members of a group may connect as well.
    Group(u32),
}

impl SocketOwner {
    const fn socket_mode(self) -> u32 {
        match self {
            Self::User => 0o600,
            Self::Group(_) => 0o660,
        }
    }

    /// Whoever may connect has to come through. What the socket is called is no secret.
    const fn directory_mode(self) -> u32 {
        match self {
            Self::User => 0o700,
            Self::Group(_) => 0o755,
        }
    }
}

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody holds it.
    #[error("another process serves {}; stop it, or say with --socket PATH where else to listen", .0.display())]
    Taken(PathBuf),
    /// Something else has the name.
    #[error("{} is no socket; it was left as it is: say with --socket PATH where else to listen", .0.display())]
    Foreign(PathBuf),
    /// The system refuses it.
    #[error("failed to {operation} {}", .path.display())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

/// A listening socket; its name goes with it.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Socket {
    /// Listens under a path. A socket that nobody listens on any more is replaced: the caller holds the lock of the state directory, so
    /// that no other daemon of it is just about to listen.
    ///
    /// # Errors
    /// If somebody else listens there, something else has the name, or the system refuses it.
    pub async fn bind(path: &Path, owner: SocketOwner) -> Result<Self, SocketError> {
        let failed = |operation, path: &Path, source| SocketError::Io { operation, path: path.to_owned(), source };
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            let created = fs::DirBuilder::new().recursive(true).mode(owner.directory_mode()).create(directory);
            created.map_err(|error| failed("create the directory", directory, error))?;
        }
        match fs::symlink_metadata(path) {
            Ok(found) if !found.file_type().is_socket() => return Err(SocketError::Foreign(path.to_owned())),
            // Only a refused connection says that nobody holds it. A daemon with a long queue does not take another one now, and sockets of
            // other kinds or other users cannot be asked.
            Ok(_) => match UnixStream::connect(path).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    tracing::info!(path = %path.display(), "replacing a socket that was left behind");
                }
                Ok(_) | Err(_) => return Err(SocketError::Taken(path.to_owned())),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed("look at", path, error)),
        }
        // Under another name until it has its mode: nobody else can connect in between, and no client ever finds the name missing.
        // A short one, for the system allows a socket's path few bytes.
        let temporary = path.with_file_name(format!(".{}", std::process::id()));
        let _absent = fs::remove_file(&temporary);
        let listener = UnixListener::bind(&temporary).map_err(|error| failed("listen on", path, error))?;
        let given = match owner {
            SocketOwner::User => Ok(()),
            SocketOwner::Group(gid) => std::os::unix::fs::chown(&temporary, None, Some(gid)),
        };
        let named = given
            .and_then(|()| fs::set_permissions(&temporary, fs::Permissions::from_mode(owner.socket_mode())))
            .and_then(|()| fs::symlink_metadata(&temporary))
            .and_then(|metadata| fs::rename(&temporary, path).map(|()| metadata.ino()));
        match named {
            Ok(inode) => Ok(Self { listener, path: path.to_owned(), inode }),
            Err(error) => {
                let _gone = fs::remove_file(&temporary);
                Err(failed("name the socket", path, error))
            }
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) const fn listener(&self) -> &UnixListener {
        &self.listener
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Only its own: somebody may have put another one there.
        if fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode) {
            let _gone = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_is_its_owners_and_goes_with_its_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/api.sock");
        let socket = Socket::bind(&path, SocketOwner::User).await.unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(Socket::bind(&path, SocketOwner::User).await, Err(SocketError::Taken(_))));
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_socket_that_was_left_behind_is_replaced_and_anything_else_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Socket::bind(&path, SocketOwner::User).await.unwrap());
        fs::write(&path, "mine").unwrap();
        assert!(matches!(Socket::bind(&path, SocketOwner::User).await, Err(SocketError::Foreign(_))));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[tokio::test]
    async fn a_socket_that_somebody_holds_is_theirs_whatever_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("datagrams");
        let held = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
        assert!(matches!(Socket::bind(&path, SocketOwner::User).await, Err(SocketError::Taken(_))));
        drop(held);
        drop(Socket::bind(&path, SocketOwner::User).await.unwrap());
        // One whose queue is full: nobody can connect, and to wait for it would be for ever.
        let path = directory.path().join("busy");
        let listener = UnixListener::bind(&path).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) = UnixStream::connect(&path).await {
            waiting.push(stream);
        }
        assert!(matches!(Socket::bind(&path, SocketOwner::User).await, Err(SocketError::Taken(_))));
        drop(listener);
    }

    #[tokio::test]
    async fn a_path_as_long_as_the_system_allows_can_be_served() {
        let directory = tempfile::tempdir_in("/tmp").unwrap();
        let bytes = directory.path().as_os_str().len();
        let path = directory.path().join("s".repeat(107 - bytes - 1));
        assert_eq!(path.as_os_str().len(), 107);
        drop(Socket::bind(&path, SocketOwner::User).await.unwrap());
    }
}
