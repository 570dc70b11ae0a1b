//! A small file system of its own, to fill up.

use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug)]
pub(crate) struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts a tmpfs on a directory. The error says why that is not possible here.
    pub(crate) fn mount(dir: &str, size_bytes: u64) -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can mount a tmpfs".to_owned());
        }
        std::fs::create_dir_all(dir).unwrap();
        let options = format!("size={size_bytes},mode=0700");
        let output = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "backhaul-test", dir]).output();
        match output {
            Ok(output) if output.status.success() => Ok(Self(PathBuf::from(dir))),
            Ok(output) => Err(format!("mount failed: {}", String::from_utf8_lossy(&output.stderr).trim())),
            Err(error) => Err(format!("mount cannot be run: {error}")),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a process that a failed test leaves behind may still have a file open.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(
            unmounted.is_ok_and(|status| status.success()) || std::thread::panicking(),
            "failed to unmount {}",
            self.0.display()
        );
    }
}
