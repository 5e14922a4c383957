//! SHA-256 over the file, by those who could do it.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sha2::Digest;

use crate::best;
use crate::table::{Table, shown};

/// The one that is used, once.
pub fn ours(file: &Path) -> Result<Duration, String> {
    let mut hash = sha2::Sha256::new();
    read(file, |piece| hash.update(piece))
}

/// The others, beside it.
pub fn others(table: &mut Table, file: &Path) -> Result<(), String> {
    let used = best(|| ours(file))?;
    let lc = best(|| {
        let mut hash = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        read(file, |piece| hash.update(piece))
    })?;
    let tool = best(|| {
        let begin = Instant::now();
        let ended =
            Command::new("sha256sum").arg(file).stdout(Stdio::null()).status().map_err(|why| why.to_string())?;
        ended.success().then(|| begin.elapsed()).ok_or("sha256sum failed".to_owned())
    })?;
    table.add("SHA-256 of 1 GiB, read in pieces: sha2", &shown(used), "", "", "");
    for (what, took) in [("the same by aws-lc-rs", lc), ("the same by sha256sum", tool)] {
        let ratio = used.as_secs_f64() / took.as_secs_f64();
        table.add(what, &shown(took), "sha2", &format!("{ratio:.2} of its speed"), "");
    }
    Ok(())
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
