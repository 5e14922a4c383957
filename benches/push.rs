//! `cargo bench --bench push`: an archive's way to a registry on this machine, beside SHA-256 over the same file and what
//! others take for it, all in one run. A registry hashes too and shares the cores, so a sink that only swallows stands
//! beside it: its figure is the client's own. No time makes it fail; only what goes wrong does.

#[path = "push/hashes.rs"]
mod hashes;
#[path = "push/others.rs"]
mod others;
#[path = "push/sink.rs"]
mod sink;
#[path = "budgets/table.rs"]
#[allow(dead_code, reason = "shared with the other benches, which use all of it")]
mod table;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pod_checkpointer::archive::metadata::{Engine, Metadata};
use pod_checkpointer::image::push::push;
use pod_checkpointer::registry::{ImageReference, Registry, RegistryOptions};
use table::{Table, shown};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    match measure() {
        Ok(table) => {
            table.print();
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<Table, String> {
    let mut table = Table::default();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).map_err(|why| why.to_string())?;
    let archive = dir.path().join("archive.tar");
    fill(&archive, GIB).map_err(|why| why.to_string())?;
    hashes::others(&mut table, &archive)?;
    let sink = sink::Sink::start()?;
    let registry = others::Distribution::start(dir.path())?;
    // In turn, so that what else the machine does falls on all of them alike.
    let (mut alone, mut swallowed, mut kept) = (Duration::MAX, Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        alone = alone.min(hashes::ours(&archive)?);
        swallowed = swallowed.min(pushed(&archive, &sink.authority())?);
        if let Some(registry) = &registry {
            kept = kept.min(pushed(&archive, registry.authority())?);
        }
    }
    let mut compare = |what: &str, took: Duration, budget: &str| {
        let ratio = alone.as_secs_f64() / took.as_secs_f64();
        table.add(what, &shown(took), &format!("{} SHA-256 alone", shown(alone)), &format!("{ratio:.2}"), budget);
    };
    compare("push 1 GiB to a sink that does not hash", swallowed, ">= 0.6 of its speed");
    match &registry {
        Some(registry) => {
            compare("push 1 GiB to docker-registry, which hashes and writes", kept, "");
            others::buildah(&mut table, dir.path(), &archive, registry.authority(), kept)?;
        }
        None => {
            println!("docker-registry is not installed (apt-get install docker-registry): only the sink was measured");
        }
    }
    let small = dir.path().join("small.tar");
    fill(&small, 10 * MIB).map_err(|why| why.to_string())?;
    fill(&archive, 2 * GIB).map_err(|why| why.to_string())?;
    let (at_10_mib, at_2_gib) = (peak(&small, &sink)?, peak(&archive, &sink)?);
    let figure = format!("{at_2_gib} KiB");
    table.add("peak RSS while 2 GiB are pushed", &figure, &format!("{at_10_mib} KiB for 10 MiB"), "", "constant");
    Ok(table)
}

/// The shortest of some rounds: what disturbs a machine only ever makes it slower.
fn best(mut run: impl FnMut() -> Result<Duration, String>) -> Result<Duration, String> {
    let mut least = run()?;
    for _ in 1..ROUNDS {
        least = least.min(run()?);
    }
    Ok(least)
}

/// Not sparse, and no two pages alike.
fn fill(path: &Path, size: u64) -> io::Result<()> {
    let mut random = fastrand::Rng::with_seed(size);
    let mut file = File::create(path)?;
    let mut piece = vec![0; 1 << 20];
    for _ in 0..size / MIB {
        random.fill(&mut piece);
        file.write_all(&piece)?;
    }
    // Otherwise the disk would be busy with it while something is measured.
    file.sync_all()
}

fn pushed(archive: &Path, authority: &str) -> Result<Duration, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|why| why.to_string())?;
    let options = RegistryOptions { plain_http: vec![authority.to_owned()], ..RegistryOptions::default() };
    let registry = Registry::new(options).map_err(|why| why.to_string())?;
    let to = ImageReference::parse(&format!("{authority}/bench/archive:latest")).map_err(|why| why.to_string())?;
    let file = File::open(archive).map_err(|why| why.to_string())?;
    let begin = Instant::now();
    let pushed = runtime.block_on(push(&registry, &to, file, &metadata(), &|_| {}));
    pushed.map(|_| begin.elapsed()).map_err(|why| why.to_string())
}

/// The most memory of this process, sink included, during one push, in KiB.
fn peak(archive: &Path, sink: &sink::Sink) -> Result<u64, String> {
    // proc(5): 5 resets the peak.
    std::fs::write("/proc/self/clear_refs", "5").map_err(|why| format!("/proc/self/clear_refs: {why}"))?;
    pushed(archive, &sink.authority())?;
    let status = std::fs::read_to_string("/proc/self/status").map_err(|why| why.to_string())?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    line.trim().trim_end_matches(" kB").parse().map_err(|_| format!("{line}: no number"))
}

fn metadata() -> Metadata {
    Metadata {
        engine: Engine::Containerd,
        namespace: "bench".to_owned(),
        pod: "pod".to_owned(),
        pod_uid: None,
        container: "container".to_owned(),
        runtime: "runc".to_owned(),
        image_name: "bench".to_owned(),
        image_ref: "bench".to_owned(),
        image: "bench".to_owned(),
        created: None,
        checkpointed: None,
    }
}
