//! What the kubelet of 1.34 refuses in a static pod though its API server takes it in any other: that release validates
//! static pods without the relaxations of its own time (`tryDecodeSinglePod` in `pkg/kubelet/config/common.go`; with them
//! from 1.35 on). A checkpoint for it, or for a kubelet that nobody knows, goes without.

use serde_json::{Value, json};

use crate::pod::annotation;
use crate::pod::checkpoint::Checkpoint;
use crate::pod::kubelet_version::KubeletVersion;

/// The first release that takes in a static pod what its API server takes.
const RELAXED: KubeletVersion = KubeletVersion { major: 1, minor: 35 };

/// Whether the release of the kubelet matters for this checkpoint.
pub fn hinges_on_the_kubelet(checkpoint: &Checkpoint) -> bool {
    let mut trial = checkpoint.manifest.clone();
    !take_away(&mut trial).is_empty() || trial != checkpoint.manifest
}

/// The checkpoint as this kubelet takes it; `None`: nobody knows which it is.
pub fn fit_for_kubelet(mut checkpoint: Checkpoint, kubelet: Option<KubeletVersion>) -> Checkpoint {
    if kubelet.is_some_and(|kubelet| kubelet >= RELAXED) {
        return checkpoint;
    }
    let lost = take_away(&mut checkpoint.manifest);
    if !lost.is_empty() {
        let why = kubelet.map_or_else(
            || format!("only a kubelet of {RELAXED} or newer takes that in a static pod, and which this one is, is not known (get on nodes)"),
            |kubelet| format!("the kubelet of {kubelet} takes that in no static pod; {RELAXED} does"),
        );
        let annotations = &mut checkpoint.manifest["metadata"]["annotations"];
        let said = annotations[annotation::DEGRADED].as_str().and_then(|text| serde_json::from_str(text).ok());
        let mut degraded: Vec<String> = said.unwrap_or_default();
        degraded.extend(lost.into_iter().map(|what| format!("{what} is left out: {why}")));
        annotations[annotation::DEGRADED] = json!(json!(degraded).to_string());
    }
    checkpoint
}

/// Takes it away, and says what will be missed.
fn take_away(manifest: &mut Value) -> Vec<String> {
    let mut lost = Vec::new();
    let spec = &mut manifest["spec"];
    for field in ["initContainers", "containers"] {
        for container in spec.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten() {
            variables(container, &mut lost);
            idle_hooks(container);
        }
    }
    if let Some(searches) = spec.pointer_mut("/dnsConfig/searches").and_then(Value::as_array_mut) {
        searches.retain(|search| {
            let text = search.as_str().unwrap_or_default();
            let taken = !text.contains('_') && text != ".";
            if !taken {
                lost.push(format!("search domain {text:?}"));
            }
            taken
        });
    }
    lost
}

/// Names beyond those that POSIX and a few signs allow.
fn variables(container: &mut Value, lost: &mut Vec<String>) {
    let name = container["name"].as_str().unwrap_or_default().to_owned();
    let Some(variables) = container.get_mut("env").and_then(Value::as_array_mut) else { return };
    variables.retain(|variable| {
        let text = variable["name"].as_str().unwrap_or_default();
        let taken = is_classic_name(text);
        if !taken {
            lost.push(format!("variable {text:?} of container {name}"));
        }
        taken
    });
}

/// `IsEnvVarName` of `k8s.io/apimachinery/pkg/util/validation`.
fn is_classic_name(name: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphabetic() || matches!(c, '-' | '.' | '_');
    name.starts_with(sign)
        && name.chars().all(|c| sign(c) || c.is_ascii_digit())
        && name != "."
        && !name.starts_with("..")
}

/// A hook that sleeps for no time does nothing, so nobody misses it.
fn idle_hooks(container: &mut Value) {
    let Some(lifecycle) = container.get_mut("lifecycle").and_then(Value::as_object_mut) else { return };
    let idle = |sleep: &Value| sleep["seconds"].as_i64().unwrap_or(0) == 0;
    lifecycle.retain(|_, hook| hook.get("sleep").is_none_or(|sleep| !idle(sleep)));
}

#[cfg(test)]
mod tests {
    use super::*;

    const V34: KubeletVersion = KubeletVersion { major: 1, minor: 34 };

    fn checkpoint(container: &Value, searches: &Value) -> Checkpoint {
        let manifest = json!({
            "metadata": {"annotations": {annotation::DEGRADED: "[\"no token\"]"}},
            "spec": {"containers": [container], "dnsConfig": {"searches": searches}},
        });
        Checkpoint { manifest, volumes: Vec::new() }
    }

    fn container() -> Value {
        let env = ["A", "_b", ".c", "d-e.f9", "9", "a b", "..x", "."].map(|name| json!({"name": name, "value": "1"}));
        json!({
            "name": "c",
            "env": env,
            "lifecycle": {"preStop": {"sleep": {"seconds": 0}}, "postStart": {"sleep": {"seconds": 1}}},
        })
    }

    #[test]
    fn an_old_kubelet_gets_what_it_takes_and_the_rest_is_said() {
        let odd = checkpoint(&container(), &json!(["a.b", "_tcp.a", "."]));
        assert!(hinges_on_the_kubelet(&odd));
        let fit = fit_for_kubelet(odd, Some(V34)).manifest;
        assert!(!hinges_on_the_kubelet(&Checkpoint { manifest: fit.clone(), volumes: Vec::new() }));
        let container = &fit["spec"]["containers"][0];
        let names: Vec<_> = container["env"].as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["A", "_b", ".c", "d-e.f9"]);
        assert_eq!(container["lifecycle"], json!({"postStart": {"sleep": {"seconds": 1}}}));
        assert_eq!(fit["spec"]["dnsConfig"]["searches"], json!(["a.b"]));
        let degraded = fit["metadata"]["annotations"][annotation::DEGRADED].as_str().unwrap();
        let degraded: Vec<String> = serde_json::from_str(degraded).unwrap();
        assert_eq!(degraded.len(), 1 + 4 + 2, "{degraded:?}");
        assert_eq!(degraded[0], "no token");
        assert_eq!(
            degraded[1],
            "variable \"9\" of container c is left out: the kubelet of 1.34 takes that in no static pod; 1.35 does"
        );
    }

    #[test]
    fn a_kubelet_that_nobody_knows_is_taken_for_an_old_one() {
        let fit = fit_for_kubelet(checkpoint(&container(), &json!(["."])), None).manifest;
        assert_eq!(fit["spec"]["dnsConfig"]["searches"], json!([]));
        assert!(fit["metadata"]["annotations"][annotation::DEGRADED].as_str().unwrap().contains("get on nodes"));
    }

    #[test]
    fn a_newer_kubelet_gets_everything() {
        let odd = checkpoint(&container(), &json!(["."]));
        assert_eq!(fit_for_kubelet(odd.clone(), Some(RELAXED)).manifest, odd.manifest);
    }

    #[test]
    fn for_most_pods_the_kubelet_does_not_matter() {
        let plain = checkpoint(&json!({"name": "c", "env": [{"name": "A"}], "lifecycle": {}}), &json!(["a.b"]));
        assert!(!hinges_on_the_kubelet(&plain));
        assert_eq!(fit_for_kubelet(plain.clone(), None).manifest, plain.manifest);
    }
}
