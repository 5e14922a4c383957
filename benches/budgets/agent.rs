//! The agent itself against an API server, a runtime and a kubelet in this process: from its start, and from an event of
//! the runtime, to what is durable on disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::NODE_FULL;
use crate::disk::{clear, link_bare};
use crate::support::api::Mode;
use crate::support::pods::{NAMESPACE, NODE, pod};
use crate::support::site::Site;
use crate::table::{Table, median, percentile, shown};

const PROGRAM: &str = env!("CARGO_BIN_EXE_pod-checkpointer");
const STARTS: usize = 11;
/// Sites one after the other, each with so many pods that die one after the other.
const ROUNDS: usize = 8;
const DEATHS: usize = 26;
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_micros(100);
/// In which what follows has happened (a twin starts, dead sandboxes go), so that the next event finds an idle agent.
const QUIET: Duration = Duration::from_millis(100);

pub async fn measure(table: &mut Table) -> Result<(), String> {
    start(table).await?;
    events(table).await?;
    let size = fs::metadata(PROGRAM).map_err(|why| why.to_string())?.len();
    table.add("size of this program (not the static one)", &format!("{} KB", size / 1000), "", "", "≤ 20 MB");
    Ok(())
}

async fn site_with(pods: usize) -> Result<Site, String> {
    let mut site = Site::new().await.map_err(|why| why.to_string())?;
    site.api.add_secret(NAMESPACE, "tls", &[("tls.key", "key"), ("tls.crt", "certificate")]);
    site.api.add_config_map(NAMESPACE, "settings", &[("settings.yaml", "valves: 3\n")]);
    for number in 0..pods {
        site.add(pod(&name(number)).secret("tls").config_map("settings"));
    }
    site.start_agent();
    site.wait("all are saved", PATIENCE, |s| (0..pods).all(|number| s.is_saved(&name(number)))).await?;
    let standby = |s: &Site| s.status().pods.iter().filter(|p| p.report.restorable).count() == pods;
    site.wait("all are restorable", PATIENCE, standby).await?;
    Ok(site)
}

fn name(number: usize) -> String {
    format!("web-{number}")
}

/// Power comes back, the API server refuses connections: how long until everything is the kubelet's.
async fn start(table: &mut Table) -> Result<(), String> {
    let mut site = site_with(NODE_FULL).await?;
    site.api.go(Mode::Down).await;
    site.power_cut().map_err(|why| why.to_string())?;
    site.runtime.restart().map_err(|why| why.to_string())?;
    let sources: Vec<PathBuf> =
        (0..NODE_FULL).map(|n| site.etc(&format!("inactive-manifests/{NAMESPACE}_{}.yaml", name(n)))).collect();
    let bare_dir = site.etc("bare");
    fs::create_dir(&bare_dir).map_err(|why| why.to_string())?;
    let (mut times, mut bare, mut memory) = (Vec::new(), Vec::new(), 0);
    for _ in 0..STARTS {
        let begin = Instant::now();
        let mut agent = Process::start(&site)?;
        // Written when the pass that activated them has ended, so after the fsync.
        let report = site.config.node.report_file();
        agent.until("its first pass has ended", || report.exists()).await?;
        times.push(begin.elapsed());
        let active = (0..NODE_FULL).filter(|n| site.is_active(&name(*n))).count();
        if active != NODE_FULL {
            return Err(format!("{active} of {NODE_FULL} are active after the first pass"));
        }
        tokio::time::sleep(QUIET).await;
        memory = memory.max(agent.anonymous_memory()?);
        drop(agent);
        let begin = Instant::now();
        let done = Command::new(PROGRAM).arg("--version").stdout(Stdio::null()).status();
        if !done.is_ok_and(|status| status.success()) {
            return Err(format!("{PROGRAM} --version failed"));
        }
        link_bare(&bare_dir, &sources).map_err(|why| why.to_string())?;
        bare.push(begin.elapsed());
        clear(&bare_dir).map_err(|why| why.to_string())?;
        clear(&site.config.node.manifests_dir).map_err(|why| why.to_string())?;
        fs::remove_dir_all(&site.config.node.run_dir).map_err(|why| why.to_string())?;
    }
    let what = format!("process start to {NODE_FULL} active manifests durable, API refused");
    table.beside(&what, median(&mut times), "--version, the links and one fsync", median(&mut bare), "≤ 50 ms");
    let memory = format!("{memory} KiB");
    table.add(&format!("RssAnon of it with {NODE_FULL} checkpoints"), &memory, "", "", "≤ 12 MiB");
    Ok(())
}

