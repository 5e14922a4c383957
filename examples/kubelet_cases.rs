//! `cargo run --example kubelet_cases -- DIRECTORY [SEED [COUNT]]`: checkpoints of many pods, and the same with something left
//! in that a static pod cannot have, for `tests/e2e/scenarios/kubelet_oracle.py`, which asks the kubelet about them. The same
//! seed gives the same files. In the directory:
//!
//! - `parents/N.yaml`: pods as the API server has them, which the kubelet must find valid if the rest is to say anything;
//! - `newest/written/N.yaml`, `oldest/written/N.yaml`: their checkpoints, for the newest kubelet and for the oldest one, and those of the golden tests;
//! - `newest/left-in/NAME.N.yaml`, …: checkpoints with that one thing left in;
//! - `cases.json`: of each `left-in`, whose reason it is; of every file, what our own rule on API objects says of it.

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "tests use the rest")]
mod support;

#[path = "../tests/it/sanitize/pods.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod golden;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pod_checkpointer::agent::store::yaml;
use pod_checkpointer::pod::asset_refs::Assets;
use pod_checkpointer::pod::checkpoint::Checkpoint;
use pod_checkpointer::pod::kubelet_version::KubeletVersion;
use pod_checkpointer::pod::parent::Parent;
use pod_checkpointer::pod::sanitize::{NodeFacts, fit_for_kubelet, has_api_object_reference, sanitize};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};
use support::parents::{LeftIn, any_parent, granted, left_in};

const NODE: &str = "edge-1";
const SEED: u64 = 1;
const COUNT: usize = 10_000;
/// A release that takes all that there is today, and the oldest one.
const KUBELETS: [(&str, KubeletVersion); 2] =
    [("newest", KubeletVersion { major: 1, minor: 36 }), ("oldest", KubeletVersion::OLDEST_SUPPORTED)];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(directory) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: kubelet_cases DIRECTORY [SEED [COUNT]]");
        return ExitCode::from(2);
    };
    let mut number = || arguments.next().and_then(|text| text.parse::<u64>().ok());
    let seed = number().unwrap_or(SEED);
    let count = number().and_then(|count| usize::try_from(count).ok()).unwrap_or(COUNT);
    match write_all(&directory, seed, count) {
        Ok(()) => {
            println!("{count} pods of seed {seed}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("seed {seed}: {why}");
            ExitCode::FAILURE
        }
    }
}

fn write_all(directory: &Path, seed: u64, count: usize) -> Result<(), String> {
    for part in ["parents", "newest/written", "newest/left-in", "oldest/written", "oldest/left-in"] {
        fs::create_dir_all(directory.join(part)).map_err(|e| format!("{}: {e}", directory.display()))?;
    }
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &key));
    let (parents, things) = (any_parent(), left_in());
    let mut files = Files { directory, cases: Vec::new() };
    for at in 0..count {
        let mut pod = parents.new_tree(&mut runner).map_err(|e| e.to_string())?.current();
        // One name for each: the kubelet takes no two pods of one name.
        pod["metadata"]["name"] = json!(format!("p{at}"));
        files.write(&format!("parents/{at}.yaml"), &as_file(&pod), json!({}))?;
        let written = checkpoint(&pod, &granted(&pod))
            .map_err(|reasons| format!("pod {at} is refused: {}", reasons.join("; ")))?;
        // Every second one as it is, and of the others each thing in turn.
        let thing = (at % 2 == 1).then(|| &things[at / 2 % things.len()]);
        if let Some(thing) = thing {
            hold_against(&pod, thing).map_err(|why| format!("pod {at} with {}: {why}", thing.name))?;
        }
        for (kubelet, version) in KUBELETS {
            let mut manifest = fit_for_kubelet(written.clone(), Some(version)).manifest;
            let Some(thing) = thing else {
                files.write(&format!("{kubelet}/written/{at}.yaml"), &manifest, json!({}))?;
                continue;
            };
            thing.put_into(&mut manifest);
            let whose = json!({"thing": thing.name, "because": thing.what["because"]});
            files.write(&format!("{kubelet}/left-in/{}.{at}.yaml", thing.name), &manifest, whose)?;
        }
    }
    write_golden(&mut files)?;
    let list = serde_json::to_string(&files.cases).map_err(|e| e.to_string())?;
    fs::write(directory.join("cases.json"), list).map_err(|e| e.to_string())
}

/// The pods of the golden tests.
fn write_golden(files: &mut Files<'_>) -> Result<(), String> {
    for (name, text) in [("apiserver", golden::APISERVER), ("web", golden::WEB), ("bare", golden::BARE)] {
        let written = checkpoint(&golden::pod(text), &golden::all_assets())
            .map_err(|reasons| format!("{name} is refused: {}", reasons.join("; ")))?;
        for (kubelet, version) in KUBELETS {
            let manifest = fit_for_kubelet(written.clone(), Some(version)).manifest;
            files.write(&format!("{kubelet}/written/golden-{name}.yaml"), &manifest, json!({}))?;
        }
    }
    Ok(())
}

struct Files<'a> {
    directory: &'a Path,
    cases: Vec<Value>,
}

impl Files<'_> {
    fn write(&mut self, name: &str, manifest: &Value, mut case: Value) -> Result<(), String> {
        let path = self.directory.join(name);
        fs::write(&path, yaml::to_text(manifest)).map_err(|e| format!("{}: {e}", path.display()))?;
        case["file"] = json!(name);
        case["rule"] = json!(has_api_object_reference(manifest));
        self.cases.push(case);
        Ok(())
    }
}

/// What the agent would write.
fn checkpoint(pod: &Value, assets: &Assets) -> Result<Checkpoint, Vec<String>> {
    let facts = NodeFacts {
        node_name: NODE.to_owned(),
        api_host: "10.96.0.1".to_owned(),
        api_port: "443".to_owned(),
        ..NodeFacts::default()
    };
    let parent = Parent::from_api(pod, NODE).map_err(|bad| vec![bad.to_string()])?;
    let parent = parent.ok_or_else(|| vec!["it is no parent".to_owned()])?;
    sanitize(&parent, &facts, assets).map_err(|refused| refused.reasons)
}

/// Whether the thing alone is the reason for which there is no checkpoint, or none is needed.
fn hold_against(pod: &Value, thing: &LeftIn) -> Result<(), String> {
    let mut with = pod.clone();
    thing.put_into(&mut with);
    match (checkpoint(&with, &granted(&with)), thing.refused) {
        (Ok(_), false) => Ok(()),
        (Err(reasons), true) if reasons.len() == 1 => Ok(()),
        (Ok(_), true) => Err("it is not refused".to_owned()),
        (Err(reasons), _) => Err(format!("refused for {}", reasons.join("; "))),
    }
}

/// A pod of the API server as a file that the kubelet could read: what is set there alone taken away.
fn as_file(pod: &Value) -> Value {
    let mut file = pod.clone();
    if let Some(spec) = file["spec"].as_object_mut() {
        spec.remove("nodeName");
    }
    file
}
