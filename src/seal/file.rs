//! Sealing and opening of files: the name only when all of it is good and durable, and the plain archive gone only after
//! that.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Recipient, SealError, UnsealError, seal, unseal};
use crate::archive::complete::{self, Completeness};
use crate::archive::name::SEALED;
use crate::archive::sidecar::{self, Sidecar};
use crate::disk::atomic;
use crate::disk::files::{FileError, Files, NewFile};
use crate::disk::rooted_dir::{RootedDir, Unnamed};

const MODE: u32 = 0o600;
/// Longest name of a file, in bytes (`NAME_MAX` of Linux).
const LONGEST_NAME: usize = 255;

/// Seals a whole archive in its directory, as `<archive>.age`, with its description `<archive>.age.json`, and removes the
/// plain one. It blocks. Returns the sealed file's path; `progress` is told bytes of the plain one.
///
/// On failure there is no sealed file, and the plain archive stays: what to do with it is the caller's to say.
pub fn seal_file(recipient: &Recipient, archive: &Path, progress: &mut dyn FnMut(u64)) -> Result<PathBuf, SealError> {
    let (dir, name) = place(archive).ok_or_else(|| SealError::Name { path: archive.to_owned() })?;
    let sealed = format!("{name}{SEALED}");
    let described = format!("{sealed}{}", sidecar::ENDING);
    if described.len() > LONGEST_NAME {
        return Err(SealError::LongName { path: archive.to_owned() });
    }
    let exists = || SealError::Exists { path: dir.locate(&sealed) };
    if dir.stat(&sealed)?.is_some() {
        return Err(exists());
    }
    let (mut plain, description) = whole(recipient, archive)?;
    let (size, description) = (description.size, description.to_json()?);
    let mut fresh = Fresh::new(&dir, &sealed)?;
    let done = seal(recipient, &mut plain, &mut fresh, progress)?;
    if done != size || plain.metadata().map_err(SealError::Read)?.len() != size {
        return Err(SealError::Changed { path: archive.to_owned() });
    }
    // The description first: no sealed file is ever without.
    atomic::write(&dir, &described, description.as_bytes(), MODE)?;
    if let Err(why) = fresh.take_name(&sealed) {
        if why.kind() == io::ErrorKind::AlreadyExists {
            return Err(exists());
        }
        // The first error is the one to tell; a description that stays goes with retention.
        let _ = (dir.remove_file(&sealed), dir.remove_file(&described));
        return Err(why.into());
    }
    if let Err(why) = dir.remove_file(&name) {
        match dir.stat(&name) {
            // Somebody else did it.
            Ok(None) => {}
            // So that another try finds the way free. The first error is the one to tell.
            Ok(Some(_)) => {
                let _ = (dir.remove_file(&sealed), dir.remove_file(&described), dir.sync_dir(""));
                return Err(why.into());
            }
            // The sealed one may be all that there is.
            Err(_) => return Err(why.into()),
        }
    }
    // The plain archive is gone and the sealed one durable: should this fail, a power cut may bring back the former.
    dir.sync_dir("")?;
    Ok(dir.locate(&sealed))
}

