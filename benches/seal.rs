//! `cargo bench --bench seal`: how fast an archive is sealed, beside the cipher alone and beside what a user would take
//! instead, in the same run, all in memory; and how much memory it takes. No time makes it fail; only what goes wrong does.

#[allow(dead_code, reason = "the other bench uses the rest")]
#[path = "budgets/table.rs"]
mod table;

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use jiff::Timestamp;
use pod_checkpointer::seal::{Recipient, seal, unseal};
use rcgen::{CertificateParams, KeyPair};
use table::Table;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const CHUNK: usize = 64 << 10;

fn main() -> ExitCode {
    let mut table = Table::default();
    match measure(&mut table) {
        Ok(()) => {
            table.print();
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(table: &mut Table) -> Result<(), String> {
    let key = KeyPair::generate().map_err(|why| why.to_string())?;
    let certificate = CertificateParams::new(Vec::new()).and_then(|params| params.self_signed(&key));
    let certificate = certificate.map_err(|why| why.to_string())?.pem();
    let recipient = Recipient::from_pem(certificate.as_bytes(), Timestamp::now()).map_err(|why| why.to_string())?;
    // First, while nothing else has taken memory.
    memory(table, &recipient)?;
    speed(table, &recipient, &certificate, &key.serialize_pem()).map_err(|why| why.to_string())
}

/// KiB of the pieces that may be under way, which a small archive does not all need.
const BUFFERS: u64 = 5 << 10;

/// Peak memory for a small archive, and for a large one.
fn memory(table: &mut Table, recipient: &Recipient) -> Result<(), String> {
    let peak = |size: u64| {
        // Forgets the peak until now.
        std::fs::write("/proc/self/clear_refs", "5").map_err(|why| format!("/proc/self/clear_refs: {why}"))?;
        seal(recipient, &mut io::repeat(7).take(size), &mut io::sink(), &mut |_| {}).map_err(|why| why.to_string())?;
        let status = std::fs::read_to_string("/proc/self/status").map_err(|why| why.to_string())?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().map_err(|why| format!("VmHWM: {why}"))
    };
    let (small, large) = (peak(10 * MIB)?, peak(2 * GIB)?);
    let growth = large.saturating_sub(small);
    table.add("peak RSS sealing 2 GiB", &format!("{large} KiB"), &format!("{small} KiB for 10 MiB"), "", "constant");
    if growth > BUFFERS { Err(format!("memory grew by {growth} KiB from 10 MiB to 2 GiB")) } else { Ok(()) }
}

fn speed(table: &mut Table, recipient: &Recipient, certificate: &str, key: &str) -> io::Result<()> {
    let dir = tempfile::Builder::new().tempdir_in(if Path::new("/dev/shm").is_dir() { "/dev/shm" } else { "." })?;
    let path = |name: &str| dir.path().join(name);
    let (plain, sealed) = (path("plain"), path("sealed"));
    fill(&plain)?;
    std::fs::write(path("tls.crt"), certificate)?;
    let cipher = best(|| Ok(cipher_alone()))?;
    let core = best(|| {
        let source = &mut io::repeat(7).take(GIB);
        seal(recipient, source, &mut io::sink(), &mut |_| {}).map_err(io::Error::other)
    })?;
    table.beside(&named("seal 1 GiB, without files", core), core, "the cipher alone", cipher, "1 GiB/s");
    let sealing = best(|| {
        seal(recipient, &mut File::open(&plain)?, &mut File::create(&sealed)?, &mut |_| {}).map_err(io::Error::other)
    })?;
    let opening = best(|| {
        let mut source = io::BufReader::with_capacity(4 * CHUNK, File::open(&sealed)?);
        let mut out = File::create(path("opened"))?;
        unseal(key.as_bytes(), None, &mut source, &mut out, &mut |_| {}).map_err(io::Error::other)
    })?;
    std::fs::remove_file(path("opened"))?;
    table.beside(&named("seal 1 GiB", sealing), sealing, "the cipher alone", cipher, "");
    table.beside(&named("open 1 GiB", opening), opening, "the cipher alone", cipher, "");
    let (plain, out) = (plain.display(), path("other").display().to_string());
    for (name, command) in [
        ("age -r", format!("age -r $(cat {id}.pub) -o {out} {plain}", id = path("id").display())),
        (
            "openssl cms",
            format!(
                "openssl cms -encrypt -binary -stream -aes-256-gcm -outform DER -in {plain} -out {out} -recip {}",
                path("tls.crt").display()
            ),
        ),
    ] {
        if name == "age -r"
            && !shell(&format!("age-keygen -o {0} 2>/dev/null && age-keygen -y {0} > {0}.pub", path("id").display()))
        {
            println!("age is not installed: no figure beside it");
            continue;
        }
        let took = best(|| {
            let _ = std::fs::remove_file(&out);
            if shell(&command) { Ok(0) } else { Err(io::Error::other(format!("{name} failed, or is not installed"))) }
        });
        match took {
            Ok(took) => table.beside("seal 1 GiB", sealing, name, took, ""),
            Err(why) => println!("{why}: no figure beside it"),
        }
    }
    Ok(())
}

fn named(what: &str, took: Duration) -> String {
    format!("{what} ({:.2} GiB/s)", 1.0 / took.as_secs_f64())
}

/// What nobody can compress or share.
fn fill(path: &Path) -> io::Result<()> {
    let mut block = vec![0; usize::try_from(MIB).map_err(io::Error::other)?];
    let mut file = File::create(path)?;
    for _ in 0..GIB / MIB {
        fastrand::fill(&mut block);
        file.write_all(&block)?;
    }
    Ok(())
}

/// 1 GiB by chunks of age's length, in place.
fn cipher_alone() -> u64 {
    // A key of the right length, and in place, it cannot fail.
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &[7; 32]).expect("32 bytes are a key"));
    let mut chunk = vec![0; CHUNK];
    for number in 0..GIB / CHUNK as u64 {
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&number.to_be_bytes());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut chunk).expect("a chunk is short");
        drop(std::hint::black_box(tag));
    }
    GIB
}

/// The best of three: what disturbs only makes it slower.
fn best(mut run: impl FnMut() -> io::Result<u64>) -> io::Result<Duration> {
    let mut least = Duration::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        run()?;
        least = least.min(start.elapsed());
    }
    Ok(least)
}

fn shell(command: &str) -> bool {
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
