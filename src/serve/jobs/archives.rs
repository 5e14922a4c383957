//! The kubelet's directory of archives: opens what the kubelet names, and only beneath the directory; says whose it is and
//! whether it is whole; makes it durable; finds archives that came when nobody listened. Blocks.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::archive::ArchiveError;
use crate::archive::complete::{self, Completeness};
use crate::archive::metadata::Metadata;
use crate::archive::name::ArchiveName;
use crate::disk::files::{FileError, Files};
use crate::disk::rooted_dir::RootedDir;

/// Whose archive is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchiveOwner {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// UID of the pod, which tells it from another of that name.
    pub uid: String,
    /// Name of the container.
    pub container: String,
}

/// An archive that can be relied on.
#[derive(Debug)]
pub struct FoundArchive {
    /// Name of its file in the checkpoints directory.
    pub file: String,
    /// Open for reading, at its beginning.
    pub content: File,
    /// What it says about itself.
    pub metadata: Metadata,
    /// Length of the file in bytes.
    pub size: u64,
}

/// Why an archive is not to be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveFault {
    /// What the kubelet named is no archive's path.
    #[error("the kubelet answered with the path {0:?}, which is no checkpoint archive's")]
    Path(String),
    /// It is not where it should be.
    #[error("{0}; is --checkpoints-dir the kubelet's directory `checkpoints`?")]
    Missing(FileError),
    /// It cannot be opened, synced or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is no archive.
    #[error("{path}: {why}")]
    Unreadable {
        /// Path of the file.
        path: PathBuf,
        /// Where reading it ended, and why.
        why: ArchiveError,
    },
    /// It is not whole.
    #[error("{path} is not whole: {why}")]
    Incomplete {
        /// Path of the file.
        path: PathBuf,
        /// What of an archive's end is missing.
        why: String,
    },
    /// It is of another container.
    #[error("{path} is of {found}, not of what was asked for")]
    Foreign {
        /// Path of the file.
        path: PathBuf,
        /// What it says of itself.
        found: String,
    },
}

/// The kubelet's directory of archives.
#[derive(Debug, Clone)]
pub struct Archives {
    dir: RootedDir,
    path: PathBuf,
}

impl Archives {
    /// `/var/lib/kubelet/checkpoints`
    pub fn new(path: &Path) -> Self {
        Self { dir: RootedDir::new(path), path: path.to_owned() }
    }

    /// Where a file lies.
    pub fn locate(&self, file: &str) -> PathBuf {
        self.path.join(file)
    }

    /// The file that the kubelet names: its last part, if that is the name of an archive of this container. Where the
    /// kubelet has its directory is not believed.
    pub fn named(path: &str, owner: &ArchiveOwner) -> Result<String, ArchiveFault> {
        let file = path.rsplit('/').next().unwrap_or_default();
        let name = ArchiveName::parse(file).filter(|name| !name.sealed);
        if name.is_some_and(|name| name.may_be_of(&owner.namespace, &owner.pod, &owner.container)) {
            Ok(file.to_owned())
        } else {
            Err(ArchiveFault::Path(path.chars().take(300).collect()))
        }
    }

    /// Whether there is such a file.
    pub fn has(&self, file: &str) -> Result<bool, FileError> {
        Ok(self.dir.stat(file)?.is_some())
    }

    /// The file, whole and of its owner; durable when this returns.
    pub fn take(&self, file: &str, owner: &ArchiveOwner) -> Result<FoundArchive, ArchiveFault> {
        let path = self.locate(file);
        let content = self.dir.open_file(file).map_err(|why| match why.kind() {
            std::io::ErrorKind::NotFound => ArchiveFault::Missing(why),
            _ => ArchiveFault::File(why),
        })?;
        let unreadable = |why| ArchiveFault::Unreadable { path: path.clone(), why };
        let contents = match complete::read(&content).map_err(unreadable)? {
            Completeness::Complete(contents) => contents,
            Completeness::BeingWritten => {
                return Err(ArchiveFault::Incomplete { path, why: "it is still being written".to_owned() });
            }
            Completeness::Incomplete(why) => return Err(ArchiveFault::Incomplete { path, why }),
        };
        if !owner.owns(&contents.metadata) {
            let Metadata { namespace, pod, container, .. } = &contents.metadata;
            return Err(ArchiveFault::Foreign { found: format!("{namespace}/{pod}/{container}"), path });
        }
        // The runtime writes it and does not wait for the disk.
        content.sync_all().map_err(|cause| FileError::new("make durable", path, cause))?;
        self.dir.sync_dir("")?;
        std::io::Seek::rewind(&mut &content).map_err(|cause| FileError::new("read", self.locate(file), cause))?;
        Ok(FoundArchive { file: file.to_owned(), content, metadata: contents.metadata, size: contents.size })
    }