/// Opens the file `sealed` as `out`, which must not exist. It blocks. Returns how many bytes came out; `progress` is told the
/// same as it grows. On failure there is nothing under the name `out`.
pub fn unseal_file(
    key_pem: &[u8],
    certificate: Option<&[u8]>,
    sealed: &Path,
    out: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<u64, UnsealError> {
    let (dir, name) = place(out).ok_or_else(|| UnsealError::Name { path: out.to_owned() })?;
    let exists = || UnsealError::Exists { path: out.to_owned() };
    if dir.stat(&name)?.is_some() {
        return Err(exists());
    }
    let mut source = io::BufReader::with_capacity(BUFFER, File::open(sealed).map_err(UnsealError::Read)?);
    let mut fresh = Fresh::new(&dir, &name)?;
    let length = unseal(key_pem, certificate, &mut source, &mut fresh, progress)?;
    fresh.take_name(&name).map_err(|why| match why.kind() {
        io::ErrorKind::AlreadyExists => exists(),
        _ => why.into(),
    })?;
    Ok(length)
}

/// Some pieces of a payload at once.
const BUFFER: usize = 256 << 10;

/// The archive, whole, and what is to be said of it.
fn whole(recipient: &Recipient, archive: &Path) -> Result<(File, Sidecar), SealError> {
    let broken = |why| SealError::Archive { path: archive.to_owned(), why };
    let file = File::open(archive).map_err(|why| broken(why.into()))?;
    let incomplete = |why| SealError::Incomplete { path: archive.to_owned(), why };
    let contents = match complete::read(&file).map_err(broken)? {
        Completeness::Complete(contents) => contents,
        Completeness::BeingWritten => {
            return Err(incomplete("it is still being written; try again when it is done".to_owned()));
        }
        Completeness::Incomplete(why) => return Err(incomplete(why)),
    };
    let sidecar = Sidecar::new(contents.metadata, contents.size, recipient.subject().to_owned());
    Ok((file, sidecar))
}

/// The directory of a path, and the name in it.
fn place(path: &Path) -> Option<(RootedDir, String)> {
    let name = path.file_name()?.to_str()?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some((RootedDir::new(dir), name.to_owned()))
}

/// A new file that gets its name when all of it is good, and of which nothing is left otherwise. Where the filesystem cannot
/// make files without a name it has a temporary one meanwhile, which only a killed process leaves.
struct Fresh<'a> {
    dir: &'a RootedDir,
    file: Body,
}

enum Body {
    Unnamed(Unnamed),
    Temporary(Box<dyn NewFile>, String),
}

impl<'a> Fresh<'a> {
    fn new(dir: &'a RootedDir, name: &str) -> Result<Self, FileError> {
        match dir.unnamed()? {
            Some(unnamed) => Ok(Self { dir, file: Body::Unnamed(unnamed) }),
            None => Self::temporary(dir, name),
        }
    }

    fn temporary(dir: &'a RootedDir, name: &str) -> Result<Self, FileError> {
        let temporary = atomic::temporary(name);
        Ok(Self { dir, file: Body::Temporary(dir.create(&temporary)?, temporary) })
    }

    fn file(&mut self) -> &mut dyn NewFile {
        match &mut self.file {
            Body::Unnamed(file) => &mut **file,
            Body::Temporary(file, _) => &mut **file,
        }
    }

    /// Durably, and only if nobody has it.
    fn take_name(mut self, name: &str) -> Result<(), FileError> {
        self.file().set_mode(MODE)?;
        self.file().sync()?;
        match &self.file {
            Body::Unnamed(file) => self.dir.name(file, name)?,
            Body::Temporary(_, temporary) => self.dir.link(temporary, name)?,
        }
        self.dir.sync_dir("")
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if let Body::Temporary(_, temporary) = &self.file {
            // What cannot be removed now goes with the next sweep.
            let _ = self.dir.remove_file(temporary);
        }
    }
}

impl Write for Fresh<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // With the kernel's own error inside, which says more than its kind.
        self.file().write(bytes).map(|()| bytes.len()).map_err(|why| io::Error::new(why.kind(), why))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn also_a_temporary_name_leaves_nothing_and_takes_nobodys() {
        let base = tempfile::tempdir().unwrap();
        let dir = RootedDir::new(base.path());
        let write = |bytes: &[u8]| {
            let mut fresh = Fresh::temporary(&dir, "a").unwrap();
            fresh.write_all(bytes).unwrap();
            fresh
        };
        drop(write(b"given up"));
        assert!(dir.list("").unwrap().is_empty());
        write(b"good").take_name("a").unwrap();
        let why = write(b"late").take_name("a").unwrap_err();
        assert_eq!(why.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(dir.list("").unwrap(), ["a"]);
        assert_eq!(std::fs::read(base.path().join("a")).unwrap(), b"good");
    }
}
