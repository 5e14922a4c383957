//! The real [`Files`]: paths beneath a root, each looked up anew in the directories that are there at that moment (`beneath`).
//! For few files of ours that must be durable. One directory of very many files is held open instead, so that each costs one
//! system call and another directory under its name is noticed: that is `open_dir`.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, readlinkat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Uid, UnlinkatFlags, fchown, fsync, linkat, symlinkat, unlinkat};

use super::beneath;
use super::files::{FileError, FileKind, FileResult, Files, NewFile, Stat};
use super::selinux::Labels;

/// A root directory, and directories elsewhere that stand in for one of its own. The roots are opened anew for each
/// operation, so that one which appears later or is replaced is seen; they are the operator's, and links in them hold.
#[derive(Debug, Clone)]
pub struct RootedDir {
    root: PathBuf,
    mounts: Vec<(String, PathBuf)>,
    labels: Option<Labels>,
}

impl RootedDir {
    /// Everything beneath `root`. It need not exist yet.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), mounts: Vec::new(), labels: None }
    }

    /// Lets the directory `name` of the root be `path`, wherever that is.
    #[must_use]
    pub fn mount(mut self, name: &str, path: &Path) -> Self {
        self.mounts.push((name.to_owned(), path.to_owned()));
        self
    }

    /// Labels what is made from now on, and what is there already.
    pub fn labelled(mut self, labels: Labels) -> FileResult<Self> {
        let trees = labels.trees().to_vec();
        self.labels = Some(labels);
        trees.iter().try_for_each(|tree| self.label_all(tree))?;
        Ok(self)
    }

    fn label_all(&self, path: &str) -> FileResult<()> {
        let Some(stat) = self.stat(path)? else { return Ok(()) };
        self.label(path)?;
        if stat.kind == FileKind::Dir {
            self.list(path)?.iter().try_for_each(|name| self.label_all(&format!("{path}/{name}")))?;
        }
        Ok(())
    }

    fn label(&self, path: &str) -> FileResult<()> {
        let Some(labels) = &self.labels else { return Ok(()) };
        let (dir, name) = self.holder(path).map_err(self.fail("label", path))?;
        // The directory that was resolved beneath the root, whatever its path leads to by now.
        let dir = PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd()));
        labels.apply(&dir, name, path).map_err(|cause| FileError::new("label", self.locate(path), cause))
    }

    fn split<'a>(&'a self, path: &'a str) -> (&'a Path, &'a str) {
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        match self.mounts.iter().find(|(name, _)| name == first) {
            Some((_, root)) => (root, rest),
            None => (&self.root, path),
        }
    }

    fn fail<'a>(&'a self, operation: &'static str, path: &'a str) -> impl Fn(Errno) -> FileError + 'a {
        move |errno| FileError::new(operation, self.locate(path), errno.into())
    }

    fn open(&self, path: &str, flags: OFlag, mode: Mode) -> Result<OwnedFd, Errno> {
        let (root, path) = self.split(path);
        beneath::open(&open_root(root)?, path, flags, mode)
    }

    fn open_dir(&self, path: &str) -> Result<OwnedFd, Errno> {
        self.open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY, Mode::empty())
    }

    /// A regular file, to be read as a stream.
    pub fn open_file(&self, path: &str) -> FileResult<File> {
        let (root, beneath) = self.split(path);
        let open = || beneath::open_file(&open_root(root)?, beneath);
        open().map_err(|cause| FileError::new("open", self.locate(path), cause))
    }

    /// A new file in the root that has no name: however this process ends, nothing is left of it. `None`: this filesystem
    /// cannot.
    pub fn unnamed(&self) -> FileResult<Option<Unnamed>> {
        match self.open("", OFlag::O_WRONLY | OFlag::O_TMPFILE, Mode::S_IRUSR | Mode::S_IWUSR) {
            Ok(fd) => Ok(Some(Unnamed(RealFile { file: File::from(fd), path: self.locate("") }))),
            // Of kernels and filesystems that do not know the flag.
            Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => Ok(None),
            Err(why) => Err(self.fail("create a file in", "")(why)),
        }
    }

    /// Gives it a name in the root, one that is not taken.
    pub fn name(&self, unnamed: &Unnamed, name: &str) -> FileResult<()> {
        let own = format!("/proc/self/fd/{}", unnamed.0.file.as_raw_fd());
        let link = || {
            let (dir, name) = self.holder(name)?;
            // The path is absolute: where it would begin does not matter.
            linkat(&dir, own.as_str(), &dir, name, AtFlags::AT_SYMLINK_FOLLOW)
        };
        link().map_err(self.fail("link to", name))
    }

    /// The directory that holds `path`, and the last name.
    fn holder<'a>(&self, path: &'a str) -> Result<(OwnedFd, &'a str), Errno> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        if path.starts_with('/') || !beneath::is_name(name) || self.split(path).1.is_empty() {
            return Err(Errno::EINVAL);
        }
        Ok((self.open(dir, OFlag::O_PATH | OFlag::O_DIRECTORY, Mode::empty())?, name))
    }
}

