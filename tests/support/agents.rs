//! The real agent, each instance in a thread and a runtime of its own, as its process would have them.

use std::thread::JoinHandle;

use pod_checkpointer::agent;
use pod_checkpointer::config::Config;
use tokio::sync::oneshot;

/// An instance that runs; dropping it kills it.
pub struct RunningAgent {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<anyhow::Result<()>>>,
}

impl RunningAgent {
    /// Starts one.
    pub fn start(config: Config) -> Self {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(agent::run_until(config, async {
                // Dropping the sender stops it too.
                let _ = stopped.await;
            }))
        });
        Self { stop: Some(stop), thread: Some(thread) }
    }

    /// It ended by itself.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Its process is gone when this returns. Panics where it had failed or panicked.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        drop(self.stop.take());
        let Some(thread) = self.thread.take() else { return };
        let outcome = thread.join();
        if !std::thread::panicking() {
            outcome.expect("the agent does not panic").expect("the agent does not give up");
        }
    }
}

impl Drop for RunningAgent {
    fn drop(&mut self) {
        self.end();
    }
}
