//! The directories: writable, linkable, with room left; and the lock. Writes small files of its own and removes them.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::sys::statvfs::statvfs;
use nix::unistd::geteuid;

use super::check::{Check, CheckOutcome};
use crate::agent::config::NodeConfig;
use crate::cli::lock_holder::{self, Holder};

/// Less room than this for Secrets, ConfigMaps and manifests deserves a word.
const ROOM: u64 = 64 << 20;
/// A checkpoint takes about a dozen inodes.
const INODES: u64 = 1000;

pub(super) fn checks(node: &NodeConfig) -> Vec<Check> {
    let mut checks = vec![writable(
        "checkpoints can be written",
        &node.etc_dir,
        "mount the node's /etc/kubernetes read-write, run as root",
    )];
    let static_pods = writable(
        "static pods can be written",
        &node.manifests_dir,
        "it must be the kubelet's staticPodPath, mounted read-write; create it where it is missing",
    );
    // What cannot be written need not be said to be unlinkable too.
    let linkable = static_pods.outcome == CheckOutcome::Ok && checks[0].outcome == CheckOutcome::Ok;
    checks.push(static_pods);
    if linkable {
        checks.push(hard_links(&node.etc_dir, &node.manifests_dir));
    }
    checks.push(room(&node.etc_dir));
    if linkable && !same_filesystem(&node.etc_dir, &node.manifests_dir) {
        checks.push(room(&node.manifests_dir));
    }
    checks.push(volatile(&node.run_dir));
    checks.push(lock(&node.lock_file));
    checks
}

/// A file of ours that the kubelet ignores (a dotfile) and the agent sweeps should we die before removing it.
fn scratch(dir: &Path) -> PathBuf {
    dir.join(format!(".pod-checkpointer-doctor-{}", std::process::id()))
}

fn writable(name: &str, dir: &Path, remedy: &str) -> Check {
    let path = scratch(dir);
    let outcome = fs::File::create(&path).and_then(|mut file| {
        file.write_all(b"doctor")?;
        file.sync_all()
    });
    // Where it could not be made there is nothing to remove.
    let _ = fs::remove_file(&path);
    match outcome {
        Ok(()) => Check::ok(name, dir.display()),
        Err(why) => {
            let owner = fs::metadata(dir).map(|about| about.uid()).ok();
            unwritable(name, dir, &why, owner.filter(|owner| *owner != geteuid().as_raw()), remedy)
        }
    }
}

/// `stranger`: the owner, where that is somebody else than we.
fn unwritable(name: &str, dir: &Path, why: &io::Error, stranger: Option<u32>, remedy: &str) -> Check {
    let dir = dir.display();
    match stranger {
        Some(owner) if why.kind() == io::ErrorKind::PermissionDenied => Check::fail(
            name,
            format!("{dir}: {why}; it belongs to user {owner}"),
            "leave its owner, and give the agent DAC_OVERRIDE in place of DAC_READ_SEARCH: kubectl -n kube-system patch daemonset \
             pod-checkpointer --patch-file manifests/overlays/other-owner/patch.yaml",
        ),
        _ => Check::fail(name, format!("{dir}: {why}"), remedy),
    }
}

fn hard_links(etc: &Path, manifests: &Path) -> Check {
    const NAME: &str = "activation by hard link";
    let (from, to) = (scratch(etc), scratch(manifests).with_extension("link"));
    let outcome = fs::write(&from, b"doctor").and_then(|()| fs::hard_link(&from, &to));
    for path in [&to, &from] {
        let _ = fs::remove_file(path);
    }
    match outcome {
        Ok(()) => Check::ok(NAME, "works"),
        Err(why) => Check::warn(
            NAME,
            format!("from {} to {}: {why}", etc.display(), manifests.display()),
            "copies are made instead, which a full disk would prevent; keep both in one filesystem and one mount",
        ),
    }
}

fn same_filesystem(one: &Path, other: &Path) -> bool {
    matches!((fs::metadata(one), fs::metadata(other)), (Ok(one), Ok(other)) if one.dev() == other.dev())
}

fn room(dir: &Path) -> Check {
    const NAME: &str = "room on disk";
    match statvfs(dir) {
        Ok(stat) => {
            let bytes = stat.blocks_available() * stat.fragment_size();
            // Filesystems that make inodes as they need them report none at all.
            let inodes = (stat.files() > 0).then(|| stat.files_available());
            judge_room(dir, bytes, inodes)
        }
        Err(why) => Check::fail(NAME, format!("{}: {why}", dir.display()), "make the directory readable"),
    }
}

fn judge_room(dir: &Path, bytes: u64, inodes: Option<u64>) -> Check {
    const NAME: &str = "room on disk";
    let left = inodes.map_or_else(String::new, |left| format!(", {left} inodes"));
    let finding = format!("{}: {} MiB{left} free", dir.display(), bytes >> 20);
    let remedy = "free some: what is saved stays, but nothing new can be saved on a full disk";
    if bytes == 0 || inodes == Some(0) {
        Check::fail(NAME, finding, remedy)
    } else if bytes < ROOM || inodes.is_some_and(|left| left < INODES) {
        Check::warn(NAME, finding, remedy)
    } else {
        Check::ok(NAME, finding)
    }
}

