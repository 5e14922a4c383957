//! `cargo run --example outage`: a node loses power while its API server is away. The real agent goes through it against
//! an API server, a container runtime and a kubelet in this process, in a temporary directory: no root, no cluster, no
//! network but loopback. Exits 1 where a stage does not come out as told. `-- --log` shows the agent's log too.

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, unused_imports, reason = "tests use the rest")]
mod support;

#[path = "outage/stages.rs"]
mod stages;
#[path = "outage/teller.rs"]
mod teller;

use std::process::ExitCode;
use std::time::Duration;

/// The whole story takes less than this, or has failed.
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit_on_panic();
    if std::env::args().any(|arg| arg == "--log") {
        tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_writer(std::io::stderr).init();
    }
    match tokio::time::timeout(LIMIT, stages::tell()).await {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(why)) => failed(&why),
        Err(_) => failed(&format!("the story did not end within {LIMIT:?}")),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("\n✗ {why}");
    ExitCode::FAILURE
}

/// A panic in any thread, the agent's among them, is a failed stage.
fn exit_on_panic() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        print(panic);
        std::process::exit(1);
    }));
}
