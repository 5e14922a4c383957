//! Whether the agent is alive and ready, from what it last said of itself. Pure: the time is handed in.

use std::time::Duration;

use crate::moment::BootInstant;

/// Where the agent stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// It runs as the twin, whose waiting is being ready.
    pub is_twin: bool,
    /// It holds the node's lock.
    pub leads: bool,
    /// It has finished a pass since it leads.
    pub reconciled: bool,
    /// A pass began then and has not ended.
    pub busy_since: Option<BootInstant>,
    /// A pass longer than this is stuck ([`crate::pod::timings::Timings::stuck`]).
    pub stuck_after: Duration,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            is_twin: false,
            leads: false,
            reconciled: false,
            busy_since: None,
            stuck_after: crate::pod::timings::Timings::default().stuck,
        }
    }
}

impl Health {
    /// Alive, or why it should be started again.
    ///
    /// # Errors
    /// The reason, one line.
    pub fn live(&self, now: BootInstant) -> Result<(), String> {
        match self.busy_since {
            Some(since) if now.since(since) > self.stuck_after => {
                Err(format!("the pass that began {} s ago has not ended", now.since(since).as_secs()))
            }
            _ => Ok(()),
        }
    }

    /// Ready: the DaemonSet's instance only when it leads and has reconciled, so that a broken new version is never
    /// saved over the last good one; the twin also while it waits.
    ///
    /// # Errors
    /// The reason, one line.
    pub fn ready(&self) -> Result<(), String> {
        match (self.leads, self.reconciled) {
            (true, true) => Ok(()),
            (true, false) => Err("it leads and has not finished its first pass".to_owned()),
            (false, _) if self.is_twin => Ok(()),
            (false, _) => Err("another instance on this node holds the lock".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn health(is_twin: bool, leads: bool, reconciled: bool) -> Health {
        Health { is_twin, leads, reconciled, ..Health::default() }
    }

    #[rstest]
    #[case::leader_that_reconciled(health(false, true, true), true)]
    #[case::leader_before_its_first_pass(health(false, true, false), false)]
    #[case::daemonset_instance_waiting(health(false, false, false), false)]
    #[case::daemonset_instance_that_lost_the_lock(health(false, false, true), false)]
    #[case::twin_standing_by(health(true, false, false), true)]
    #[case::twin_leading_before_its_first_pass(health(true, true, false), false)]
    #[case::twin_leading(health(true, true, true), true)]
    fn ready_is_who_could_be_trusted_with_the_node(#[case] health: Health, #[case] ready: bool) {
        assert_eq!(health.ready().is_ok(), ready);
    }

    #[test]
    fn idle_for_hours_is_alive_and_a_pass_of_minutes_is_not() {
        let hours = BootInstant(0) + Duration::from_secs(7200);
        let idle = Health::default();
        assert!(idle.live(hours).is_ok());
        let busy = Health { busy_since: Some(hours), ..Health::default() };
        assert!(busy.live(hours + busy.stuck_after).is_ok());
        let why = busy.live(hours + busy.stuck_after + Duration::from_secs(1)).unwrap_err();
        assert!(why.contains("61 s"), "{why}");
    }
}
