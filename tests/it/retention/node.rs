//! A node whose archives are kept within a policy, with an API server in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use pod_checkpointer::serve::retention::metrics::RetentionMetrics;
use pod_checkpointer::serve::retention::sweeper::{Nobody, SweepTimings};
use pod_checkpointer::serve::retention::{PolicySource, RetentionOptions, start};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::api::{Api, until};
use super::archives::names;

/// A node with a directory of archives, and what looks after it.
pub struct Node {
    pub dir: tempfile::TempDir,
    pub state: tempfile::TempDir,
    pub api: Api,
    pub metrics: RetentionMetrics,
    /// Between two rounds of questions about orphans.
    pub round: Duration,
    /// Between two changes of the status.
    pub status: Duration,
    pub running: Option<(oneshot::Sender<()>, tokio::task::JoinHandle<()>)>,
}

impl Node {
    pub async fn new() -> Self {
        let dir = || tempfile::tempdir().unwrap();
        Self {
            dir: dir(),
            state: dir(),
            api: Api::start().await,
            metrics: RetentionMetrics::default(),
            round: Duration::from_millis(300),
            status: Duration::from_millis(100),
            running: None,
        }
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A policy for this node's directory.
    pub fn policy(&self, mut spec: Value) -> Value {
        spec["checkpointDirectory"] = json!(self.path());
        spec
    }

    pub async fn run(&mut self) {
        let millis = Duration::from_millis;
        let pace = SweepTimings {
            debounce: millis(20),
            tick: millis(50),
            growing: millis(200),
            rescan: Duration::from_secs(600),
            orphans: self.round,
            apart: millis(150),
            status: self.status,
        };
        let options = RetentionOptions {
            directory: self.path().to_owned(),
            state: self.state.path().to_owned(),
            node: "node-a".to_owned(),
            source: PolicySource::Resources,
            pace,
        };
        let (stop, stopped) = oneshot::channel();
        let (client, metrics) = (self.api.client().await, self.metrics.clone());
        let task = tokio::spawn(start(options, Some(client), Arc::new(Nobody), metrics, async {
            let _ = stopped.await;
        }));
        self.running = Some((stop, task));
    }

    pub async fn stop(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.send(()).unwrap();
        task.await.unwrap();
        assert_eq!(self.api.world().unexpected, Vec::<String>::new());
    }

    pub async fn until(&self, what: &str, wanted: impl Fn(&[String]) -> bool) {
        until(what, || wanted(&names(self.path()))).await;
    }

    pub fn there(&self) -> i64 {
        self.metrics.archives("whole")
    }
}

/// Long enough for what must not happen to happen.
pub async fn a_while() {
    tokio::time::sleep(Duration::from_millis(800)).await;
}
