//! `cargo bench --bench retention`: a directory of many archives, cold, warm and one event, beside reading every archive whole
//! as programs without an index do, in the same run. Machines are noisy, so no time makes it fail; only what goes wrong does.

#[path = "../tests/it/retention/archives.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod archives;

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use pod_checkpointer::serve::retention::archive_dir::ArchiveDir;
use pod_checkpointer::serve::retention::metrics::RetentionMetrics;
use pod_checkpointer::serve::retention::select::{Circumstances, SelectionScope, select};
use pod_checkpointer::serve::retention::spec;

/// Archives; another number as first argument that is one.
const MANY: usize = 100_000;
/// Of them, read whole for comparison.
const WHOLE: usize = 200;
/// Bytes of memory in each, sparse.
const MEMORY: usize = 1 << 20;
const CONTAINERS: usize = 10_000;
/// Kept of each container: so many are there, until one more comes.
const KEPT: usize = MANY / CONTAINERS;

fn main() -> ExitCode {
    let many = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(MANY);
    match measure(many) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(many: usize) -> Result<(), Box<dyn std::error::Error>> {
    let base = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (dir, state) = (base.path().join("checkpoints"), base.path().join("state"));
    std::fs::create_dir(&dir)?;
    for number in 0..many {
        sparse(&dir, number)?;
    }
    println!("{many} archives of {CONTAINERS} containers, {} MiB each, sparse", MEMORY >> 20);
    let before = memory("RssAnon:")?;
    let metrics = RetentionMetrics::default();
    let mut keeper = ArchiveDir::open(&dir, Some(&state), metrics.clone())?;
    let cold = timed("cold start: every archive read once, by its headers", || {
        keeper.rescan()?;
        Ok(())
    })?;
    println!("  memory of the index: {} MiB", memory("RssAnon:")?.saturating_sub(before) >> 20);
    timed("index written down", || Ok(keeper.save()?))?;
    println!("  memory of this process at its peak: {} MiB (the DaemonSet's limit: 128 MiB)", memory("VmHWM:")? >> 20);
    drop(keeper);
    let reads = metrics.reads();
    let started = Instant::now();
    let mut keeper = ArchiveDir::open(&dir, Some(&state), metrics.clone())?;
    keeper.rescan()?;
    println!("{:>12?}  warm start: index read and every file looked at (budget: 2 s for 100000)", started.elapsed());
    if metrics.reads() != reads {
        return Err("an archive was read again".into());
    }
    let known = Circumstances::at(Timestamp::now());
    let spec = serde_json::json!({"maxCheckpointsPerContainer": KEPT});
    let policy = spec::read(&spec).map_err(|refused| format!("{refused:?}"))?.policy;
    timed("all of it held to the policy", || {
        select(keeper.index(), &policy, &known, SelectionScope::All);
        Ok(())
    })?;
    let name = sparse(&dir, many)?;
    timed("one event: a new archive, read and held to the policy", || {
        let touched = keeper.look(&[name.clone()].into())?;
        select(keeper.index(), &policy, &known, SelectionScope::Only(&touched));
        Ok(())
    })?;
    let whole = timed("for comparison: some archives read whole", || read_whole(&dir, many.min(WHOLE)))?;
    let each = |time: Duration, count: usize| {
        Ok::<_, std::num::TryFromIntError>(time.as_secs_f64() / f64::from(u32::try_from(count)?))
    };
    println!("  whole / headers, for one archive: {:.1}", each(whole, many.min(WHOLE))? / each(cold, many)?);
    Ok(())
}

fn timed<T>(
    what: &str,
    work: impl FnOnce() -> Result<T, Box<dyn std::error::Error>>,
) -> Result<Duration, Box<dyn std::error::Error>> {
    let started = Instant::now();
    work()?;
    let took = started.elapsed();
    println!("{took:>12?}  {what}");
    io::stdout().flush()?;
    Ok(took)
}

/// The same bytes as a whole archive's, with a hole for its memory.
fn sparse(dir: &Path, number: usize) -> io::Result<String> {
    let pod = format!("web-{}", number % CONTAINERS);
    let of = ["shop", pod.as_str(), "web"];
    let at =
        Timestamp::from_second(1_700_000_000 + i64::try_from(number).unwrap_or(0)).unwrap_or(Timestamp::UNIX_EPOCH);
    let (small, name) = (archives::whole(of, at, 0), archives::name(of, at));
    let header = archives::header("checkpoint/pages-1.img", MEMORY);
    let file = File::create(dir.join(&name))?;
    file.write_all_at(&header, 0)?;
    // After the empty entry of the small one's memory, which this one takes the place of.
    file.write_all_at(&small[header.len()..], (header.len() + MEMORY) as u64)?;
    Ok(name)
}

fn read_whole(dir: &Path, count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let mut buffer = vec![0; 1 << 20];
    for entry in std::fs::read_dir(dir)?.take(count) {
        let mut file = File::open(entry?.path())?;
        while file.read(&mut buffer)? > 0 {}
    }
    Ok(())
}

/// Bytes of this process, by the name of a line that the kernel has about them.
fn memory(of: &str) -> io::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(of)).unwrap_or_default();
    Ok(line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap_or(0) << 10)
}
