//! What the fake kubelet does each time it looks at the world: a function of files, API pods and what runs.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::kubelet::{PodStatus, Process, Settings};
use super::machine::Machine;
use super::manifest::{bound_ports, full_name, host_ports, lasting, needed_directories, read_all, text};

/// One look at the world, and what follows from it.
pub(super) fn sync(settings: &Settings, process: &mut Process, machine: &mut Machine) {
    if !process.on {
        return;
    }
    if process.api_now.is_some() {
        process.api.clone_from(&process.api_now);
    }
    let wanted = wanted(settings, process);
    if process.api.is_some() {
        stop_unwanted(settings, process, machine, &wanted);
    }
    process.status.clear();
    for (pod, is_static) in &wanted {
        let waits = run(settings, process, machine, pod, *is_static);
        let status = status(process, machine, pod, *is_static, waits.err().unwrap_or_default());
        process.status.push(status);
    }
}

/// Static pods first, then API pods that are meant to run.
fn wanted(settings: &Settings, process: &mut Process) -> Vec<(Value, bool)> {
    let mut wanted = Vec::new();
    process.refused.clear();
    for (file, pod) in read_all(&settings.manifests, &settings.node) {
        match pod {
            Ok(pod) => wanted.push((pod, true)),
            Err(why) => drop(process.refused.insert(file, why)),
        }
    }
    // Mirrors of static pods are the API server's business.
    let mirror = |pod: &&Value| !pod["metadata"]["annotations"]["kubernetes.io/config.mirror"].is_null();
    let over = |pod: &&Value| {
        !pod["metadata"]["deletionTimestamp"].is_null()
            || pod["status"]["phase"] == "Failed"
            || pod["status"]["phase"] == "Succeeded"
    };
    let api = process.api.iter().flatten().filter(|pod| !mirror(pod) && !over(pod));
    wanted.extend(api.map(|pod| (pod.clone(), false)));
    wanted
}

/// Only a kubelet that has seen the API does this: what is not wanted stops at once and is cleared away later.
fn stop_unwanted(settings: &Settings, process: &mut Process, machine: &mut Machine, wanted: &[(Value, bool)]) {
    let uids: BTreeSet<&str> = wanted.iter().map(|(pod, _)| text(&pod["metadata"]["uid"])).collect();
    let unwanted: Vec<(String, String, bool)> = machine
        .sandboxes
        .iter()
        .filter(|s| !uids.contains(s.uid()))
        .map(|s| (s.id.clone(), s.uid().to_owned(), s.ready))
        .collect();
    for (id, uid, ready) in unwanted {
        process.admitted.remove(&uid);
        if ready {
            machine.stop_sandbox(&id);
        }
        let since = *process.unwanted.entry(id.clone()).or_insert_with(Instant::now);
        if since.elapsed() >= settings.garbage {
            machine.remove_sandbox(&id);
            process.unwanted.remove(&id);
        }
    }
}

/// Keeps one pod running, or says why nothing starts.
fn run(
    settings: &Settings,
    process: &mut Process,
    machine: &mut Machine,
    pod: &Value,
    is_static: bool,
) -> Result<(), String> {
    let (name, uid) = (full_name(pod), text(&pod["metadata"]["uid"]).to_owned());
    if machine.ready(&name).any(|s| s.uid() != uid) {
        return Err("waits for the pod of the same name to end".to_owned());
    }
    admit(process, pod, &uid)?;
    for path in needed_directories(pod) {
        if !host_path(settings, path).is_dir() {
            return Err(format!("hostPath type check failed: {path} is not a directory"));
        }
    }
    let ready = machine.ready(&name).next().map(|s| s.id.clone());
    let sandbox = ready.unwrap_or_else(|| {
        let annotations = pod["metadata"]["annotations"].as_object().into_iter().flatten();
        let annotations = annotations.map(|(k, v)| (k.clone(), text(v).to_owned())).collect();
        let metadata = (text(&pod["metadata"]["namespace"]), text(&pod["metadata"]["name"]), uid.as_str());
        machine.run_sandbox(metadata, if is_static { "file" } else { "api" }, &annotations)
    });
    let mut waits = Ok(());
    for container in lasting(&pod["spec"]) {
        if let Err(why) = keep_running(settings, process, machine, (pod, container), &sandbox) {
            waits = Err(why);
        }
    }
    waits
}

