//! Where the policy comes from: the resources, listed and then watched, or a file, read again and again. The last good one
//! outlives restarts and outages. What it means is `effective`'.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::io::{AsyncBufReadExt, AsyncReadExt};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::effective_policy;
use super::effective_policy::{EffectivePolicy, Kept};
use super::resource::{CUSTOM_KIND, GROUP, PLURAL};
use crate::backoff::{Backoff, spread};
use crate::cluster::client::{ApiClient, Call, Verb};
use crate::cluster::error::ApiError;
use crate::cluster::requests;
use crate::disk::atomic;
use crate::disk::files::{FileError, Files};
use crate::disk::rooted_dir::RootedDir;

/// The last good policy, among our own files.
const KEPT: &str = "policy.json";
/// No resource is longer: etcd takes 1.5 MiB.
const LONGEST: u64 = 4 << 20;
/// One answer of the API.
const LIMIT: Duration = Duration::from_secs(10);
/// A watch ends after this; then everything is listed anew.
const WATCH: Duration = Duration::from_secs(600);
/// Before listing anew what was watched to its end.
const ANEW: Duration = Duration::from_secs(1);
/// After a failure.
const BACKOFF: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(60));
/// Between two looks at a file.
const FILE: Duration = Duration::from_secs(10);

/// What is known before anybody was asked.
pub fn at_first(state: &Path) -> EffectivePolicy {
    let text = RootedDir::new(state).read(KEPT, LONGEST);
    let kept: Option<Kept> = text.ok().and_then(|text| serde_json::from_slice(&text).ok());
    kept.as_ref().map(effective_policy::of_kept).unwrap_or_default()
}

/// Where what is read of the resources goes.
pub struct Findings {
    /// What they mean.
    pub effective: watch::Sender<Arc<EffectivePolicy>>,
    /// The nodes that say something of themselves on the one that counts; `None` until that is known.
    pub reporting: watch::Sender<Option<BTreeSet<String>>>,
}

/// Follows the resources until nobody listens any more. `state` is an existing directory of our own.
pub async fn resources(client: ApiClient, state: PathBuf, findings: Findings) {
    let mut backoff = BACKOFF;
    let mut sweep_status = String::new();
    let mut memory = Memory { files: RootedDir::new(&state), kept: None, is_known: false, sweep_status: String::new() };
    loop {
        let ended = tokio::select! {
            ended = list_and_watch(&client, &mut memory, &findings) => ended,
            () = findings.effective.closed() => return,
        };
        let wait = match ended {
            Ok(()) => {
                backoff.reset();
                sweep_status.clear();
                ANEW
            }
            Err(why) => {
                let why = why.to_string();
                if sweep_status != why {
                    tracing::warn!(%why, "cannot read {PLURAL}.{GROUP}, the last policy stays; is the CRD installed?");
                    sweep_status = why;
                }
                backoff.wait()
            }
        };
        sleep(spread(wait, 0.25, fastrand::f64())).await;
    }
}

async fn list_and_watch(client: &ApiClient, memory: &mut Memory, findings: &Findings) -> Result<(), ApiError> {
    let path = requests::custom_path(CUSTOM_KIND);
    let (mut objects, version) = client.read(&Call::get(&path, Verb::List), LIMIT, list).await?;
    publish(&objects, memory, findings);
    let seconds = WATCH.as_secs();
    let call = format!("{path}?watch=1&resourceVersion={version}&timeoutSeconds={seconds}");
    let mut lines = client.stream(&Call::get(call, Verb::Watch), LIMIT).await?;
    loop {
        let mut line = Vec::new();
        let mut bounded = (&mut lines).take(LONGEST);
        let read = timeout(WATCH + LIMIT, bounded.read_until(b'\n', &mut line)).await;
        let ended = !matches!(read, Ok(Ok(1..)));
        if ended || !heard(&line, &mut objects) {
            return Ok(());
        }
        publish(&objects, memory, findings);
    }
}

/// All resources by UID, and where to watch on from.
fn list(answer: &[u8]) -> Result<(BTreeMap<String, Value>, String), String> {
    let answer: Value = serde_json::from_slice(answer).map_err(|why| why.to_string())?;
    let version = answer["metadata"]["resourceVersion"].as_str().ok_or("a list without a version")?.to_owned();
    if !version.bytes().all(|c| c.is_ascii_alphanumeric()) {
        return Err("a list of an impossible version".to_owned());
    }
    let items = answer["items"].as_array().ok_or("a list without items")?;
    Ok((items.iter().filter_map(by_uid).collect(), version))
}

/// What matters of an object: many nodes' words on it, and who owns each of them, are most of it.
fn by_uid(object: &Value) -> Option<(String, Value)> {
    let uid = object["metadata"]["uid"].as_str()?.to_owned();
    let mut metadata = object["metadata"].clone();
    metadata.as_object_mut()?.remove("managedFields");
    let nodes: Vec<Value> = reporting(object).into_iter().map(|node| json!({"node": node})).collect();
    Some((uid, json!({"metadata": metadata, "spec": object["spec"], "status": {"nodes": nodes}})))
}