impl Files for RootedDir {
    fn locate(&self, path: &str) -> PathBuf {
        let (root, beneath) = self.split(path);
        if beneath.is_empty() { root.to_owned() } else { root.join(beneath) }
    }

    fn create(&self, path: &str) -> FileResult<Box<dyn NewFile>> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
        let fd = self.open(path, flags, Mode::S_IRUSR | Mode::S_IWUSR).map_err(self.fail("create", path))?;
        self.label(path)?;
        Ok(Box::new(RealFile { file: File::from(fd), path: self.locate(path) }))
    }

    fn rename(&self, from: &str, to: &str) -> FileResult<()> {
        let rename = || {
            let ((old, old_name), (new, new_name)) = (self.holder(from)?, self.holder(to)?);
            renameat(&old, old_name, &new, new_name)
        };
        rename().map_err(self.fail("rename to", to))
    }

    fn link(&self, from: &str, to: &str) -> FileResult<()> {
        let link = || {
            let ((old, old_name), (new, new_name)) = (self.holder(from)?, self.holder(to)?);
            linkat(&old, old_name, &new, new_name, AtFlags::empty())
        };
        link().map_err(self.fail("link to", to))
    }

    fn symlink(&self, target: &str, path: &str) -> FileResult<()> {
        let link = || self.holder(path).and_then(|(dir, name)| symlinkat(target, &dir, name));
        link().map_err(self.fail("link symbolically", path))?;
        self.label(path)
    }

    fn remove_file(&self, path: &str) -> FileResult<()> {
        let remove = || self.holder(path).and_then(|(dir, name)| unlinkat(&dir, name, UnlinkatFlags::NoRemoveDir));
        remove().map_err(self.fail("remove", path))
    }

    fn remove_dir(&self, path: &str) -> FileResult<()> {
        let remove = || self.holder(path).and_then(|(dir, name)| unlinkat(&dir, name, UnlinkatFlags::RemoveDir));
        remove().map_err(self.fail("remove directory", path))
    }

    fn make_dir(&self, path: &str) -> FileResult<()> {
        let make = || self.holder(path).and_then(|(dir, name)| mkdirat(&dir, name, Mode::S_IRWXU));
        make().map_err(self.fail("make directory", path))?;
        self.label(path)
    }

    fn set_dir_mode(&self, path: &str, mode: u32) -> FileResult<()> {
        let set = || self.open_dir(path).and_then(|dir| fchmod(&dir, Mode::from_bits_truncate(mode)));
        set().map_err(self.fail("change the mode of", path))
    }

    fn set_dir_group(&self, path: &str, gid: u32) -> FileResult<()> {
        let set = || self.open_dir(path).and_then(|dir| own(&dir, None, Some(gid)));
        set().map_err(self.fail("change the group of", path))
    }

    fn sync_dir(&self, path: &str) -> FileResult<()> {
        let sync = || self.open_dir(path).and_then(|dir| fsync(&dir));
        sync().map_err(self.fail("make durable", path))
    }

    fn read(&self, path: &str, limit: u64) -> FileResult<Vec<u8>> {
        let fail = |cause| FileError::new("read", self.locate(path), cause);
        let file = self.open_file(path)?;
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() as u64 > limit {
            return Err(fail(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes"))));
        }
        Ok(bytes)
    }

    fn read_link(&self, path: &str) -> FileResult<String> {
        let read = || self.holder(path).and_then(|(dir, name)| readlinkat(&dir, name));
        let target = read().map_err(self.fail("read link", path))?;
        target.into_string().map_err(|_| self.fail("read link", path)(Errno::EILSEQ))
    }

    fn list(&self, path: &str) -> FileResult<Vec<String>> {
        let list = || beneath::names(&self.open_dir(path)?);
        list().map_err(self.fail("list", path))
    }

    fn stat(&self, path: &str) -> FileResult<Option<Stat>> {
        let stat = || {
            if self.split(path).1.is_empty() {
                return fstat(&self.open_dir(path)?);
            }
            let (dir, name) = self.holder(path)?;
            fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)
        };
        match stat() {
            Ok(stat) => Ok(Some(known(&stat))),
            // Beneath a file there certainly is nothing, nor under a name that the filesystem could not hold.
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENAMETOOLONG) => Ok(None),
            Err(errno) => Err(self.fail("look at", path)(errno)),
        }
    }
}

