//! CRIU's own words about a checkpoint that failed: the runtime says only that CRIU did, and leaves CRIU's log in the
//! container's state directory, where it lies until the next attempt or the container's end. Blocks.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::disk::rooted_dir::RootedDir;
use crate::node::kubelet_api::errors;

/// The cause stands near the end.
const TAIL: u64 = 1 << 20;
/// As containerd's shim names it.
const NAME: &str = "criu-dump.log";

/// The line that says why, if the log of this attempt is there.
pub fn line(state: &Path, container_id: &str, since: i64) -> Option<String> {
    let plain = !container_id.is_empty() && container_id.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-');
    if !plain {
        return None;
    }
    let state: PathBuf = state.to_owned();
    let mut file = RootedDir::new(&state).open_file(&format!("{container_id}/{NAME}")).ok()?;
    let about = file.metadata().ok()?;
    let begun = UNIX_EPOCH + Duration::from_secs(u64::try_from(since).ok()?);
    // One of an earlier attempt says nothing about this one.
    if about.modified().unwrap_or(SystemTime::UNIX_EPOCH) < begun {
        return None;
    }
    file.seek(SeekFrom::Start(about.len().saturating_sub(TAIL))).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    errors::criu_line(&String::from_utf8_lossy(&tail)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crius_line_is_read_from_the_log_of_this_attempt_alone() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("abc/criu-dump.log");
        std::fs::create_dir(dir.path().join("abc")).unwrap();
        let text = format!("{}\n(1) Error (criu/x.c:1): why\n", "(0) long\n".repeat(200_000));
        std::fs::write(&log, text).unwrap();
        assert_eq!(line(dir.path(), "abc", 100).as_deref(), Some("(1) Error (criu/x.c:1): why"));
        assert_eq!(line(dir.path(), "abc", 40_000_000_000), None, "a log of long before");
        assert_eq!(line(dir.path(), "abd", 100), None);
        for id in ["", "..", "abc/../abc", "abc/criu-dump.log"] {
            assert_eq!(line(dir.path(), id, 100), None, "{id}");
        }
    }
}
