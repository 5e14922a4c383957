//! SELinux, as far as our directories need it. A hostPath keeps the label that it has: nobody relabels it for the pod, as is done
//! for a kubelet's own volumes. So what containers are to read carries the label that containers may read, from its making on.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use nix::libc;
use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};

/// What every container may read and write, whatever its category: the type of container-selinux, and no category of its own.
pub const CONTAINER_FILE: &str = "system_u:object_r:container_file_t:s0";
/// The attribute that holds a file's label (`security(7)` of the kernel; `XATTR_NAME_SELINUX`).
const ATTRIBUTE: &str = "security.selinux";
/// No label is longer in practice.
const LONGEST: usize = 4096;

/// Whether what is not allowed is prevented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    /// What is not allowed fails.
    Enforcing,
    /// It is only written down.
    Permissive,
}

/// How SELinux is set; `None`: it is off. Container runtimes hide the first file, so that programs in containers take it for off; by
/// the second the kernel says that it is on, and what cannot be seen is taken for enforcing. `root` is `/`.
pub fn enforcement(root: &Path) -> Option<Enforcement> {
    if let Ok(text) = fs::read_to_string(root.join("sys/fs/selinux/enforce")) {
        return Some(if text.trim() == "0" { Enforcement::Permissive } else { Enforcement::Enforcing });
    }
    let filesystems = fs::read_to_string(root.join("proc/filesystems")).ok()?;
    filesystems.split_whitespace().any(|name| name == "selinuxfs").then_some(Enforcement::Enforcing)
}

/// The label of a file, directory or symbolic link; `None`: it has none.
pub fn label(path: &Path) -> io::Result<Option<String>> {
    let mut label = vec![0; LONGEST];
    match lgetxattr(path, ATTRIBUTE, label.as_mut_slice()) {
        Ok(length) => {
            label.truncate(length);
            Ok(Some(String::from_utf8_lossy(&label).trim_end_matches('\0').to_owned()))
        }
        Err(why) if matches!(why.raw_os_error(), libc::ENODATA | libc::EOPNOTSUPP) => Ok(None),
        Err(why) => Err(why.into()),
    }
}

/// Whether containers may read what has this label. The user is of no account to the policy, the category is.
pub fn is_for_containers(label: &str) -> bool {
    let mut parts = label.splitn(4, ':').skip(2);
    parts.next() == Some("container_file_t") && matches!(parts.next(), Some("s0") | None)
}

/// Gives it [`CONTAINER_FILE`], where it is not for containers yet. A filesystem without labels, or a policy without that type (no
/// container-selinux: containers are not confined then), leaves it as it is.
fn set_label(path: &Path) -> io::Result<()> {
    if label(path)?.is_some_and(|label| is_for_containers(&label)) {
        return Ok(());
    }
    let value = [CONTAINER_FILE.as_bytes(), b"\0"].concat();
    match lsetxattr(path, ATTRIBUTE, &value, XattrFlags::empty()) {
        Err(why) if !matches!(why.raw_os_error(), libc::EOPNOTSUPP | libc::EINVAL) => Err(why.into()),
        _ => Ok(()),
    }
}

type Set = dyn Fn(&Path, &str) -> io::Result<()> + Send + Sync;

/// Labels what is made beneath some directories of a root.
#[derive(Clone)]
pub struct Labels {
    trees: Vec<String>,
    set: Arc<Set>,
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Labels").field("trees", &self.trees).finish_non_exhaustive()
    }
}

impl Labels {
    /// Beneath these directories of the root, by the kernel; `None` where SELinux is off.
    pub fn of_this_node<'a>(trees: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        enforcement(Path::new("/")).map(|_| Self::with(trees, |path, _| set_label(path)))
    }

    /// The same by `set`, which is called with where to find the file and with its path beneath the root.
    pub fn with<'a>(
        trees: impl IntoIterator<Item = &'a str>,
        set: impl Fn(&Path, &str) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { trees: trees.into_iter().map(str::to_owned).collect(), set: Arc::new(set) }
    }

    /// Labels `name` in the open directory at `dir`, which is `path` beneath the root, if that is in one of the trees.
    pub(super) fn apply(&self, dir: &Path, name: &str, path: &str) -> io::Result<()> {
        let tree = path.split('/').next().unwrap_or_default();
        if self.trees.iter().any(|ours| ours == tree) { (self.set)(&dir.join(name), path) } else { Ok(()) }
    }

    /// The directories.
    pub fn trees(&self) -> &[String] {
        &self.trees
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::off(None, "nodev\tproc\n\text4\n", None)]
    #[case::enforcing(Some("1"), "", Some(Enforcement::Enforcing))]
    #[case::permissive(Some("0\n"), "nodev\tselinuxfs\n", Some(Enforcement::Permissive))]
    #[case::hidden_in_a_container(None, "nodev\tproc\nnodev\tselinuxfs\n", Some(Enforcement::Enforcing))]
    fn the_kernel_says_how_it_is_set(
        #[case] enforce: Option<&str>,
        #[case] filesystems: &str,
        #[case] set: Option<Enforcement>,
    ) {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(enforcement(root.path()), None);
        fs::create_dir_all(root.path().join("sys/fs/selinux")).unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        fs::write(root.path().join("proc/filesystems"), filesystems).unwrap();
        if let Some(text) = enforce {
            fs::write(root.path().join("sys/fs/selinux/enforce"), text).unwrap();
        }
        assert_eq!(enforcement(root.path()), set);
    }

    #[rstest]
    #[case(CONTAINER_FILE, true)]
    #[case("unconfined_u:object_r:container_file_t:s0", true)]
    #[case("system_u:object_r:container_file_t", true)]
    #[case("system_u:object_r:container_file_t:s0:c1,c2", false)]
    #[case("system_u:object_r:etc_t:s0", false)]
    #[case("", false)]
    fn containers_read_their_type_without_a_category(#[case] label: &str, #[case] may: bool) {
        assert_eq!(is_for_containers(label), may);
    }

    #[test]
    fn a_file_without_a_label_has_none() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // On a machine with SELinux it has one, which is not ours to say.
        if enforcement(Path::new("/")).is_none() {
            assert_eq!(label(file.path()).unwrap(), None);
        }
        assert!(label(Path::new("/nowhere/file")).is_err());
    }
}
