//! What a small file system goes through: full, larger, read-only.

use std::fs::File;
use std::io::Write;
use std::process::Command;

use super::tmpfs::Tmpfs;

impl Tmpfs {
    /// Gives it another size.
    pub(crate) fn resize(&self, size_bytes: u64) {
        self.remount(&format!("remount,size={size_bytes}"));
    }

    pub(crate) fn make_read_only(&self) {
        self.remount("remount,ro");
    }

    /// Leaves no byte free.
    pub(crate) fn fill(&self) {
        let mut filler = File::create(self.path().join("filler")).unwrap();
        for block_bytes in [64 << 10, 4096, 1] {
            let block = vec![0; block_bytes];
            while filler.write_all(&block).is_ok() {}
        }
    }

    fn remount(&self, options: &str) {
        let status = Command::new("mount").args(["-o", options]).arg(self.path()).status().unwrap();
        assert!(status.success(), "failed to remount {} with {options}", self.path().display());
    }
}
