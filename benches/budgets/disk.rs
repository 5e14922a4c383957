//! What is written, beside the system calls that nobody could do with fewer of.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pod_checkpointer::agent::store::{Layout, Store};
use pod_checkpointer::pod::checkpoint::Tree;
use pod_checkpointer::pod::key::PodKey;
use serde_json::Value;
use tempfile::TempDir;

use crate::NODE_FULL;
use crate::support::checkpoints::{Checkpoint, checkpoint, key, with};
use crate::table::{Table, median, typical};

const ROUNDS: usize = 21;

/// On the disk that holds the build, which is no tmpfs on most machines.
pub fn directory() -> Result<TempDir, String> {
    TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).map_err(|why| format!("{}: {why}", env!("CARGO_TARGET_TMPDIR")))
}

pub fn measure(table: &mut Table) -> Result<(), String> {
    let dir = directory()?;
    let layout = Layout { etc: dir.path().join("etc"), manifests: dir.path().join("etc/manifests") };
    let store = Store::open(&layout).map_err(|why| why.to_string())?;
    let keys: Vec<PodKey> = (0..NODE_FULL).map(|number| key(&format!("ns/web-{number}"))).collect();
    save(table, &store, &keys, dir.path())?;
    activate(table, &layout, &keys, dir.path())?;
    load(table, &layout)
}

/// A manifest, and two volumes of three files in all.
fn generation(of: &PodKey, number: usize) -> Checkpoint {
    let one = with(
        checkpoint(of, &format!("uid-{number}")),
        Tree::Secrets,
        "tls",
        &[("tls.key", &key_text(number)), ("tls.crt", &key_text(number))],
    );
    with(one, Tree::ConfigMaps, "settings", &[("settings.yaml", &key_text(number))])
}

fn key_text(number: usize) -> String {
    format!("{number:04}").repeat(400)
}

fn save(table: &mut Table, store: &Store, keys: &[PodKey], dir: &Path) -> Result<(), String> {
    let bare_dir = dir.join("bare");
    fs::create_dir(&bare_dir).map_err(|why| why.to_string())?;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for (round, key) in (0..2).flat_map(|round| keys.iter().map(move |key| (round, key))) {
        let checkpoint = generation(key, round);
        let start = Instant::now();
        store.save(key, &checkpoint, 1).map_err(|why| why.to_string())?;
        ours.push(start.elapsed());
        let start = Instant::now();
        write_bare(&bare_dir, &checkpoint).map_err(|why| why.to_string())?;
        bare.push(start.elapsed());
    }
    let (ours, bare) = (median(&mut ours), median(&mut bare));
    table.beside(
        "save a checkpoint, 3 assets in 2 volumes",
        ours,
        "write, fsync, rename of each file, fsync of one directory",
        bare,
        "",
    );
    let unchanged = generation(&keys[0], 1);
    let again = typical(Duration::from_millis(500), || store.save(&keys[0], &unchanged, 1));
    table.beside("save it unchanged", again, "the same", bare, "no write");
    Ok(())
}

fn write_bare(dir: &Path, checkpoint: &Checkpoint) -> std::io::Result<()> {
    let manifest = checkpoint.manifest.to_string();
    let assets = checkpoint.volumes.iter().flat_map(|v| v.content.files.values().map(|file| file.bytes.as_slice()));
    for (number, bytes) in assets.chain([manifest.as_bytes()]).enumerate() {
        let temporary = dir.join(".temporary");
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, dir.join(number.to_string()))?;
    }
    File::open(dir)?.sync_all()
}

fn activate(table: &mut Table, layout: &Layout, keys: &[PodKey], dir: &Path) -> Result<(), String> {
    let bare_dir = dir.join("links");
    fs::create_dir(&bare_dir).map_err(|why| why.to_string())?;
    let sources: Vec<PathBuf> =
        keys.iter().map(|key| layout.etc.join(format!("inactive-manifests/{}.yaml", key.file_stem()))).collect();
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // As after a start: nothing is known of the disk.
        let store = Store::open(layout).map_err(|why| why.to_string())?;
        let start = Instant::now();
        let outcomes = store.activate(keys);
        ours.push(start.elapsed());
        all_done(outcomes)?;
        let start = Instant::now();
        link_bare(&bare_dir, &sources).map_err(|why| why.to_string())?;
        bare.push(start.elapsed());
        all_done(store.deactivate(keys))?;
        clear(&bare_dir).map_err(|why| why.to_string())?;
    }
    let (ours, bare) = (median(&mut ours), median(&mut bare));
    table.beside(&format!("activate {NODE_FULL} checkpoints, durable"), ours, "the links and one fsync", bare, "");
    Ok(())
}

/// The system calls alone.
pub fn link_bare(dir: &Path, sources: &[PathBuf]) -> std::io::Result<()> {
    for (number, source) in sources.iter().enumerate() {
        fs::hard_link(source, dir.join(number.to_string()))?;
    }
    File::open(dir)?.sync_all()
}

/// Empties the directory, durably.
pub fn clear(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        fs::remove_file(entry?.path())?;
    }
    File::open(dir)?.sync_all()
}

fn all_done<E: std::fmt::Display>(outcomes: Vec<(PodKey, Result<(), E>)>) -> Result<(), String> {
    outcomes.into_iter().try_for_each(|(key, done)| done.map_err(|why| format!("{key}: {why}")))
}

fn load(table: &mut Table, layout: &Layout) -> Result<(), String> {
    let store = Store::at(layout);
    let found = store.load().map_err(|why| why.to_string())?;
    if found.checkpoints.len() != NODE_FULL || !found.unreadable.is_empty() {
        return Err(format!("{} checkpoints on disk, unreadable: {:?}", found.checkpoints.len(), found.unreadable));
    }
    let mut texts = Vec::new();
    for entry in fs::read_dir(layout.etc.join("inactive-manifests")).map_err(|why| why.to_string())? {
        texts.push(fs::read(entry.map_err(|why| why.to_string())?.path()).map_err(|why| why.to_string())?);
    }
    let within = Duration::from_secs(1);
    let loaded = typical(within, || store.load());
    let parsed = typical(within, || {
        texts.iter().map(|text| serde_yaml::from_slice::<Value>(text).is_ok()).filter(|ok| *ok).count()
    });
    let against = format!("parsing the same {} manifests", texts.len());
    table.beside(&format!("load {NODE_FULL} checkpoints, each with its previous one"), loaded, &against, parsed, "");
    Ok(())
}
