//! After every pass: the log, the metrics, the views that people and probes ask for, and the file for `status`.

use std::sync::Arc;

use tokio::sync::watch;

use super::watchdog::Watchdog;
use crate::agent::http::View;
use crate::agent::metrics;
use crate::agent::metrics::Metrics;
use crate::agent::reconcile::apply::StepsOutcome;
use crate::agent::reconcile::capture::CaptureError;
use crate::agent::reconcile::reconciler::PassObserver;
use crate::agent::reconcile::run_state::RunState;
use crate::clock;
use crate::moment::{BootInstant, Observation};
use crate::pod::key::PodKey;
use crate::pod::plan::Decision;
use crate::pod::report::{Phase, PodReport};
use crate::pod::snapshot::{Answer, Snapshot};
use crate::pod::status::StatusDoc;

/// Says what a pass did and found: log, metrics, status and the file for `status`.
pub(super) struct Reporter {
    /// The HTTP server and the probes.
    pub(super) view: watch::Sender<Arc<View>>,
    /// What `/metrics` shows.
    pub(super) metrics: Arc<Metrics>,
    /// `status`, when no agent runs.
    pub(super) reports: RunState,
    /// What ends a process that hangs.
    pub(super) watchdog: Watchdog,
}

impl PassObserver for Reporter {
    fn pass_begins(&mut self, now: BootInstant) {
        self.watchdog.busy(now);
        self.view.send_modify(|view| Arc::make_mut(view).health.busy_since = Some(now));
    }

    fn pass_ended(&mut self, snapshot: &Snapshot, decision: &Decision, outcome: &StepsOutcome) {
        self.watchdog.idle();
        self.metrics.update(&decision.report);
        for failure in &outcome.failed {
            self.metrics.step_failed(failure.step);
        }
        let failed_captures =
            outcome.captures.values().filter(|done| !matches!(done, Ok(()) | Err(CaptureError::Kept(_)))).count();
        (0..failed_captures).for_each(|_| self.metrics.step_failed("capture"));
        if matches!(snapshot.api.answer, Answer::Listed(_)) {
            let ago = clock::now().since(snapshot.api.at).as_secs();
            self.metrics.api_read(clock::epoch_seconds() - i64::try_from(ago).unwrap_or(0));
        }
        let mut status = document(snapshot, decision);
        status.notes.extend(outcome.failed.iter().map(|failure| format!("failed, and tried again: {failure}")));
        if let Ok(text) = serde_json::to_vec(&status)
            && let Err(why) = self.reports.replace("report.json", &text)
        {
            tracing::warn!("{why}");
        }
        self.view.send_modify(|view| {
            let view = Arc::make_mut(view);
            view.status = status;
            (view.health.leads, view.health.reconciled, view.health.busy_since) = (true, true, None);
        });
    }

    fn moved(&mut self, pod: &PodReport, from: Option<Phase>, evidence: &str) {
        let name = format!("{}/{}", pod.namespace, pod.name);
        let (to, restorable) = (metrics::name(pod.phase), pod.restorable);
        let Some(from) = from else {
            tracing::info!(pod = %name, phase = to, restorable, evidence, "found");
            return;
        };
        self.metrics.transition(from, pod.phase);
        tracing::info!(pod = %name, from = metrics::name(from), to, restorable, evidence, "moved");
    }

    fn dropped(&mut self, key: &PodKey, evidence: &str) {
        tracing::info!(pod = %key, evidence, "nothing of it is kept any more");
    }
}

fn document(snapshot: &Snapshot, decision: &Decision) -> StatusDoc {
    StatusDoc {
        node: snapshot.node_name.clone(),
        leader: Some(true),
        api: match &snapshot.api.answer {
            Answer::Listed(_) => "ok".to_owned(),
            Answer::Refused(why) | Answer::OtherCluster(why) => format!("refused: {why}"),
            Answer::Unavailable(why) => format!("unavailable: {why}"),
        },
        runtime: match &snapshot.runtime {
            Observation::Seen(..) => "ok".to_owned(),
            Observation::Unavailable(why) => format!("unavailable: {why}"),
        },
        disk: match &snapshot.disk {
            Observation::Seen(..) => "ok".to_owned(),
            Observation::Unavailable(why) => format!("unavailable: {why}"),
        },
        kubelet: format!("{:?}", decision.kubelet).to_lowercase(),
        at: clock::epoch_seconds(),
        ..StatusDoc::of(&decision.report, snapshot.runtime.seen())
    }
}
