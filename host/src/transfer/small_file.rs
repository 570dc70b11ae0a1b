//! Small files, made durable in groups: one wait for the disk serves many of them.
//!
//! Their bodies stay in memory until their group is written. Nothing of them is reported before the whole group is durable.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::directory::Directory;
use super::error::FileError;
use super::file_task::FileTask;
use super::part_file::PartFile;
use crate::job::PartIdentity;

/// The largest file that is kept in memory until it is whole. With 64 files in flight, that is 4 MiB a job.
pub(crate) const SMALL_FILE_BYTES_MAX: u64 = 64 << 10;
/// Files of one group: their descriptors are open together, and the usual limit of a process is 1,024.
pub(crate) const GROUP_FILES_MAX: usize = 128;
/// From so many files of one file system on, it is synced as a whole: one wait instead of one for each file.
const WHOLE_SYNC_FILES_MIN: usize = 4;

/// A small file that is whole and verified.
#[derive(Debug)]
pub(crate) struct SmallFile {
    pub(crate) task: FileTask,
    directory: Arc<Directory>,
    name: String,
    body: Bytes,
}

impl SmallFile {
    pub(crate) fn new(task: FileTask, body: Bytes) -> Self {
        let (directory, name) = (Arc::clone(&task.directory), task.run.part_name(&task.file));
        Self { task, directory, name, body }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.body.len() as u64
    }

    fn write(&self) -> Result<PartFile, FileError> {
        let part = PartFile::create(&self.directory, &self.name)?;
        part.write_at(std::slice::from_ref(&self.body), 0)?;
        Ok(part)
    }
}

/// Writes the files of a group and makes them durable, with their names. Blocks.
pub(crate) fn write_group(group: &[SmallFile]) -> Vec<Result<PartIdentity, FileError>> {
    let mut parts: Vec<Result<PartFile, FileError>> = group.iter().map(SmallFile::write).collect();
    let directories: Vec<&Arc<Directory>> = group.iter().map(|small| &small.directory).collect();
    sync_group(&directories, &mut parts);
    parts.into_iter().map(|part| part.map(|part| part.identity())).collect()
}

/// The parts lie in the directories in the same order.
fn sync_group(directories: &[&Arc<Directory>], parts: &mut [Result<PartFile, FileError>]) {
    let mut by_device: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (index, part) in parts.iter().enumerate() {
        if let Ok(part) = part {
            by_device.entry(part.identity().device).or_default().push(index);
        }
    }
    for members in by_device.into_values() {
        let together = members.len() >= WHOLE_SYNC_FILES_MIN && directories[members[0]].sync_file_system().is_ok();
        if together {
            continue;
        }
        // Also when syncing as a whole failed: the fault may lie with somebody else's file. Each descriptor of ours reports its own.
        let mut synced: Vec<(&Arc<Directory>, Result<(), FileError>)> = Vec::new();
        for index in members {
            let directory = directories[index];
            let known = synced.iter().position(|(done, _)| Arc::ptr_eq(done, directory));
            let known = known.unwrap_or_else(|| {
                synced.push((directory, directory.sync()));
                synced.len() - 1
            });
            let named = synced[known].1.clone();
            if let Err(error) = parts[index].as_ref().map_or(Ok(()), PartFile::sync).and(named) {
                parts[index] = Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_counts_as_durable_in_a_directory_that_cannot_be_synced() {
        let scratch = tempfile::tempdir().unwrap();
        let directory = Arc::new(Directory::unsyncable(scratch.path()));
        for files in [1, 3, 5] {
            let mut parts: Vec<_> =
                (0..files).map(|index| PartFile::create(&directory, &format!("{files}-{index}"))).collect();
            sync_group(&vec![&directory; files], &mut parts);
            assert!(parts.iter().all(Result::is_err), "{parts:?}");
        }
    }
}
