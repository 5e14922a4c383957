//! Every duration, size and count of the work of `serve`, in one place.

use std::time::Duration;

/// What the kubelet is given for one container where the caller names no time.
pub const CHECKPOINT: Duration = Duration::from_secs(600);
/// The longest that a caller may ask for.
pub const LONGEST_CHECKPOINT: Duration = Duration::from_secs(3600);
/// The kubelet takes shorter timeouts for this one.
pub const KUBELET_LEAST: Duration = Duration::from_secs(120);
/// The kubelet's answer may come this much after its own timeout.
pub const KUBELET_SLACK: Duration = Duration::from_secs(15);
/// How long after a broken kubelet call, or a restart, the archive may still come, beyond the call's own time.
pub const LATE_ARCHIVE: Duration = Duration::from_secs(60);
/// How long archives that nobody waits for any more are looked for, to be removed.
pub const ABANDONED_ARCHIVE: Duration = Duration::from_secs(3600);
/// Between two looks for a late archive.
pub const LOOK_FOR_ARCHIVE: Duration = Duration::from_secs(1);
/// The same for one that nobody wants, when it has not come soon.
pub const LOOK_FOR_ABANDONED: Duration = Duration::from_secs(30);
/// A push, all its retries included, where `KANIKO_TIMEOUT` is not set.
pub const PUSH: Duration = Duration::from_secs(3600);
/// Jobs are kept so long after their end.
pub const KEEP_JOBS: Duration = Duration::from_secs(7 * 24 * 3600);
/// Jobs on disk: beyond this the oldest that ended go before their time.
pub const MOST_JOBS: usize = 10_000;
/// Between two looks for records whose time is over.
pub const FORGET: Duration = Duration::from_secs(3600);
/// Jobs that wait or run at a time, where `--max-queue` says nothing.
pub const QUEUE: usize = 32;
/// Jobs that run at a time; the others wait.
pub const RUNNING: usize = 4;
/// Said to whom the queue had no place for.
pub const RETRY_AFTER: Duration = Duration::from_secs(10);
/// An answer through the API server's aggregation must be on its way by then: it cuts at 60 s.
pub const AGGREGATED: Duration = Duration::from_secs(55);
/// The same on the second leg, to the node that has the container.
pub const AGGREGATED_NEXT: Duration = Duration::from_secs(50);
/// What the way to another node may add to the wait there.
pub const NEXT_NODE: Duration = Duration::from_secs(3);
/// Longest that a caller is kept waiting for the end of a job.
pub const WAIT: Duration = Duration::from_secs(2 * 3600);
/// Running work gets this long to end after the process is told to stop. Pods get 30 s by default.
pub const GRACE: Duration = Duration::from_secs(25);
/// Attempts to delete a pod before its job is given up, a second and more apart.
pub const DELETE_ATTEMPTS: u32 = 6;
/// A request's body; the listener refuses longer ones.
pub const BODY: usize = 64 << 10;
/// The longest that the record of a job may be, in bytes.
pub const JOB_FILE: u64 = 256 << 10;