    /// Plain archives that may be of this container and were asked for in these seconds, the oldest first.
    pub fn between(&self, owner: &ArchiveOwner, since: i64, until: i64) -> Result<Vec<String>, FileError> {
        Ok(among(&self.plain()?, owner, since, until))
    }

    /// Plain archives by their names alone, and what these say.
    pub fn plain(&self) -> Result<Vec<(ArchiveName, String)>, FileError> {
        let named = |file: String| Some((ArchiveName::parse(&file).filter(|name| !name.sealed)?, file));
        Ok(self.dir.list("")?.into_iter().filter_map(named).collect())
    }

    /// Removes a file for good; one that is not there is gone already.
    pub fn remove(&self, file: &str) -> Result<(), FileError> {
        match self.dir.remove_file(file) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => {}
            other => other?,
        }
        self.dir.sync_dir("")
    }
}

/// See [`Archives::between`].
pub fn among(plain: &[(ArchiveName, String)], owner: &ArchiveOwner, since: i64, until: i64) -> Vec<String> {
    let ArchiveOwner { namespace, pod, container, .. } = owner;
    let mut found: Vec<(i64, &String)> = plain
        .iter()
        .map(|(name, file)| (name.at.as_second(), name, file))
        .filter(|(at, name, _)| (since..=until).contains(at) && name.may_be_of(namespace, pod, container))
        .map(|(at, _, file)| (at, file))
        .collect();
    found.sort();
    found.into_iter().map(|(_, file)| file.clone()).collect()
}

impl ArchiveOwner {
    /// A name alone may be that of an earlier pod.
    fn owns(&self, said: &Metadata) -> bool {
        let same = said.namespace == self.namespace && said.pod == self.pod && said.container == self.container;
        same && said.pod_uid.as_ref().is_none_or(|uid| *uid == self.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn owner() -> ArchiveOwner {
        let text = str::to_owned;
        ArchiveOwner { namespace: text("ns"), pod: text("p"), uid: text("u"), container: text("c") }
    }

    #[rstest]
    #[case("/var/lib/kubelet/checkpoints/checkpoint-p_ns-c-2026-11-21T07:12:53Z.tar", true)]
    #[case("/elsewhere/checkpoint-p_ns-c-2026-11-21T07:12:53+01:00.tar", true)]
    #[case("checkpoint-p_ns-c-2026-11-21T07:12:53Z.tar", true)]
    #[case("/var/lib/kubelet/checkpoints/checkpoint-p_ns-d-2026-11-21T07:12:53Z.tar", false)]
    #[case("/var/lib/kubelet/checkpoints/checkpoint-p_ns-c-2026-11-21T07:12:53Z.tar.age", false)]
    #[case("/var/lib/kubelet/checkpoints/..", false)]
    #[case("/etc/shadow", false)]
    #[case("", false)]
    fn only_the_containers_own_archive_is_taken_from_the_kubelet(#[case] path: &str, #[case] taken: bool) {
        assert_eq!(Archives::named(path, &owner()).is_ok(), taken);
    }

    #[test]
    fn archives_are_found_by_their_second_and_their_container() {
        let dir = tempfile::tempdir().unwrap();
        for name in [
            "checkpoint-p_ns-c-1970-01-01T00:01:40Z.tar",
            "checkpoint-p_ns-c-1970-01-01T01:01:39+01:00.tar",
            "checkpoint-p_ns-c-1970-01-01T00:01:41Z.tar",
            "checkpoint-p_ns-c-1970-01-01T00:01:42Z.tar",
            "checkpoint-p_ns-c-1970-01-01T00:01:40Z.tar.age",
            "checkpoint-p_ns-d-1970-01-01T00:01:40Z.tar",
            "checkpoint-q_ns-c-1970-01-01T00:01:40Z.tar",
            "notes",
        ] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = Archives::new(dir.path()).between(&owner(), 100, 101).unwrap();
        assert_eq!(found, ["checkpoint-p_ns-c-1970-01-01T00:01:40Z.tar", "checkpoint-p_ns-c-1970-01-01T00:01:41Z.tar"]);
    }

    #[test]
    fn what_is_not_there_is_not_taken_and_is_gone_already() {
        let dir = tempfile::tempdir().unwrap();
        let archives = Archives::new(dir.path());
        let name = "checkpoint-p_ns-c-1970-01-01T00:01:40Z.tar";
        assert!(matches!(archives.take(name, &owner()), Err(ArchiveFault::Missing(_))));
        archives.remove(name).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join(name)).unwrap();
        assert!(matches!(archives.take(name, &owner()), Err(ArchiveFault::File(_))));
        assert!(matches!(archives.take("../x", &owner()), Err(ArchiveFault::File(_))));
    }
}
