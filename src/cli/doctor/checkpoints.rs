//! What container checkpoints need of this node and cluster: a runtime that writes and restores them, a kubelet that takes
//! them for us, a registry and an APIService that answer.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use serde_json::Value;

use super::check::{Check, CheckOutcome};
use crate::checkpoint_api::APISERVICE;
use crate::cluster::client::ApiClient;
use crate::cluster::error::ApiError;
use crate::cluster::requests;
use crate::node::cri::{Cri, CriError};
use crate::node::criu::{Ability, abilities};
use crate::node::kubelet_api::{Fault, KubeletApiError};
use crate::serve;
use crate::serve::config::{ServeArgs, ServeConfig};
use crate::serve::jobs::metrics::JobMetrics;

const LIMIT: Duration = Duration::from_secs(5);
/// Where distributions put it.
const USUAL: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];
const KUBELET_CHECK: &str = "kubelet takes checkpoints for us";
const REGISTRY_CHECK: &str = "registry answers";
const APISERVICE_CHECK: &str = "APIService answers";

/// The runtime, by what it tells of itself.
pub(super) async fn runtime(cri: &Result<Cri, String>) -> Vec<Check> {
    match cri {
        Ok(cri) => ask(cri).await.unwrap_or_else(|why| vec![unseen(&why.to_string())]),
        Err(why) => vec![unseen(why)],
    }
}

async fn ask(cri: &Cri) -> Result<Vec<Check>, CriError> {
    let version = cri.version().await?;
    let config = cri.configuration().await?;
    let found = abilities(&version.name, &version.version, config.as_ref());
    let shown = format!("{} {}", version.name, version.version);
    Ok(vec![
        judge("runtime writes checkpoints", &shown, found.checkpoint, CheckOutcome::Fail),
        judge("runtime restores checkpoints", &shown, found.restore, CheckOutcome::Warn),
    ])
}

fn unseen(why: &str) -> Check {
    Check::warn(
        "runtime writes checkpoints",
        why,
        "cannot be seen from here; run this on the node, or mount the runtime's socket",
    )
}

/// Where the runtime's own PATH is no other than ours, as on a node and not in a pod.
pub(super) fn criu() -> Check {
    judge_criu(
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).chain(USUAL.iter().map(PathBuf::from)),
    )
}

fn judge_criu(directories: impl Iterator<Item = PathBuf>) -> Check {
    const NAME: &str = "criu is installed";
    match directories.map(|directory| directory.join("criu")).find(|path| path.is_file()) {
        Some(path) => Check::ok(NAME, path.display()),
        None => Check::warn(
            NAME,
            "not seen from here",
            "run this on the node itself, or take a checkpoint: without criu 3.16 or newer on the runtime's PATH the kubelet's answer says so",
        ),
    }
}

/// `bad` is how bad it is if it cannot: restoring may be another node's business.
fn judge(name: &str, shown: &str, ability: Ability, bad: CheckOutcome) -> Check {
    match ability {
        Ability::Yes => Check::ok(name, shown),
        Ability::No(remedy) => Check { outcome: bad, ..Check::fail(name, format!("{shown} does not"), remedy) },
        Ability::Unknown(why) => Check::warn(name, format!("{shown} does not tell"), why),
    }
}

/// The kubelet and the registry, asked as this pod's `serve` would ask them.
pub(super) async fn neighbours() -> Vec<Check> {
    let config = match as_serve_was_started() {
        Ok(config) => config,
        Err(why) => {
            let remedy = "run this in serve's pod, or give it the same environment variables";
            return vec![Check::warn(KUBELET_CHECK, &why, remedy), Check::warn(REGISTRY_CHECK, &why, remedy)];
        }
    };
    // Pods are not called so: a name has no capitals.
    let asked = serve::kubelet(&config).checkpoint("kube-system", "Doctor", "Doctor", LIMIT, LIMIT).await;
    let mut checks = vec![judge_kubelet(asked)];
    checks.push(match ApiClient::new(&serve::client_config(&config)).await {
        Ok(api) => {
            let answer = serve::publisher(&config, &api, &JobMetrics::default()).try_registry(LIMIT).await;
            judge_registry(&config.image_prefix, answer.map_err(|why| why.to_string()))
        }
        Err(why) => judge_registry(&config.image_prefix, Err(why.to_string())),
    });
    checks
}

/// By the environment, and the flags of the first process where that is `serve`, as it is in its pod.
fn as_serve_was_started() -> Result<ServeConfig, String> {
    let first = std::fs::read("/proc/1/cmdline").unwrap_or_default();
    let words: Vec<String> =
        first.split(|byte| *byte == 0).map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    let flags = words.iter().skip_while(|word| *word != "serve").filter(|word| !word.is_empty()).cloned();
    let flags = std::iter::once("serve".to_owned()).chain(flags.skip(1));
    let started = Started::try_parse_from(flags).map_err(|why| why.to_string())?;
    ServeConfig::from_args(started.args).map_err(|why| why.to_string())
}

