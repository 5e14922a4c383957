//! Sealing and opening of files: everything under a temporary name first, the final name only when all of it is good and
//! durable, and the plain archive gone only after that.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::{Recipient, SealError, UnsealError, seal, unseal};
use crate::archive::complete::{self, State};
use crate::archive::name::SEALED;
use crate::archive::sidecar::{self, Sidecar};
use crate::disk::atomic;
use crate::disk::beneath::Beneath;
use crate::disk::files::{FileError, Files, NewFile};

const MODE: u32 = 0o600;

/// Seals a whole archive in its directory, as `<archive>.age`, with its description `<archive>.age.json`, and removes the
/// plain one. It blocks. Returns the sealed file's path; `progress` is told bytes of the plain one.
///
/// On failure there is no sealed file, and the plain archive stays: what to do with it is the caller's to say.
pub fn seal_file(recipient: &Recipient, archive: &Path, progress: &mut dyn FnMut(u64)) -> Result<PathBuf, SealError> {
    let (dir, name) = place(archive).ok_or_else(|| SealError::Name { path: archive.to_owned() })?;
    let sealed = format!("{name}{SEALED}");
    let (mut plain, description) = whole(recipient, archive)?;
    let size = description.size;
    let (description, described) = (description.to_json()?, format!("{sealed}{}", sidecar::ENDING));
    let temporary = atomic::temporary(&sealed);
    let outcome = written(&dir, &temporary, |sink| seal(recipient, &mut plain, sink, progress)).and_then(|done| {
        if done != size || plain.metadata().map_err(SealError::Read)?.len() != size {
            return Err(SealError::Changed { path: archive.to_owned() });
        }
        // The description first: no sealed file is ever without.
        atomic::write(&dir, &described, description.as_bytes(), MODE)?;
        dir.rename(&temporary, &sealed)?;
        dir.sync_dir("")?;
        dir.remove_file(&name)?;
        Ok(())
    });
    if let Err(why) = outcome {
        // The first error is the one to tell; a temporary that stays goes with the next sweep.
        let _ = (dir.remove_file(&temporary), dir.remove_file(&sealed), dir.remove_file(&described));
        return Err(why);
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
    let temporary = atomic::temporary(&name);
    let outcome = written(&dir, &temporary, |sink| unseal(key_pem, certificate, &mut source, sink, progress));
    let linked = outcome.and_then(|length| match dir.link(&temporary, &name) {
        Ok(()) => Ok(length),
        Err(why) if why.kind() == io::ErrorKind::AlreadyExists => Err(exists()),
        Err(why) => Err(why.into()),
    });
    let removed = dir.remove_file(&temporary);
    let length = linked?;
    removed?;
    dir.sync_dir("")?;
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
        State::Complete(contents) => contents,
        State::BeingWritten => {
            return Err(incomplete("it is still being written; try again when it is done".to_owned()));
        }
        State::Incomplete(why) => return Err(incomplete(why)),
    };
    let sidecar = Sidecar::new(contents.metadata, contents.size, recipient.subject().to_owned());
    Ok((file, sidecar))
}

/// The directory of a path, and the name in it.
fn place(path: &Path) -> Option<(Beneath, String)> {
    let name = path.file_name()?.to_str()?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Some((Beneath::new(dir), name.to_owned()))
}

/// Writes a new file, durably but for its name; a failure leaves none.
fn written<T, E: From<FileError>>(
    dir: &Beneath,
    name: &str,
    write: impl FnOnce(&mut Sink) -> Result<T, E>,
) -> Result<T, E> {
    let mut sink = Sink(dir.create(name)?);
    let outcome = write(&mut sink).and_then(|value| {
        sink.0.set_mode(MODE)?;
        sink.0.sync()?;
        Ok(value)
    });
    outcome.inspect_err(|_| {
        // The first error is the one to tell; what cannot be removed now goes with the next sweep.
        let _ = dir.remove_file(name);
    })
}

/// A new file as something to write to.
struct Sink(Box<dyn NewFile>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // With the kernel's own error inside, which says more than its kind.
        self.0.write(bytes).map(|()| bytes.len()).map_err(|why| io::Error::new(why.kind(), why))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
