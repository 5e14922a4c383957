//! The ordered table of design §5: the first row that matches wins. Rows are data; nothing here touches anything.

use std::time::Duration;

use super::awareness::Kubelet;
use super::presence::OnNode;
use crate::pod::key::PodKey;
use crate::pod::report::Phase;
use crate::pod::timings::Timings;

/// A parent in the API, or why the API cannot say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PodView {
    /// Meant to run here.
    Here {
        /// Its Ready condition.
        ready: bool,
    },
    /// Refused by the kubelet, its object still there.
    Rejected,
    /// Ended by the node's own shutdown, its object still there.
    ShutDown,
    /// Will not run here again.
    Gone,
    /// Its namespace is not one of ours any more, whatever the API says.
    OutOfScope,
    /// The API answers, but not us.
    Refused,
    /// Another cluster answers.
    OtherCluster,
    /// The API does not answer.
    Unavailable,
}

/// All that the table looks at, for one parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // independent observations, not a state machine
pub struct Facts {
    /// Standby, active or retiring, by the files.
    pub phase: Phase,
    /// The operator holds it back by a file.
    pub held: bool,
    /// What of the pod runs on the node.
    pub node: OnNode,
    /// What the API says of the parent.
    pub view: PodView,
    /// What the kubelet can be expected to do.
    pub kubelet: Kubelet,
    /// How long it has been [`OnNode::Down`].
    pub down_for: Duration,
    /// How long it has been [`OnNode::Degraded`].
    pub degraded_for: Duration,
    /// How long its sandbox has been ready without a main container ever created.
    pub unstarted_for: Duration,
    /// The kubelet is of another cluster than when the API last answered.
    pub rejoined: bool,
    /// A later member of its lineage runs here, Ready and saved.
    pub replaced: bool,
    /// Restarted often enough and never up in the crash window.
    pub crash_looping: bool,
    /// The copy on disk is of an older parent than the one that runs under this name.
    pub copy_is_older: bool,
    /// The copy can start: nothing missing, and its `max-offline` not passed.
    pub may_activate: bool,
    /// hostPort without hostNetwork: an aware kubelet would refuse the twin.
    pub host_port: bool,
    /// A parent has a new main container or is up, and was not tried in vain.
    pub displaced: bool,
    /// The lineage has a member here that was never Ready.
    pub successor_unready: bool,
    /// How long the twin has been dead, while yielding.
    pub twin_dead_for: Option<Duration>,
    /// The parent's main containers exited in a ready sandbox that was not yet removed.
    pub parent_exited: bool,
    /// A manifest is in the kubelet's directory.
    pub active: bool,
    /// The lineage has another copy that is not retired, or a newer retired one.
    pub better_copy: bool,
    /// No member of the lineage has a ready sandbox here.
    pub lineage_down: bool,
    /// Its owner is a DaemonSet, or a successor was seen here.
    pub expected_back: bool,
    /// The API answered for the whole grace period that it is gone.
    pub grace_passed: bool,
    /// The newest copy of its lineage.
    pub newest_copy: bool,
}

