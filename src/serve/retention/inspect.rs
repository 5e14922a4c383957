//! Reads one file of the directory, once: whether it is whole, and whose it is. Headers alone, or the description beside a
//! sealed one. It blocks.

use std::io::Read;
use std::sync::Arc;

use super::index::Found;
use super::policy::ContainerKey;
use crate::archive::ArchiveError;
use crate::archive::complete::{self, Completeness};
use crate::archive::metadata::Metadata;
use crate::archive::name::{is_label, is_subdomain};
use crate::archive::sidecar::{self, Sidecar};
use crate::disk::open_dir::OpenDir;

/// What a plain archive is.
pub(super) fn plain(dir: &OpenDir, file: &str) -> Found {
    let content = match dir.file(file) {
        Ok(content) => content,
        Err(why) => return Found::Unreadable(why.to_string()),
    };
    match complete::read(&content) {
        Ok(Completeness::Complete(contents)) => whole(&contents.metadata),
        Ok(Completeness::BeingWritten) => Found::Growing,
        Ok(Completeness::Incomplete(why)) => Found::Broken(why),
        Err(why) => unread(why),
    }
}

/// What a sealed one is, by its description: it has its name only once it is whole.
pub(super) fn sealed(dir: &OpenDir, file: &str) -> Found {
    let beside = format!("{file}{}", sidecar::ENDING);
    let mut text = Vec::new();
    let read = dir
        .file(&beside)
        .map_err(|why| why.to_string())
        .and_then(|content| content.take(sidecar::LONGEST).read_to_end(&mut text).map_err(|why| why.to_string()));
    if let Err(why) = read {
        return Found::Unreadable(why);
    }
    match Sidecar::parse(&text) {
        Ok(sidecar) => whole(&sidecar.metadata),
        Err(why) => Found::Unknown(format!("{beside}: {why}")),
    }
}

fn whole(metadata: &Metadata) -> Found {
    // Of a description beside a sealed archive nobody has checked this yet, and it becomes part of questions to the API.
    if !(is_label(&metadata.namespace) && is_subdomain(&metadata.pod) && is_label(&metadata.container)) {
        return Found::Unknown("it names what Kubernetes does not allow".to_owned());
    }
    let key = Arc::new(ContainerKey::new(&metadata.namespace, &metadata.pod, &metadata.container));
    Found::Whole { key, checkpointed: metadata.checkpointed }
}

/// A disk that fails is no property of the file.
fn unread(why: ArchiveError) -> Found {
    match why {
        ArchiveError::Io(why) => Found::Unreadable(why.to_string()),
        other => Found::Unknown(other.to_string()),
    }
}
