//! The wall clock: certificates and tokens are judged by it, checkpoints of one lineage ordered by it.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use super::check::Check;

/// A clock that runs behind files which this node wrote itself has lost its time.
pub(super) fn check(etc_dir: &Path, now: SystemTime) -> Check {
    const NAME: &str = "clock";
    let newest = ["inactive-manifests", "checkpoint-secrets", "checkpoint-configmaps", "checkpoint-volumes", ""]
        .iter()
        .filter_map(|dir| fs::metadata(etc_dir.join(dir)).ok()?.modified().ok())
        .max();
    match newest {
        Some(newest) if newest > now => Check::fail(
            NAME,
            format!("{} s behind what is on disk", newest.duration_since(now).unwrap_or_default().as_secs()),
            "set it: certificates and tokens are not valid yet by this clock",
        ),
        _ => Check::ok(NAME, "not behind what is on disk"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::CheckOutcome;
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_that_lost_its_time_is_seen_by_earlier_files() {
        let dir = tempfile::tempdir().unwrap();
        let now = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(check(dir.path(), now).outcome, CheckOutcome::Ok);
        assert_eq!(check(dir.path(), now - Duration::from_secs(86_400)).outcome, CheckOutcome::Fail);
    }
}