/// Looks for host ports that another admitted pod has. A refusal stands as long as this process lives.
fn admit(process: &mut Process, pod: &Value, uid: &str) -> Result<(), String> {
    if let Some(reason) = process.rejected.get(uid) {
        return Err(reason.clone());
    }
    if process.admitted.contains_key(uid) {
        return Ok(());
    }
    let ports = host_ports(pod);
    if process.admitted.values().flatten().any(|taken| ports.contains(taken)) {
        process.rejected.insert(uid.to_owned(), "NodePorts".to_owned());
        return Err("NodePorts".to_owned());
    }
    process.admitted.insert(uid.to_owned(), ports);
    Ok(())
}

/// Starts a container that does not run, unless it has to wait. An exit that the kubelet finds counts, also one from
/// before the power cut; an exit whose sandbox was removed is forgotten.
fn keep_running(
    settings: &Settings,
    process: &mut Process,
    machine: &mut Machine,
    (pod, container): (&Value, &Value),
    sandbox: &str,
) -> Result<(), String> {
    let (name, uid) = (text(&container["name"]), text(&pod["metadata"]["uid"]));
    let of_pod = || machine.sandboxes.iter().filter(|s| s.uid() == uid);
    if of_pod().any(|s| s.ready && s.runs(name)) {
        return Ok(());
    }
    let ever = of_pod().flat_map(|s| s.containers.iter().map(move |c| (s.ready, c))).filter(|(_, c)| c.name == name);
    let last = ever.max_by_key(|(_, c)| c.created_at).map(|(here, c)| (here, c.id.clone(), c.restarts));
    let key = (uid.to_owned(), name.to_owned());
    if let Some((here, id, _)) = &last {
        let back_off = process.back_off.get(&key).copied().unwrap_or_default();
        let notice = if *here { settings.notice } else { Duration::ZERO };
        let since = *process.exits.entry(id.clone()).or_insert_with(Instant::now);
        if since.elapsed() < back_off.max(notice) {
            return Err("CrashLoopBackOff".to_owned());
        }
    }
    have_image(process, machine, text(&container["image"]))?;
    if last.is_some() {
        let most = settings.back_off * 30;
        let next = process.back_off.get(&key).map_or(settings.back_off, |before| (*before * 2).min(most));
        process.back_off.insert(key, next);
    }
    let ports = bound_ports(pod, container);
    let collides = machine.bound().any(|taken| ports.contains(&taken));
    let id = machine.run_container(sandbox, name, last.map_or(0, |(_, _, restarts)| restarts + 1));
    if collides || process.crashing.contains(&full_name(pod)) {
        machine.exit_container(&id);
        return Err("its process exited at once".to_owned());
    }
    machine.bind(&id, ports);
    Ok(())
}

fn have_image(process: &Process, machine: &mut Machine, image: &str) -> Result<(), String> {
    if machine.images.contains_key(image) {
        return Ok(());
    }
    if process.no_registry {
        return Err(format!("ErrImagePull: {image}"));
    }
    machine.images.insert(image.to_owned(), format!("sha256:of-{image}"));
    Ok(())
}

fn host_path(settings: &Settings, path: &str) -> PathBuf {
    let mapped =
        settings.host_path.as_ref().and_then(|(from, to)| Some(to.join(Path::new(path).strip_prefix(from).ok()?)));
    mapped.unwrap_or_else(|| PathBuf::from(path))
}

fn status(process: &Process, machine: &Machine, pod: &Value, is_static: bool, waits: String) -> PodStatus {
    let uid = text(&pod["metadata"]["uid"]).to_owned();
    let of_pod = || machine.sandboxes.iter().filter(|s| s.uid() == uid);
    let runs = |name| of_pod().any(|s| s.ready && s.runs(name));
    let restarts = |name| of_pod().flat_map(|s| &s.containers).filter(|c| c.name == name).map(|c| c.restarts).max();
    let started = of_pod().any(|s| s.ready && !s.containers.is_empty());
    PodStatus {
        pod: full_name(pod),
        is_static,
        phase: match (process.rejected.contains_key(&uid), started) {
            (true, _) => "Failed",
            (false, true) => "Running",
            (false, false) => "Pending",
        },
        reason: waits,
        ready: lasting(&pod["spec"]).all(|c| runs(text(&c["name"]))),
        restarts: lasting(&pod["spec"]).filter_map(|c| restarts(text(&c["name"]))).sum(),
        uid,
    }
}
