//! Every row of the table, its limits, and who wins where two neighbours match.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;

const HERE: PodView = Here { ready: true };
const NOT_READY: PodView = Here { ready: false };

/// A saved parent that runs, API answering, kubelet aware: nothing to do.
fn standby() -> Facts {
    Facts {
        phase: Standby,
        held: false,
        node: Up,
        view: HERE,
        kubelet: Aware,
        down_for: Duration::ZERO,
        degraded_for: Duration::ZERO,
        unstarted_for: Duration::ZERO,
        rejoined: false,
        replaced: false,
        crash_looping: false,
        copy_is_older: false,
        may_activate: true,
        host_port: false,
        displaced: false,
        successor_unready: false,
        twin_dead_for: None,
        parent_exited: false,
        active: false,
        better_copy: false,
        lineage_down: true,
        expected_back: true,
        grace_passed: false,
        newest_copy: true,
    }
}

fn down(secs: u64) -> Facts {
    Facts { node: Down, down_for: Duration::from_secs(secs), ..standby() }
}

fn blind(node: OnNode) -> Facts {
    Facts { node, view: Unavailable, kubelet: Blind, ..standby() }
}

fn crashing() -> Facts {
    Facts { node: Crashed, crash_looping: true, copy_is_older: true, ..standby() }
}

fn active() -> Facts {
    Facts { phase: Active, active: true, ..down(0) }
}

fn yielding() -> Facts {
    Facts { phase: Yielding, ..down(0) }
}

fn retiring() -> Facts {
    Facts { phase: Retiring, view: Gone, ..down(0) }
}

fn expect(name: &str, facts: Facts) -> &'static str {
    let row = row(&facts, &Timings::default());
    assert_eq!(row.name, name, "for {facts:#?}");
    row.name
}

