//! Where the policy comes from: the resources, listed and then watched, or a file, read again and again. The last good one
//! outlives restarts and outages. What it means is `effective`'.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use super::effective_policy;
use super::effective_policy::{EffectivePolicy, Kept};
use super::resource::{CUSTOM_KIND, GROUP, KIND, PLURAL};
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::list_watch::event::WatchEvent;
use crate::cluster::list_watch::{Collection, Disconnect, ListWatch, ListWatchTimings, Listed, Page, WatchHandler};
use crate::cluster::requests;
use crate::disk::atomic;
use crate::disk::files::{FileError, Files};
use crate::disk::rooted_dir::RootedDir;
use crate::moment::BootInstant;

/// The last good policy, among our own files.
const KEPT: &str = "policy.json";
/// It is no longer: etcd takes objects of 1.5 MiB.
const LONGEST: u64 = 4 << 20;
/// Between two looks at a file.
const FILE: Duration = Duration::from_secs(10);

/// What is known before anybody was asked.
pub fn at_first(state: &Path) -> EffectivePolicy {
    let text = RootedDir::new(state).read(KEPT, LONGEST);
    let kept: Option<Kept> = text.ok().and_then(|text| serde_json::from_slice(&text).ok());
    kept.as_ref().map(effective_policy::of_kept).unwrap_or_default()
}

/// Where what is read of the resources goes.
pub struct PolicySinks {
    /// The policy that they come to, whenever it changes.
    pub effective: watch::Sender<Arc<EffectivePolicy>>,
    /// The nodes that say something of themselves on the one that counts; `None` until that is known.
    pub reporting: watch::Sender<Option<BTreeSet<String>>>,
}

/// Follows the resources until nobody listens any more. `state` is an existing directory of our own.
pub async fn resources(client: ApiClient, state: PathBuf, findings: PolicySinks) {
    let all = Collection::all(requests::custom_path(CUSTOM_KIND));
    let memory = PolicyFile { files: RootedDir::new(&state), kept: None, is_known: false, last_failure: String::new() };
    let mut policies = Policies { objects: BTreeMap::new(), memory, findings, last_failure: String::new() };
    ListWatch::new(client, vec![all], timings()).run(&mut policies).await;
}

/// Policies change seldom and nobody waits for them: gentler than with pods.
fn timings() -> ListWatchTimings {
    let longest = Duration::from_secs(60);
    ListWatchTimings {
        limit: Duration::from_secs(10),
        backoff: (Duration::from_secs(2), longest),
        refused: longest,
        watch: (540, 600),
        relist_pause: Duration::from_secs(1),
        boot_patience: Duration::ZERO,
        ..ListWatchTimings::default()
    }
}

/// The resources that there are, and who is to know what they mean.
struct Policies {
    /// By UID.
    objects: BTreeMap<String, Value>,
    memory: PolicyFile,
    findings: PolicySinks,
    /// Why they could not be read the last time, to say it once.
    last_failure: String,
}

/// A page of the list of resources.
struct PolicyPage {
    objects: Vec<(String, Value)>,
    version: String,
    more: Option<String>,
}

impl Page for PolicyPage {
    fn version(&self) -> &str {
        &self.version
    }

    fn more(&self) -> Option<&str> {
        self.more.as_deref()
    }
}

impl WatchHandler for Policies {
    type Page = PolicyPage;

    fn read_page(&self, answer: &[u8]) -> Result<PolicyPage, String> {
        read_page(answer)
    }

    /// Whatever cluster answers: its policy is for the archives of its nodes.
    async fn check_server(&self, _: &ApiClient, _: Duration) -> Result<(), ApiError> {
        Ok(())
    }

    fn listed(&mut self, outcome: Result<Listed<PolicyPage>, ApiError>) {
        match outcome {
            Ok(listed) => {
                self.objects = listed.pages.into_iter().flat_map(|page| page.objects).collect();
                publish(&self.objects, &mut self.memory, &self.findings);
            }
            Err(why) => self.complain(&why),
        }
    }

