//! What a user would take instead, where it is installed: the distribution project's registry, and buildah.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::table::{Table, shown};

/// A registry that keeps what it gets on disk, and hashes it.
pub struct Distribution {
    authority: String,
    process: Child,
}

impl Distribution {
    /// None if it is not installed.
    pub fn start(dir: &Path) -> Result<Option<Self>, String> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(|why| why.to_string())?;
        let store = dir.join("registry");
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: '{free}', secret: bench}}\n",
            store.display()
        );
        let path = dir.join("registry.yml");
        fs::write(&path, config).map_err(|why| why.to_string())?;
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(path).stdout(Stdio::null()).stderr(Stdio::null());
        let process = match command.spawn() {
            Ok(process) => process,
            Err(why) if why.kind() == ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(format!("docker-registry: {why}")),
        };
        let started = Self { authority: free.to_string(), process };
        let begin = Instant::now();
        while TcpStream::connect(free).is_err() {
            if begin.elapsed() > Duration::from_secs(20) {
                return Err("docker-registry does not listen".to_owned());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Some(started))
    }

    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl Drop for Distribution {
    fn drop(&mut self) {
        // It has nothing to lose.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The way of the runtimes' documentation: an image from scratch, the archive added to it, committed and pushed.
pub fn buildah(table: &mut Table, dir: &Path, archive: &Path, to: &str, ours: Duration) -> Result<(), String> {
    let root = dir.join("buildah");
    let run = |arguments: &[&str]| -> std::io::Result<Output> {
        let mut command = Command::new("buildah");
        command.arg("--root").arg(root.join("root")).arg("--runroot").arg(root.join("run"));
        command.args(["--storage-driver", "vfs"]).args(arguments).output()
    };
    let begin = Instant::now();
    let archive = archive.to_string_lossy();
    let destination = format!("docker://{to}/bench/buildah:latest");
    let steps: [&[&str]; 5] = [
        &["from", "--name", "bench", "scratch"],
        // As one file: what unpacks it would need what it holds to be a tar.
        &["add", "bench", &archive, "/"],
        &["config", "--annotation", "org.criu.checkpoint.container.name=container", "bench"],
        &["commit", "--quiet", "bench", "bench-image"],
        &["push", "--quiet", "--tls-verify=false", "bench-image", &destination],
    ];
    for step in steps {
        match run(step) {
            Ok(output) if output.status.success() => {}
            Ok(output) => {
                println!("buildah {} fails: {}", step[0], String::from_utf8_lossy(&output.stderr).trim());
                return Ok(());
            }
            Err(why) if why.kind() == ErrorKind::NotFound => {
                println!("buildah is not installed (apt-get install buildah)");
                return Ok(());
            }
            Err(why) => return Err(format!("buildah: {why}")),
        }
    }
    let took = begin.elapsed();
    let ratio = took.as_secs_f64() / ours.as_secs_f64();
    table.add("the same by buildah, to the same registry", &shown(took), &shown(ours), &format!("{ratio:.1}"), "");
    Ok(())
}
