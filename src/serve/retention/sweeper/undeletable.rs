//! What the disk would not delete. Pure: it remembers until the next attempt, and what was said of it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::sync::Arc;

use crate::disk::files::FileError;

/// Files that stay although they were to go.
#[derive(Default)]
pub(super) struct Undeletable {
    files: BTreeSet<Arc<str>>,
    everything: bool,
    why: Option<String>,
    said: Option<ErrorKind>,
}

impl Undeletable {
    /// Takes up a refusal; says whether it is of another kind than the last, and so worth a line in the log.
    pub(super) fn hear(&mut self, file: &Arc<str>, why: &FileError) -> bool {
        self.files.insert(Arc::clone(file));
        // Of one file nothing follows for another; of a disk it does.
        self.everything |= why.kind() == ErrorKind::ReadOnlyFilesystem;
        self.why = Some(why.to_string());
        self.said.replace(why.kind()) != Some(why.kind())
    }

    /// Files that stay for now, whatever the policy says.
    pub(super) fn files(&self) -> &BTreeSet<Arc<str>> {
        &self.files
    }

    /// Whether nothing can be deleted for now.
    pub(super) fn everything(&self) -> bool {
        self.everything
    }

    /// The last refusal.
    pub(super) fn why(&self) -> Option<String> {
        self.why.clone()
    }

    /// They are to be tried again; what was said of them stays until [`Undeletable::settle`].
    pub(super) fn try_again(&mut self) {
        self.files.clear();
        self.everything = false;
    }

    /// After an attempt at all of them: what was not refused again is over.
    pub(super) fn settle(&mut self) {
        if self.files.is_empty() {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;

    fn refusal(of: i32) -> FileError {
        FileError::new("remove", "/checkpoints/a".into(), Error::from_raw_os_error(of))
    }

    #[test]
    fn an_undeletable_file_says_nothing_of_others_as_a_disk_would() {
        let mut refused = Undeletable::default();
        assert!(refused.hear(&"a".into(), &refusal(nix::libc::EPERM)));
        assert!(!refused.everything() && refused.files().contains("a"));
        assert!(!refused.hear(&"b".into(), &refusal(nix::libc::EPERM)), "said already");
        assert!(refused.hear(&"c".into(), &refusal(nix::libc::EROFS)));
        assert!(refused.everything());
    }

    #[test]
    fn it_is_over_when_an_attempt_at_all_of_them_is_not_refused() {
        let mut refused = Undeletable::default();
        refused.hear(&"a".into(), &refusal(nix::libc::EROFS));
        refused.try_again();
        assert!(!refused.everything() && refused.files().is_empty());
        refused.hear(&"a".into(), &refusal(nix::libc::EROFS));
        refused.settle();
        assert!(refused.why().is_some_and(|why| why.contains("read-write")));
        refused.try_again();
        refused.settle();
        assert_eq!(refused.why(), None);
        assert!(refused.hear(&"a".into(), &refusal(nix::libc::EROFS)), "it is news again");
    }
}
