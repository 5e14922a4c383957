//! Whether what is written into a directory outlives a reboot: no filesystem in memory, and no overlay whose changes are in one.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, statfs};

use super::check::Check;

/// `RAMFS_MAGIC` of `linux/magic.h`, which the libraries do not name.
const RAMFS_MAGIC: i64 = 0x8584_58f6;
/// Mounts as this process sees them, `proc_pid_mountinfo(5)`.
const MOUNTINFO: &str = "/proc/self/mountinfo";
const REMEDY: &str = "keep it on a disk: every checkpoint there is lost in the very power cut it is for";

/// What keeps the content of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Medium {
    /// A filesystem that is neither of those below.
    Lasting,
    /// In memory, by the name of the filesystem.
    Memory(&'static str),
    /// An overlay, with where it keeps changes and what that is; `None` where that cannot be seen from here.
    Overlay(Option<(PathBuf, Box<Medium>)>),
}

/// Both directories, once where they say the same.
pub(super) fn checks(etc: &Path, manifests: &Path) -> Vec<Check> {
    [etc, manifests].into_iter().map(check).collect()
}

fn check(dir: &Path) -> Check {
    // Before the agent's first start only its parent is there.
    let there = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(dir);
    let mounts = fs::read_to_string(MOUNTINFO).unwrap_or_default();
    judge(dir, medium(there, &mounts).map_err(|why| why.to_string()))
}

fn medium(dir: &Path, mounts: &str) -> nix::Result<Medium> {
    Ok(match simple(dir)? {
        Medium::Overlay(_) => {
            let real = fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned());
            // The path is that of whoever mounted it: in a container it may lead nowhere.
            let upper = upper_dir(mounts, &real);
            Medium::Overlay(upper.and_then(|upper| Some((upper.clone(), Box::new(simple(&upper).ok()?)))))
        }
        other => other,
    })
}

fn simple(dir: &Path) -> nix::Result<Medium> {
    Ok(match statfs(dir)?.filesystem_type() {
        TMPFS_MAGIC => Medium::Memory("tmpfs"),
        OVERLAYFS_SUPER_MAGIC => Medium::Overlay(None),
        FsType(magic) if magic == RAMFS_MAGIC => Medium::Memory("ramfs"),
        _ => Medium::Lasting,
    })
}

fn judge(dir: &Path, medium: Result<Medium, String>) -> Check {
    const NAME: &str = "checkpoints outlive a reboot";
    let place = dir.display();
    match medium {
        Ok(Medium::Lasting) => Check::ok(NAME, format!("{place} is not in memory")),
        Ok(Medium::Memory(kind)) => {
            Check::fail(NAME, format!("{place} is a {kind}: it is empty after a reboot"), REMEDY)
        }
        Ok(Medium::Overlay(upper)) => match upper {
            Some((upper, medium)) if *medium == Medium::Lasting => Check::ok(
                NAME,
                format!("{place} is an overlay with its changes in {}, which is not in memory", upper.display()),
            ),
            Some((upper, medium)) if matches!(*medium, Medium::Memory(_)) => Check::fail(
                NAME,
                format!("{place} is an overlay with its changes in {}, which is in memory", upper.display()),
                REMEDY,
            ),
            _ => Check::warn(
                NAME,
                format!("not proven: {place} is an overlay, and what keeps its changes cannot be seen from here"),
                "run doctor on the node itself, not in a container; on a node that boots from a read-only image, see that /etc/kubernetes \
                 is on a disk",
            ),
        },
        Err(why) => Check::warn(NAME, format!("not proven: {place}: {why}"), "mount it, and run doctor as root"),
    }
}

/// `upperdir=` of the overlay that `dir` is in: of the mounts above it the nearest, and of those on one place the last.
fn upper_dir(mounts: &str, dir: &Path) -> Option<PathBuf> {
    let mut nearest: Option<(usize, Option<PathBuf>)> = None;
    for line in mounts.lines() {
        // 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let Some(point) = before.split(' ').nth(4).map(unescaped) else { continue };
        let depth = Path::new(&point).components().count();
        if dir.starts_with(&point) && nearest.as_ref().is_none_or(|(best, _)| depth >= *best) {
            let mut fields = after.split(' ');
            let is_overlay = fields.next() == Some("overlay");
            let options = fields.nth(1).unwrap_or_default();
            let upper = options.split(',').find_map(|option| option.strip_prefix("upperdir=")).map(unescaped);
            nearest = Some((depth, upper.filter(|_| is_overlay).map(PathBuf::from)));
        }
    }
    nearest?.1.filter(|upper| upper.is_absolute())
}

/// Blank, tab, line feed and backslash stand there as three octal digits.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

#[cfg(test)]
mod tests {
    use super::super::check::Outcome;
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::disk(Medium::Lasting, Outcome::Ok)]
    #[case::tmpfs(Medium::Memory("tmpfs"), Outcome::Fail)]
    #[case::overlay_over_disk(over(Medium::Lasting), Outcome::Ok)]
    #[case::overlay_over_memory(over(Medium::Memory("ramfs")), Outcome::Fail)]
    #[case::overlay_over_overlay(over(Medium::Overlay(None)), Outcome::Warn)]
    #[case::overlay_unseen(Medium::Overlay(None), Outcome::Warn)]
    fn only_what_is_on_a_disk_outlives_a_reboot(#[case] medium: Medium, #[case] outcome: Outcome) {
        assert_eq!(judge(Path::new("/etc/kubernetes"), Ok(medium)).outcome, outcome);
    }

    fn over(medium: Medium) -> Medium {
        Medium::Overlay(Some(("/run/upper".into(), Box::new(medium))))
    }

    #[test]
    fn a_directory_in_memory_is_seen_as_such() {
        // Every Linux that runs these tests has one of its own.
        assert_eq!(simple(Path::new("/dev/shm")), Ok(Medium::Memory("tmpfs")));
        assert_eq!(check(Path::new("/dev/shm/not/made/yet")).outcome, Outcome::Fail);
    }

    #[test]
    fn the_nearest_mount_says_where_an_overlay_keeps_its_changes() {
        let mounts = "22 1 0:20 / / rw - overlay overlay rw,lowerdir=/a,upperdir=/run/live/upper,workdir=/w\n\
                      23 22 8:1 / /var rw - ext4 /dev/sda1 rw\n\
                      24 22 0:21 / /etc rw,relatime shared:3 - overlay none rw,lowerdir=/b,upperdir=/var/my\\040etc\n\
                      garbage\n";
        let of = |dir: &str| upper_dir(mounts, Path::new(dir));
        assert_eq!(of("/etc/kubernetes"), Some("/var/my etc".into()));
        assert_eq!(of("/opt"), Some("/run/live/upper".into()));
        assert_eq!(of("/var/lib"), None, "no overlay");
        assert_eq!(upper_dir("", Path::new("/etc")), None);
    }
}