#[derive(Debug, Parser)]
struct Started {
    #[command(flatten)]
    args: ServeArgs,
}

fn judge_kubelet(answer: Result<String, KubeletApiError>) -> Check {
    match answer {
        Err(KubeletApiError::Fault(Fault::NoPod)) => Check::ok(KUBELET_CHECK, "yes"),
        Err(why) => Check::fail(KUBELET_CHECK, why, "no checkpoint can be taken on this node"),
        Ok(path) => {
            Check::warn(KUBELET_CHECK, format!("it wrote {path} for a pod that cannot be"), "is that a kubelet?")
        }
    }
}

fn judge_registry(prefix: &str, answer: Result<(), String>) -> Check {
    match answer {
        Ok(()) => Check::ok(REGISTRY_CHECK, prefix),
        Err(why) => Check::warn(
            REGISTRY_CHECK,
            why,
            "no image can be pushed; archives and seals do not need it. See --plain-http-registry, --registry-ca and KANIKO_SECRET_NAME",
        ),
    }
}

/// The way for people. One that is there and broken is worse than none: the API server cannot delete any namespace then.
pub(super) async fn apiservice(client: &Result<ApiClient, String>) -> Check {
    match client {
        Ok(client) => judge_apiservice(requests::get_api_service(client, APISERVICE, LIMIT).await),
        Err(why) => Check::warn(APISERVICE_CHECK, why, "not asked"),
    }
}

fn judge_apiservice(answer: Result<Value, ApiError>) -> Check {
    let object = match answer {
        Ok(object) => object,
        Err(ApiError::NotFound(_)) => {
            return Check::warn(
                APISERVICE_CHECK,
                "it is not installed",
                "people reach serve with any kubeconfig through it: kubectl apply -f manifests/apiservice/",
            );
        }
        Err(why) => return Check::warn(APISERVICE_CHECK, why, "could not be asked; see the checks above"),
    };
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    let available = conditions.and_then(|all| all.iter().find(|c| c["type"] == "Available"));
    let word = |field: &str| available.and_then(|c| c[field].as_str()).unwrap_or_default().to_owned();
    if word("status") == "True" {
        return Check::ok(APISERVICE_CHECK, "it is available");
    }
    Check::fail(
        APISERVICE_CHECK,
        format!("it is not available: {} {}", word("reason"), word("message")),
        format!(
            "no namespace can be deleted while it is broken: see that its pods are Ready and reachable from the API server, \
             or take it away: kubectl delete apiservice {APISERVICE}"
        ),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_runtime_that_writes_none_fails_that_restores_none_warns() {
        let no = || Ability::No("update it".to_owned());
        let check = judge("runtime writes checkpoints", "containerd 1.7", no(), CheckOutcome::Fail);
        assert_eq!((check.outcome, check.remedy.as_deref()), (CheckOutcome::Fail, Some("update it")));
        assert_eq!(
            judge("runtime restores checkpoints", "containerd 2.4", no(), CheckOutcome::Warn).outcome,
            CheckOutcome::Warn
        );
        assert_eq!(judge("x", "y", Ability::Yes, CheckOutcome::Fail).outcome, CheckOutcome::Ok);
    }

    #[test]
    fn a_criu_that_is_not_seen_may_still_be_there() {
        let (with, without) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(with.path().join("criu"), "").unwrap();
        let paths =
            |dirs: &[&tempfile::TempDir]| dirs.iter().map(|dir| dir.path().to_owned()).collect::<Vec<_>>().into_iter();
        assert_eq!(judge_criu(paths(&[&without, &with])).outcome, CheckOutcome::Ok);
        assert_eq!(judge_criu(paths(&[&without])).outcome, CheckOutcome::Warn);
    }

    #[test]
    fn a_kubelet_that_knows_no_such_pod_would_take_checkpoints() {
        assert_eq!(judge_kubelet(Err(Fault::NoPod.into())).outcome, CheckOutcome::Ok);
        let off = judge_kubelet(Err(Fault::FeatureOff.into()));
        assert_eq!(off.outcome, CheckOutcome::Fail);
        assert!(off.finding.contains("ContainerCheckpoint"));
        assert_eq!(judge_registry("r.example/x", Err("refused".to_owned())).outcome, CheckOutcome::Warn);
    }

    #[test]
    fn a_broken_apiservice_is_worse_than_none() {
        let with = |status: &str| json!({"status": {"conditions": [{"type": "Available", "status": status, "reason": "MissingEndpoints", "message": "m"}]}});
        assert_eq!(judge_apiservice(Ok(with("True"))).outcome, CheckOutcome::Ok);
        let broken = judge_apiservice(Ok(with("False")));
        assert_eq!(broken.outcome, CheckOutcome::Fail);
        assert!(broken.finding.contains("MissingEndpoints") && broken.remedy.unwrap().contains("no namespace"));
        assert_eq!(judge_apiservice(Err(ApiError::NotFound("no".to_owned()))).outcome, CheckOutcome::Warn);
        assert_eq!(judge_apiservice(Ok(json!({}))).outcome, CheckOutcome::Fail);
    }
}