/// Rows as decided in one pass: parent, facts, name of the row.
pub type Rows = [(PodKey, Facts, &'static str)];

/// What a row says to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowAction {
    /// Nothing.
    Stay,
    /// Nothing, but people should know the row's name.
    Report,
    /// Nothing now; recapture and refresh while Ready.
    Upkeep,
    /// Save it.
    Capture,
    /// Take it into the kubelet's directory.
    Activate,
    /// The same, after the parent's sandbox was stopped.
    StopParentAndActivate,
    /// The same, and the parent that runs counts as tried.
    ActivateOverTried,
    /// Manifest away for good: back to Standby.
    StandDown,
    /// Manifest away to let the parent have its place.
    Yield,
    /// The parent has its place.
    EndYield,
    /// Remove the parent's sandbox so that the kubelet starts it without back-off.
    RemoveParentSandbox,
    /// The parent did not come up: manifest back, that UID is tried.
    ReturnToActive,
    /// Begin the grace period.
    Retire,
    /// The parent is back.
    Reinstate,
    /// Keep the copy aside, whatever the grace period says.
    KeepAside,
    /// Remove the checkpoint and all that belongs to it.
    Remove,
}

impl RowAction {
    /// Such a verdict stands only on a fresh list of the runtime.
    pub fn hangs_on_runtime(self) -> bool {
        matches!(self, Self::Activate | Self::StopParentAndActivate | Self::ActivateOverTried)
    }

    /// Such a verdict stands only on a fresh answer of the API.
    pub fn hangs_on_api(self) -> bool {
        matches!(
            self,
            Self::Activate | Self::StopParentAndActivate | Self::ActivateOverTried | Self::Remove | Self::KeepAside
        )
    }
}

/// One rule of the lifecycle: when it matches, and what then.
pub struct Row {
    /// For logs, reports and tests.
    pub name: &'static str,
    /// Whether it matches these facts.
    pub when: fn(&Facts, &Timings) -> bool,
    /// What happens where it is the first that matches.
    pub then: RowAction,
}

macro_rules! rows {
    ($($name:literal: |$f:ident, $t:ident| $when:expr => $then:ident;)*) => {
        /// In order.
        pub const ROWS: &[Row] = &[$(Row { name: $name, when: |$f, $t| $when, then: RowAction::$then }),*];
    };
}

use Kubelet::{Aware, Blind};
use OnNode::{Crashed, Degraded, Down, Starting, Unknown, Up};
use Phase::{Active, Retiring, Standby, Watching, Yielding};
use PodView::{Gone, Here, OtherCluster, OutOfScope, Refused, Rejected, ShutDown, Unavailable};

rows! {
    "held by the operator": |f, _t| f.held => Stay;
    "the runtime does not answer": |f, _t| f.node == Unknown => Stay;

    "ready for the first time": |f, _t| f.phase == Watching && f.view == Here { ready: true } => Capture;

    "another cluster answers": |f, _t|
        f.view == OtherCluster && matches!(f.phase, Watching | Standby | Retiring) => Report;

    "parent gone": |f, _t| f.phase == Standby && f.view == Gone => Retire;
    "not in this agent's namespaces any more": |f, _t| f.phase == Standby && f.view == OutOfScope => Retire;
    "shut down with the node, replaced since": |f, _t|
        f.phase == Standby && f.view == ShutDown && f.replaced => Retire;
    "shut down with the node": |f, _t| f.phase == Standby && f.view == ShutDown => Report;
    "parent rejected by the kubelet": |f, _t| f.phase == Standby && f.view == Rejected => Report;
    "API silent, kubelet blind, parent half started": |f, t|
        f.phase == Standby && matches!(f.view, Unavailable | Refused) && f.kubelet == Blind
            && f.unstarted_for >= t.activation_delay && f.may_activate && !f.rejoined
        => StopParentAndActivate;
    "parent runs": |f, _t| f.phase == Standby && matches!(f.node, Up | Starting) => Upkeep;
    "this copy cannot or must not start now": |f, _t|
        f.phase == Standby && !f.may_activate => Report;
    "the kubelet was joined to another cluster": |f, _t|
        f.phase == Standby && f.rejoined && matches!(f.view, Unavailable | Refused) => Report;
    "offline, kubelet blind, parent not running": |f, _t|
        f.phase == Standby && f.view == Unavailable && f.kubelet == Blind && matches!(f.node, Down | Crashed)
        => Activate;
    "offline, kubelet blind, parent partly running": |f, t|
        f.phase == Standby && f.view == Unavailable && f.kubelet == Blind && f.node == Degraded
            && f.degraded_for >= t.degraded_blind
        => StopParentAndActivate;
    "the kubelet would refuse a second hostPort": |f, _t|
        f.phase == Standby && f.host_port && f.kubelet == Aware => Report;
    "offline, parent down": |f, t|
        f.phase == Standby && f.view == Unavailable && f.kubelet == Aware && f.node == Down
            && f.down_for >= t.down_aware
        => Activate;
    "offline, a newer parent crashes": |f, _t|
        f.phase == Standby && f.node == Crashed && f.crash_looping && f.copy_is_older && f.view == Unavailable
        => ActivateOverTried;
    "a newer parent crashes": |f, _t|
        f.phase == Standby && f.node == Crashed && f.crash_looping && f.copy_is_older => Report;
    "parent down": |f, t|
        f.phase == Standby && matches!(f.view, Here { .. }) && f.node == Down && f.down_for >= t.activation_delay
        => Activate;
    // Nobody else would start it: an aware kubelet would have.
    "refused, kubelet blind, parent down": |f, t|
        f.phase == Standby && f.view == Refused && f.kubelet == Blind && f.node == Down
            && f.down_for >= t.activation_delay
        => Activate;

    "the kubelet rejected the parent beside its twin": |f, _t| f.phase == Active && f.view == Rejected => StandDown;
    "parent starts": |f, _t| f.phase == Active && f.displaced => Yield;
    "parent gone, successor not ready": |f, _t|
        f.phase == Active && matches!(f.view, Gone | ShutDown) && f.successor_unready => Stay;
    "parent gone, twin active": |f, _t| f.phase == Active && matches!(f.view, Gone | ShutDown) => Retire;

    "parent up": |f, _t| f.phase == Yielding && f.node == Up => EndYield;
    "parent gone while yielding": |f, _t| f.phase == Yielding && matches!(f.view, Gone | ShutDown) => Retire;
    "parent rejected while yielding": |f, _t| f.phase == Yielding && f.view == Rejected => EndYield;
    "parent waits in back-off": |f, _t|
        matches!(f.phase, Yielding | Retiring) && f.twin_dead_for.is_some() && f.parent_exited => RemoveParentSandbox;
    "parent did not come up": |f, t|
        f.phase == Yielding && f.twin_dead_for.is_some_and(|d| d >= t.yield_limit) => ReturnToActive;

    "a newcomer starts beside a retiring twin": |f, _t| f.phase == Retiring && f.active && f.displaced => Yield;
    "parent back": |f, _t| f.phase == Retiring && matches!(f.view, Here { .. }) => Reinstate;
    "offline, the last copy of a lineage that was to come back": |f, _t|
        f.phase == Retiring && !f.active && f.view == Unavailable && f.kubelet == Blind && f.lineage_down
            && !f.better_copy && f.expected_back && f.may_activate && !f.rejoined
        => Activate;
    "retiring, the API does not say": |f, _t|
        f.phase == Retiring && matches!(f.view, Unavailable | Refused) => Stay;
    "retired, successor not ready": |f, _t|
        f.phase == Retiring && f.grace_passed && matches!(f.view, Gone | ShutDown) && f.successor_unready
            && f.newest_copy
        => KeepAside;
    "retired": |f, _t|
        f.phase == Retiring && f.grace_passed && matches!(f.view, Gone | ShutDown | OutOfScope) => Remove;

    "nothing to do": |_f, _t| true => Stay;
}

/// The first row that matches.
pub fn row(facts: &Facts, timings: &Timings) -> &'static Row {
    ROWS.iter().find(|r| (r.when)(facts, timings)).unwrap_or(&ROWS[ROWS.len() - 1])
}

#[cfg(test)]
mod tests;