    fn watched(&mut self, event: Option<WatchEvent>, _: BootInstant) -> Result<(), String> {
        let Some(event) = event else { return Ok(()) };
        let (WatchEvent::Applied(object) | WatchEvent::Deleted(object)) = &event;
        let (uid, object) = by_uid(object).ok_or("an event of an object without a UID")?;
        match event {
            WatchEvent::Applied(_) => self.objects.insert(uid, object),
            WatchEvent::Deleted(_) => self.objects.remove(&uid),
        };
        publish(&self.objects, &mut self.memory, &self.findings);
        Ok(())
    }

    fn disconnected(&mut self, why: &Disconnect) {
        match why {
            Disconnect::Unopened(why) => self.complain(why),
            Disconnect::Ended(_) | Disconnect::Unlisted => self.last_failure.clear(),
        }
    }

    /// Nobody ever wants a list at once.
    async fn list_wanted(&mut self) -> bool {
        self.findings.effective.closed().await;
        false
    }
}

impl Policies {
    fn complain(&mut self, why: &ApiError) {
        let why = why.to_string();
        if self.last_failure != why {
            tracing::warn!(%why, "cannot read {PLURAL}.{GROUP}, the last policy stays; is the CRD installed?");
            self.last_failure = why;
        }
    }
}

/// A page of a list of the resources; anything else is an error, so that no other document reads as "no policy".
fn read_page(answer: &[u8]) -> Result<PolicyPage, String> {
    let answer: Value = serde_json::from_slice(answer).map_err(|why| format!("not a list of policies: {why}"))?;
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    if answer["kind"].as_str() != Some(&format!("{KIND}List")) {
        return Err(format!("not a {KIND}List"));
    }
    let version = text(&answer["metadata"]["resourceVersion"]).ok_or("a list of policies without resourceVersion")?;
    let items = answer["items"].as_array().ok_or("a list of policies without items")?;
    let more = text(&answer["metadata"]["continue"]);
    Ok(PolicyPage { objects: items.iter().filter_map(by_uid).collect(), version, more })
}

/// What matters of an object: many nodes' words on it, and who owns each of them, are most of it.
fn by_uid(object: &Value) -> Option<(String, Value)> {
    let uid = object["metadata"]["uid"].as_str()?.to_owned();
    let mut metadata = object["metadata"].clone();
    metadata.as_object_mut()?.remove("managedFields");
    let nodes: Vec<Value> = reporting(object).into_iter().map(|node| json!({"node": node})).collect();
    Some((uid, json!({"metadata": metadata, "spec": object["spec"], "status": {"nodes": nodes}})))
}

fn publish(objects: &BTreeMap<String, Value>, memory: &mut PolicyFile, findings: &PolicySinks) {
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
struct PolicyFile {
    files: RootedDir,
    /// What is on disk, once this process has written it.
    kept: Option<Kept>,
    is_known: bool,
    /// Why it could not be written the last time, to say it once.
    last_failure: String,
}

impl PolicyFile {
    /// Writes it down if it is not; what cannot be written is tried again with the next event, or the next list.
    fn keep(&mut self, kept: Option<Kept>) {
        if self.is_known && self.kept == kept {
            return;
        }
        match self.write(kept.as_ref()) {
            Ok(()) => {
                (self.kept, self.is_known) = (kept, true);
                self.last_failure.clear();
            }
            Err(why) => {
                self.is_known = false;
                let why = why.to_string();
                if self.last_failure != why {
                    tracing::warn!(%why, "the policy would not be known after a restart without the API; it is tried again");
                    self.last_failure = why;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_whole_list_of_policies_is_never_an_empty_one() {
        let list = json!({"kind": "CheckpointRestoreOperatorList", "metadata": {"resourceVersion": "7"}, "items": []});
        let page = read_page(list.to_string().as_bytes()).unwrap();
        assert_eq!((page.objects.len(), page.version.as_str(), page.more), (0, "7", None));
        for (path, value) in [
            ("/kind", json!("PodList")),
            ("/items", json!({})),
            ("/items", json!(null)),
            ("/metadata/resourceVersion", json!("")),
            ("/metadata", json!({})),
        ] {
            let mut other = list.clone();
            *other.pointer_mut(path).unwrap() = value;
            assert!(read_page(other.to_string().as_bytes()).is_err(), "{other}");
        }
        assert!(read_page(b"<html>").is_err());
    }
}