/// The outage is known, the kubelet blind, pods die one by one.
async fn events(table: &mut Table) -> Result<(), String> {
    let mut times = Vec::new();
    let mut bare = Vec::new();
    for _ in 0..ROUNDS {
        let site = site_with(DEATHS).await?;
        site.api.go(Mode::Down).await;
        site.wait("the outage is known", PATIENCE, |s| s.status().api.starts_with("unavailable")).await?;
        site.kubelet.restart().map_err(|why| why.to_string())?;
        site.wait("the kubelet is blind", PATIENCE, |s| s.status().kubelet == "blind").await?;
        let bare_dir = site.etc("bare");
        fs::create_dir(&bare_dir).map_err(|why| why.to_string())?;
        for number in 0..DEATHS {
            tokio::time::sleep(QUIET).await;
            times.push(death(&site, &name(number)).await?);
            let source = site.etc(&format!("inactive-manifests/{NAMESPACE}_{}.yaml", name(number)));
            let begin = Instant::now();
            link_bare(&bare_dir, &[source]).map_err(|why| why.to_string())?;
            bare.push(begin.elapsed());
            clear(&bare_dir).map_err(|why| why.to_string())?;
        }
        site.assert_no_unexpected();
    }
    for (percent, budget) in [(50, ""), (99, "≤ 50 ms")] {
        let what = format!("runtime's event to active manifest durable, p{percent} of {}", times.len());
        let beside = format!("a link and an fsync, p{percent}");
        table.beside(&what, percentile(&mut times, percent), &beside, percentile(&mut bare, percent), budget);
    }
    println!("longest: {}", shown(percentile(&mut times, 100)));
    Ok(())
}

/// One pod's sandbox dies. Its checkpoint is durable when the pass that linked it has told of itself.
async fn death(site: &Site, pod: &str) -> Result<Duration, String> {
    let report = site.config.node.report_file();
    let full = format!("{NAMESPACE}/{pod}");
    let begin = {
        let mut machine = site.kubelet.machine().lock();
        let id = machine.ready(&full).next().map(|s| s.id.clone()).ok_or_else(|| format!("{full} does not run"))?;
        let begin = Instant::now();
        machine.stop_sandbox(&id);
        begin
    };
    until(&format!("{pod} is active"), || site.is_active(pod)).await?;
    let before = inode(&report);
    until("the pass has ended", || inode(&report) != before).await?;
    Ok(begin.elapsed())
}

fn inode(path: &Path) -> Option<(u64, i64)> {
    fs::metadata(path).ok().map(|meta| (meta.ino(), meta.mtime_nsec()))
}

async fn until(what: &str, so: impl Fn() -> bool) -> Result<(), String> {
    let begin = Instant::now();
    while !so() {
        if begin.elapsed() > PATIENCE {
            return Err(format!("never: {what}"));
        }
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// The program as it is shipped, but for static linking.
struct Process(Child);

impl Process {
    fn start(site: &Site) -> Result<Self, String> {
        let node = &site.config.node;
        let argument = |flag: &str, path: &Path| format!("--{flag}={}", path.display());
        let child = Command::new(PROGRAM)
            .arg("run")
            .args([format!("--node-name={NODE}"), format!("--namespace={NAMESPACE}"), "--listen=".to_owned()])
            .arg(format!("--container-runtime-endpoint={}", site.runtime.endpoint()))
            .args([
                argument("manifests-dir", &node.manifests_dir),
                argument("etc-dir", &node.etc_dir),
                argument("kubelet-dir", &node.kubelet_dir),
                argument("kubelet-kubeconfig", &site.root().join("kubelet.conf")),
                argument("run-dir", &node.run_dir),
                argument("lock-file", &node.lock_file),
                argument("probe-socket", &site.root().join("probe.sock")),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|why| format!("{PROGRAM}: {why}"))?;
        Ok(Self(child))
    }

    async fn until(&mut self, what: &str, so: impl Fn() -> bool) -> Result<(), String> {
        let waited = until(what, so).await;
        match self.0.try_wait() {
            Ok(Some(status)) => Err(format!("the agent ended: {status}; run {PROGRAM} by hand to see why")),
            _ => waited,
        }
    }

    /// KiB.
    fn anonymous_memory(&self) -> Result<u64, String> {
        let path = format!("/proc/{}/status", self.0.id());
        let text = fs::read_to_string(&path).map_err(|why| format!("{path}: {why}"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).ok_or(format!("{path} has no RssAnon"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