/// Links on the way to a root are the operator's.
fn open_root(root: &Path) -> Result<OwnedFd, Errno> {
    nix::fcntl::open(root, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

fn known(stat: &FileStat) -> Stat {
    let kind = match beneath::kind(stat) {
        SFlag::S_IFREG => FileKind::File,
        SFlag::S_IFDIR => FileKind::Dir,
        SFlag::S_IFLNK => FileKind::Symlink,
        _ => FileKind::Other,
    };
    Stat {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: stat.st_mtime,
        inode: stat.st_ino,
    }
}

fn own(fd: &impl std::os::fd::AsFd, uid: Option<u32>, gid: Option<u32>) -> nix::Result<()> {
    let now = fstat(fd)?;
    let uid = uid.filter(|uid| *uid != now.st_uid).map(Uid::from_raw);
    let gid = gid.filter(|gid| *gid != now.st_gid).map(Gid::from_raw);
    if uid.is_none() && gid.is_none() { Ok(()) } else { fchown(fd, uid, gid) }
}

/// See [`RootedDir::unnamed`].
pub struct Unnamed(RealFile);

impl std::ops::DerefMut for Unnamed {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.0
    }
}

impl std::ops::Deref for Unnamed {
    type Target = dyn NewFile;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

struct RealFile {
    file: File,
    path: PathBuf,
}

impl RealFile {
    fn fail(&self, operation: &'static str) -> impl Fn(io::Error) -> FileError + '_ {
        move |cause| FileError::new(operation, self.path.clone(), cause)
    }
}

impl NewFile for RealFile {
    fn write(&mut self, bytes: &[u8]) -> FileResult<()> {
        let written = self.file.write_all(bytes);
        written.map_err(self.fail("write"))
    }

    fn set_mode(&mut self, mode: u32) -> FileResult<()> {
        fchmod(&self.file, Mode::from_bits_truncate(mode))
            .map_err(|errno| self.fail("change the mode of")(errno.into()))
    }

    fn set_owner(&mut self, uid: Option<u32>, gid: Option<u32>) -> FileResult<()> {
        own(&self.file, uid, gid).map_err(|errno| self.fail("change the owner of")(errno.into()))
    }

    fn sync(&mut self) -> FileResult<()> {
        self.file.sync_all().map_err(self.fail("make durable"))
    }
}
