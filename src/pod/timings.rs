//! Every delay of the lifecycle in one place, so that tests, the demo and the simulation shorten them together.

use std::time::Duration;

/// The delays of design §5 and §6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timings {
    /// A reading of the API older than this is asked for anew before a decision hangs on it.
    pub fresh: Duration,
    /// How long one question to the API may take.
    pub api_limit: Duration,
    /// Every main container running this long without a restart is `Up`.
    pub up_after: Duration,
    /// API unavailable, kubelet blind: a parent partly running this long is taken over.
    pub degraded_blind: Duration,
    /// API unavailable, kubelet aware: a parent down this long is taken over.
    pub down_aware: Duration,
    /// A crashing parent that was never up for this long (and restarted [`Timings::crash_restarts`] times) is taken
    /// over by an older good copy.
    pub crash_window: Duration,
    /// See [`Timings::crash_window`].
    pub crash_restarts: u32,
    /// API answering: a parent down this long is taken over (`--activation-delay`).
    pub activation_delay: Duration,
    /// How long a yielded node waits for the parent after the twin's death.
    pub yield_limit: Duration,
    /// First wait before a parent that failed once may displace its twin again; doubles, up to four times this.
    pub retry_yield: Duration,
    /// `--grace-period`: how long the API must answer that a parent is gone before its checkpoint goes.
    pub grace: Duration,
    /// Work that can wait is not done while a twin activated less than this ago is not running yet.
    pub start_window: Duration,
    /// A twin without a container for this long is reported.
    pub twin_limit: Duration,
    /// `--refresh-interval` of assets.
    pub refresh: Duration,
    /// Wait after a failed capture, doubling up to [`Timings::refresh`].
    pub capture_retry: Duration,
    /// The twin that leads steps down at the latest this long after the DaemonSet's instance is Up.
    pub step_down_limit: Duration,
    /// Without the right to ask for its own DaemonSet: no pod of its own for this long means removal.
    pub own_absent: Duration,
    /// A leader that has not finished a pass for this long exits.
    pub stuck: Duration,
}

impl Default for Timings {
    fn default() -> Self {
        let s = Duration::from_secs;
        Self {
            fresh: s(2),
            api_limit: s(2),
            up_after: s(10),
            degraded_blind: s(60),
            down_aware: s(30),
            crash_window: s(90),
            crash_restarts: 3,
            activation_delay: s(90),
            yield_limit: s(60),
            retry_yield: s(600),
            grace: s(60),
            start_window: s(10),
            twin_limit: s(60),
            refresh: s(300),
            capture_retry: s(10),
            step_down_limit: s(120),
            own_absent: s(600),
            stuck: s(60),
        }
    }
}

impl Timings {
    /// Everything divided by `factor`, for the demo and the tests.
    #[must_use]
    pub fn shortened(&self, factor: u32) -> Self {
        let d = |t: Duration| t / factor;
        Self {
            fresh: d(self.fresh),
            api_limit: self.api_limit,
            up_after: d(self.up_after),
            degraded_blind: d(self.degraded_blind),
            down_aware: d(self.down_aware),
            crash_window: d(self.crash_window),
            crash_restarts: self.crash_restarts,
            activation_delay: d(self.activation_delay),
            yield_limit: d(self.yield_limit),
            retry_yield: d(self.retry_yield),
            grace: d(self.grace),
            start_window: d(self.start_window),
            twin_limit: d(self.twin_limit),
            refresh: d(self.refresh),
            capture_retry: d(self.capture_retry),
            step_down_limit: d(self.step_down_limit),
            own_absent: d(self.own_absent),
            stuck: self.stuck,
        }
    }
}
