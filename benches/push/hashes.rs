//! SHA-256 over the file, by those who could do it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::Digest;

use crate::best;
use crate::table::{Table, shown};

/// The time of the one that is used.
pub fn measure(table: &mut Table, file: &Path) -> Result<Duration, String> {
    let mut ours = sha2::Sha256::new();
    let alone = best(|| read(file, |piece| ours.update(piece)))?;
    let mut other = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    let lc = best(|| read(file, |piece| other.update(piece)))?;
    let tool = best(|| {
        let begin = Instant::now();
        let ended =
            Command::new("sha256sum").arg(file).stdout(Stdio::null()).status().map_err(|why| why.to_string())?;
        ended.success().then(|| begin.elapsed()).ok_or("sha256sum failed".to_owned())
    })?;
    table.add("SHA-256 of 1 GiB, read in pieces: sha2", &shown(alone), "", "", "");
    for (what, took) in [("the same by aws-lc-rs", lc), ("the same by sha256sum", tool)] {
        let ratio = alone.as_secs_f64() / took.as_secs_f64();
        table.add(what, &shown(took), "sha2", &format!("{ratio:.2}"), "");
    }
    Ok(alone)
}

fn read(path: &Path, mut each: impl FnMut(&[u8])) -> Result<Duration, String> {
    let begin = Instant::now();
    let mut file = File::open(path).map_err(|why| why.to_string())?;
    let mut piece = vec![0; 1 << 20];
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(begin.elapsed()),
            Ok(length) => each(&piece[..length]),
            Err(why) => return Err(why.to_string()),
        }
    }
}