fn volatile(run_dir: &Path) -> Check {
    const NAME: &str = "timers are lost in a reboot";
    // Before the agent's first start only its parent is there.
    let there = run_dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(run_dir);
    match statfs(there) {
        Ok(stat) if stat.filesystem_type() == TMPFS_MAGIC => {
            Check::ok(NAME, format!("{} is a tmpfs", run_dir.display()))
        }
        Ok(_) => Check::warn(
            NAME,
            format!("{} is no tmpfs", run_dir.display()),
            "timers of an earlier boot would be read as this one's; keep it under the node's /run",
        ),
        Err(why) => Check::warn(NAME, format!("{}: {why}", there.display()), "mount the node's /run"),
    }
}

fn lock(path: &Path) -> Check {
    const NAME: &str = "one agent leads";
    match lock_holder::look(path) {
        Ok(holder) => judge_lock(path, &holder),
        Err(why) => lock_unseen(path, &why),
    }
    .named(NAME)
}

fn lock_unseen(path: &Path, why: &io::Error) -> Check {
    Check::warn("", format!("{}: {why}", path.display()), "run it as root, with the node's /run mounted")
}

fn judge_lock(path: &Path, holder: &Holder) -> Check {
    match holder {
        Holder::Agent => Check::ok("", format!("an agent holds {}", path.display())),
        Holder::Nobody => Check::warn(
            "",
            format!("nobody holds {}", path.display()),
            "no agent runs here: nothing is saved or brought back until one does (kubectl apply -f rbac/ -f manifests/)",
        ),
        Holder::Other(pid) => Check::fail(
            "",
            format!(
                "another program holds {}{}",
                path.display(),
                pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
            ),
            "an agent of this program waits for it; is the original pod-checkpointer still installed? Remove its DaemonSet",
        ),
    }
}

impl Check {
    fn named(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_directory_that_can_be_written_is_left_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let manifests = dir.path().join("manifests");
        fs::create_dir(&manifests).unwrap();
        assert_eq!(writable("w", dir.path(), "").outcome, CheckOutcome::Ok);
        assert_eq!(hard_links(dir.path(), &manifests).outcome, CheckOutcome::Ok);
        assert_eq!(fs::read_dir(&manifests).unwrap().count(), 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_missing_manifest_directory_fails_and_links_only_warn() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("manifests");
        let check = writable("w", &missing, "create it");
        assert_eq!((check.outcome, check.remedy.as_deref()), (CheckOutcome::Fail, Some("create it")));
        assert_eq!(hard_links(dir.path(), &missing).outcome, CheckOutcome::Warn);
    }

    #[test]
    fn a_directory_of_another_user_takes_a_capability() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let check = unwritable("w", Path::new("/etc/kubernetes"), &denied, Some(999), "mount it");
        assert!(check.finding.contains("belongs to user 999"), "{check:?}");
        assert!(check.remedy.unwrap().contains("DAC_OVERRIDE"));
        let read_only = io::Error::from(io::ErrorKind::ReadOnlyFilesystem);
        for (why, stranger) in [(&read_only, Some(999)), (&denied, None)] {
            let check = unwritable("w", Path::new("/etc/kubernetes"), why, stranger, "mount it");
            assert_eq!((check.outcome, check.remedy.as_deref()), (CheckOutcome::Fail, Some("mount it")));
        }
    }

    #[rstest]
    #[case::plenty(1 << 30, Some(100_000), CheckOutcome::Ok)]
    #[case::no_inodes_counted(1 << 30, None, CheckOutcome::Ok)]
    #[case::little(10 << 20, Some(100_000), CheckOutcome::Warn)]
    #[case::few_inodes(1 << 30, Some(20), CheckOutcome::Warn)]
    #[case::full(0, Some(100_000), CheckOutcome::Fail)]
    #[case::no_inode_left(1 << 30, Some(0), CheckOutcome::Fail)]
    fn a_full_disk_fails_and_a_fuller_one_warns(
        #[case] bytes: u64,
        #[case] inodes: Option<u64>,
        #[case] outcome: CheckOutcome,
    ) {
        assert_eq!(judge_room(Path::new("/x"), bytes, inodes).outcome, outcome);
    }

    #[rstest]
    #[case(Holder::Agent, CheckOutcome::Ok)]
    #[case(Holder::Nobody, CheckOutcome::Warn)]
    #[case(Holder::Other(Some(7)), CheckOutcome::Fail)]
    fn only_an_agent_of_this_program_should_lead(#[case] holder: Holder, #[case] outcome: CheckOutcome) {
        assert_eq!(judge_lock(Path::new("/x"), &holder).outcome, outcome);
    }
}