/// One line an expectation; where two neighbours match, the comment says which facts compete.
#[test]
#[allow(clippy::too_many_lines)] // it is the table
fn the_first_row_that_matches_wins() {
    let secs = Duration::from_secs;
    let mut seen = BTreeSet::new();
    let mut is = |name: &'static str, facts: Facts| {
        seen.insert(expect(name, facts));
    };

    is("held by the operator", Facts { held: true, ..blind(Down) }); // and "offline, kubelet blind"
    is("held by the operator", Facts { held: true, node: Unknown, ..standby() }); // and "runtime does not answer"
    is("the runtime does not answer", Facts { node: Unknown, phase: Watching, ..standby() }); // and "ready for the first time"
    is("the runtime does not answer", Facts { node: Unknown, ..blind(Unknown) });
    is("the runtime does not answer", Facts { node: Unknown, grace_passed: true, ..retiring() });

    is("ready for the first time", Facts { phase: Watching, ..standby() });
    is("nothing to do", Facts { phase: Watching, view: NOT_READY, ..standby() });
    is("nothing to do", Facts { phase: Watching, view: Gone, ..standby() });

    let elsewhere = |facts| Facts { view: OtherCluster, grace_passed: true, ..facts };
    is("another cluster answers", elsewhere(down(600))); // and "parent down" were it ours
    is("another cluster answers", Facts { phase: Watching, ..elsewhere(standby()) });
    is("another cluster answers", elsewhere(retiring())); // and "retired"
    is("nothing to do", elsewhere(active()));

    is("parent gone", Facts { view: Gone, ..standby() }); // and "parent runs"
    is("parent gone", Facts { view: Gone, ..down(600) }); // and "parent down" were it here
    is("not in this agent's namespaces any more", Facts { view: OutOfScope, ..standby() }); // and "parent runs"
    is("not in this agent's namespaces any more", Facts { view: OutOfScope, kubelet: Blind, ..down(600) });
    is("nothing to do", Facts { view: OutOfScope, ..active() }); // until its parent is up, it is all that runs
    is("retired", Facts { view: OutOfScope, grace_passed: true, ..retiring() });
    is("shut down with the node", Facts { view: ShutDown, ..down(600) }); // its controller has replaced it, elsewhere perhaps
    is("shut down with the node", Facts { view: ShutDown, ..standby() }); // and "parent runs", while it goes down
    is("shut down with the node, replaced since", Facts { view: ShutDown, replaced: true, ..down(600) });
    is("parent rejected by the kubelet", Facts { view: Rejected, ..standby() }); // and "parent runs"
    is("parent rejected by the kubelet", Facts { view: Rejected, ..down(600) });
    is("parent runs", standby());
    is("parent runs", blind(Up));
    is("parent runs", blind(Starting)); // a parent that pulls its image is not started a second time
    is("parent runs", Facts { may_activate: false, ..blind(Up) }); // and "this copy cannot start"
    is("this copy cannot or must not start now", Facts { may_activate: false, ..blind(Down) }); // and "offline, blind"

    let half_started = Facts { unstarted_for: secs(90), ..blind(Starting) };
    is("API silent, kubelet blind, parent half started", half_started); // and "parent runs"
    is("API silent, kubelet blind, parent half started", Facts { view: Refused, ..half_started });
    is("parent runs", Facts { unstarted_for: secs(89), ..half_started });
    is("parent runs", Facts { kubelet: Aware, ..half_started }); // it goes on by itself
    is("parent runs", Facts { view: HERE, ..half_started });
    is("parent runs", Facts { may_activate: false, ..half_started });
    is("parent runs", Facts { rejoined: true, ..half_started });
    let rejoined = |facts| Facts { rejoined: true, ..facts };
    is("the kubelet was joined to another cluster", rejoined(blind(Down))); // and "offline, kubelet blind"
    is("the kubelet was joined to another cluster", rejoined(Facts { view: Refused, ..down(600) }));
    is("parent down", rejoined(down(90))); // the API says that it is meant to run here

    is("offline, kubelet blind, parent not running", blind(Down));
    is("offline, kubelet blind, parent not running", blind(Crashed));
    is("offline, kubelet blind, parent not running", Facts { host_port: true, ..blind(Down) });
    is("offline, kubelet blind, parent partly running", Facts { degraded_for: secs(60), ..blind(Degraded) });
    is("nothing to do", Facts { degraded_for: secs(59), ..blind(Degraded) });
    is("nothing to do", Facts { degraded_for: secs(600), kubelet: Aware, ..blind(Degraded) }); // the kubelet does it

    is("the kubelet would refuse a second hostPort", Facts { host_port: true, ..down(600) }); // and "parent down"
    is("the kubelet would refuse a second hostPort", Facts { host_port: true, view: Unavailable, ..down(30) });
    is("offline, parent down", Facts { view: Unavailable, ..down(30) });
    is("nothing to do", Facts { view: Unavailable, ..down(29) });
    is("nothing to do", Facts { view: Unavailable, node: Crashed, ..standby() }); // aware: the kubelet restarts it

    is("offline, a newer parent crashes", Facts { view: Unavailable, ..crashing() });
    is("offline, a newer parent crashes", Facts { view: Unavailable, kubelet: Aware, ..crashing() });
    is("a newer parent crashes", crashing());
    is("a newer parent crashes", Facts { view: Refused, ..crashing() });
    is("nothing to do", Facts { copy_is_older: false, ..crashing() }); // the copy would crash like its parent
    is("nothing to do", Facts { crash_looping: false, ..crashing() });
    is("parent down", down(90));
    is("parent down", Facts { view: NOT_READY, ..down(90) });
    is("nothing to do", down(89));
    is("nothing to do", Facts { view: Refused, ..down(600) }); // an aware kubelet would have started it
    let refused = |secs| Facts { view: Refused, kubelet: Blind, ..down(secs) };
    is("refused, kubelet blind, parent down", refused(90));
    is("nothing to do", refused(89));
    is("parent down", Facts { kubelet: Blind, ..down(90) }); // a blind kubelet needs about 30 s once the API is back
    is("nothing to do", Facts { kubelet: Blind, ..down(89) });

    is("the kubelet rejected the parent beside its twin", Facts { view: Rejected, ..active() });
    is("the kubelet rejected the parent beside its twin", Facts { view: Rejected, displaced: true, ..active() }); // and "parent starts"
    is("parent starts", Facts { displaced: true, ..active() });
    is("parent starts", Facts { displaced: true, view: Unavailable, ..active() }); // it proves the kubelet aware
    is("parent starts", Facts { displaced: true, view: Gone, successor_unready: true, ..active() }); // and "successor not ready"
    is("parent gone, successor not ready", Facts { view: Gone, successor_unready: true, ..active() }); // and "parent gone, twin active"
    is("parent gone, successor not ready", Facts { view: ShutDown, successor_unready: true, ..active() });
    is("parent gone, twin active", Facts { view: Gone, ..active() });
    is("parent gone, twin active", Facts { view: ShutDown, ..active() });
    is("nothing to do", active());
    is("nothing to do", Facts { view: Unavailable, ..active() });
    is("nothing to do", Facts { view: Refused, ..active() });

    is("parent up", Facts { node: Up, ..yielding() });
    is("parent up", Facts { node: Up, view: Gone, ..yielding() }); // and "parent gone while yielding"
    is("parent gone while yielding", Facts { view: Gone, ..yielding() });
    is("parent gone while yielding", Facts { view: ShutDown, ..yielding() });
    is("parent rejected while yielding", Facts { view: Rejected, ..yielding() });
    is("parent waits in back-off", Facts { twin_dead_for: Some(secs(0)), parent_exited: true, ..yielding() });
    is("parent waits in back-off", Facts { twin_dead_for: Some(secs(60)), parent_exited: true, ..yielding() }); // and "did not come up"
    is("nothing to do", Facts { twin_dead_for: None, parent_exited: true, ..yielding() }); // the twin still has the port
    is("parent did not come up", Facts { twin_dead_for: Some(secs(60)), ..yielding() });
    is("nothing to do", Facts { twin_dead_for: Some(secs(59)), ..yielding() });

    let newcomer = Facts { active: true, displaced: true, ..retiring() };
    is("a newcomer starts beside a retiring twin", newcomer);
    is("a newcomer starts beside a retiring twin", Facts { view: HERE, ..newcomer }); // and "parent back"
    is("parent waits in back-off", Facts { twin_dead_for: Some(secs(0)), parent_exited: true, ..retiring() });
    is("parent back", Facts { view: NOT_READY, ..retiring() });
    is("parent back", Facts { view: HERE, grace_passed: true, ..retiring() });
    let offline = Facts { view: Unavailable, kubelet: Blind, ..retiring() };
    is("offline, the last copy of a lineage that was to come back", offline);
    is("retiring, the API does not say", Facts { better_copy: true, ..offline }); // never two of a lineage
    is("retiring, the API does not say", Facts { expected_back: false, ..offline });
    is("retiring, the API does not say", Facts { lineage_down: false, ..offline });
    is("retiring, the API does not say", Facts { kubelet: Aware, ..offline });
    is("retiring, the API does not say", Facts { may_activate: false, ..offline });
    is("retiring, the API does not say", Facts { rejoined: true, ..offline });
    is("retiring, the API does not say", Facts { active: true, ..offline });
    is("retiring, the API does not say", Facts { view: Refused, grace_passed: true, ..retiring() }); // and "retired"
    is("retired, successor not ready", Facts { grace_passed: true, successor_unready: true, ..retiring() }); // and "retired"
    is("retired", Facts { grace_passed: true, ..retiring() });
    is("retired", Facts { grace_passed: true, view: ShutDown, ..retiring() });
    is("retired", Facts { grace_passed: true, successor_unready: true, newest_copy: false, ..retiring() });
    is("nothing to do", retiring());

    let all: BTreeSet<&str> = ROWS.iter().map(|r| r.name).collect();
    assert_eq!(seen, all, "every row has a line here");
}

#[test]
fn no_row_moves_a_pod_on_a_runtime_that_does_not_answer() {
    for phase in [Watching, Standby, Active, Yielding, Retiring] {
        for view in [HERE, NOT_READY, Rejected, Gone, Refused, Unavailable] {
            for facts in [down(600), crashing(), Facts { grace_passed: true, displaced: true, ..active() }] {
                let facts = Facts { phase, view, node: Unknown, ..facts };
                assert_eq!(row(&facts, &Timings::default()).then, RowAction::Stay, "{facts:#?}");
            }
        }
    }
}

#[test]
fn only_an_api_that_answers_retires_or_removes() {
    for phase in [Watching, Standby, Active, Yielding, Retiring] {
        for view in [Refused, Unavailable] {
            for node in [Up, Starting, Degraded, Crashed, Down] {
                let facts = Facts { phase, view, node, grace_passed: true, successor_unready: true, ..down(600) };
                let then = row(&facts, &Timings::default()).then;
                assert!(
                    !matches!(then, RowAction::Retire | RowAction::Remove | RowAction::KeepAside),
                    "{then:?} for {facts:#?}"
                );
            }
        }
    }
}