/// Takes up a line of the watch; false: it is no event that can be relied on, so everything is to be listed anew.
fn heard(line: &[u8], objects: &mut BTreeMap<String, Value>) -> bool {
    let Ok(event) = serde_json::from_slice::<Value>(line) else { return false };
    let Some((uid, object)) = by_uid(&event["object"]) else { return false };
    match event["type"].as_str() {
        Some("ADDED" | "MODIFIED") => drop(objects.insert(uid, object)),
        Some("DELETED") => drop(objects.remove(&uid)),
        _ => return false,
    }
    true
}

fn publish(objects: &BTreeMap<String, Value>, memory: &mut Memory, findings: &Findings) {
    let all: Vec<Value> = objects.values().cloned().collect();
    let before = Arc::clone(&findings.effective.borrow());
    let (now, kept) = effective_policy::of_resources(&all, &before);
    let counts = now.origin.as_ref().and_then(|origin| objects.get(&origin.uid));
    // Before the orders, which have it looked at.
    findings.reporting.send_replace(Some(counts.map(reporting).unwrap_or_default()));
    if now.refused.is_empty() {
        memory.keep(kept);
    }
    if now != *before {
        tell(&now);
        findings.effective.send_replace(Arc::new(now));
    }
}

fn reporting(object: &Value) -> BTreeSet<String> {
    let parts = object["status"]["nodes"].as_array().into_iter().flatten();
    parts.filter_map(|part| part["node"].as_str().map(str::to_owned)).collect()
}

/// What the next start is to know without the API.
struct Memory {
    files: RootedDir,
    /// What is on disk, once this process has written it.
    kept: Option<Kept>,
    is_known: bool,
    /// The last failure.
    sweep_status: String,
}

impl Memory {
    /// Writes it down if it is not; what cannot be written is tried again with the next event, or the next list.
    fn keep(&mut self, kept: Option<Kept>) {
        if self.is_known && self.kept == kept {
            return;
        }
        match self.write(kept.as_ref()) {
            Ok(()) => {
                (self.kept, self.is_known) = (kept, true);
                self.sweep_status.clear();
            }
            Err(why) => {
                self.is_known = false;
                let why = why.to_string();
                if self.sweep_status != why {
                    tracing::warn!(%why, "the policy would not be known after a restart without the API; it is tried again");
                    self.sweep_status = why;
                }
            }
        }
    }

    fn write(&self, kept: Option<&Kept>) -> Result<(), FileError> {
        match kept {
            Some(kept) => {
                // Of strings, numbers and JSON itself: it has a form.
                let text = serde_json::to_vec(kept).unwrap_or_default();
                atomic::write(&self.files, KEPT, &text, 0o600).map(drop)
            }
            None if self.files.stat(KEPT)?.is_some() => {
                self.files.remove_file(KEPT).and_then(|()| self.files.sync_dir(""))
            }
            None => Ok(()),
        }
    }
}

/// Follows a file until nobody listens any more; it is a resource, or its `spec`, in YAML.
pub async fn file(path: PathBuf, effective: watch::Sender<Arc<EffectivePolicy>>) {
    let mut last: Option<Result<Value, String>> = None;
    loop {
        let read = read(&path).await;
        if last.as_ref() != Some(&read) {
            let before = Arc::clone(&effective.borrow());
            let now = match &read {
                Ok(document) => effective_policy::of_document(document, &before),
                Err(why) => EffectivePolicy {
                    policy: before.policy.clone(),
                    refused: vec![why.clone()],
                    ..EffectivePolicy::default()
                },
            };
            tell(&now);
            effective.send_replace(Arc::new(now));
            last = Some(read);
        }
        tokio::select! {
            () = sleep(FILE) => {}
            () = effective.closed() => return,
        }
    }
}

async fn read(path: &Path) -> Result<Value, String> {
    let text = tokio::fs::read_to_string(path).await.map_err(|why| format!("cannot read {}: {why}", path.display()))?;
    document(&text).map_err(|why| format!("{}: {why}", path.display()))
}

/// The one document of a policy file.
///
/// # Errors
/// It is no YAML.
pub fn document(text: &str) -> Result<Value, String> {
    serde_yaml::from_str(text).map_err(|why| format!("it is no YAML: {why}"))
}

fn tell(effective: &EffectivePolicy) {
    for why in &effective.refused {
        tracing::error!(%why, "the retention policy has a value that cannot be; the last good one stays");
    }
    for note in &effective.notes {
        tracing::warn!(%note, "about the retention policy");
    }
    if let (Some(policy), true) = (&effective.policy, effective.refused.is_empty()) {
        tracing::info!(directory = %policy.directory, dry_run = policy.dry_run, immediately = policy.immediately, "a retention policy holds");
    } else if effective.policy.is_none() {
        tracing::info!("no retention policy: nothing is deleted");
    }
}
