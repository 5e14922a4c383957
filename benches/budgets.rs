//! `cargo bench --bench budgets`: what the agent takes, beside what the same costs bare, measured in the same run on the
//! same disk. Machines are noisy and budgets are for quiet ones, so no time makes it fail; only what goes wrong does.

#[path = "../tests/it/sanitize/pods.rs"]
#[allow(dead_code, reason = "tests use the rest")]
mod pods;
#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "tests use the rest")]
mod support;

#[path = "budgets/agent.rs"]
mod agent;
#[path = "budgets/disk.rs"]
mod disk;
#[path = "budgets/pure.rs"]
mod pure;
#[path = "budgets/table.rs"]
mod table;

use std::process::ExitCode;

use table::Table;

/// Checkpoints of a node, in every line that has a number of them.
const NODE_FULL: usize = 20;

fn main() -> ExitCode {
    on_disk();
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

/// Everything goes where the build is, which is a disk where `/tmp` may be none; unless the paths of sockets there would be
/// too long for the kernel.
fn on_disk() {
    const SHORT: usize = 70;
    let dir = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    if dir.as_os_str().len() < SHORT {
        // An earlier choice of somebody else's stands.
        let _ = tempfile::env::override_temp_dir(dir);
    }
}

fn measure(table: &mut Table) -> Result<(), String> {
    pure::measure(table)?;
    disk::measure(table)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(agent::measure(table))
}
