//! Probes without a port: a unix socket in a per-pod emptyDir, asked by `pod-checkpointer probe live|ready`. One word a
//! connection (`live` or `ready`), one line back: `ok`, or `no: <why>`.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::View;
use crate::accept_loop;
use crate::clock;

/// How long asking may take, and how long an answer is waited for.
pub const DEADLINE: Duration = Duration::from_secs(2);
const CONNECTIONS: usize = 8;
/// An answer is a line of this many bytes at most.
const LONGEST_ANSWER: u64 = 4096;

/// What a probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Question {
    /// Should the container be started again?
    Live,
    /// May this instance be trusted with the node?
    Ready,
}

impl Question {
    fn word(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ready => "ready",
        }
    }
}

/// Why the answer to a probe is not yes.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nobody answers on the socket.
    #[error("no agent answers on {path}: {source}. Does `run` use the same --probe-socket?")]
    Unreachable {
        /// Path of the socket that was asked.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// Somebody is there and says nothing in time.
    #[error("the agent behind {path} gave no answer in {} s", DEADLINE.as_secs())]
    Silent {
        /// Path of the socket that was asked.
        path: PathBuf,
    },
    /// The answer is no.
    #[error("{0}")]
    No(String),
}

/// The socket cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot make the probe socket {path}: {source}")]
pub struct BindError {
    /// Path at which it was to be.
    pub path: PathBuf,
    /// What the kernel said, or that something else is there.
    pub source: io::Error,
}

/// Makes the socket, in place of one that a dead agent left. Anything there that is no socket stays.
pub fn bind(path: &Path) -> Result<UnixListener, BindError> {
    let failed = |source| BindError { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.file_type().is_socket() => fs::remove_file(path).map_err(failed)?,
        Ok(_) => {
            return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, "something else is there; remove it")));
        }
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => return Err(failed(why)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

/// Answers probes until dropped.
pub async fn serve(listener: UnixListener, view: watch::Receiver<Arc<View>>) -> Infallible {
    let mut open = JoinSet::new();
    let handle = |(stream, _)| {
        let answered = timeout(DEADLINE, answer(stream, view.clone()));
        // Who is gone or slow has asked for nothing.
        Some(async move { drop(answered.await) })
    };
    accept_loop::run(CONNECTIONS, &mut open, || listener.accept(), handle).await
}

async fn answer(mut stream: UnixStream, view: watch::Receiver<Arc<View>>) -> io::Result<()> {
    let mut word = String::new();
    BufReader::new((&mut stream).take(16)).read_line(&mut word).await?;
    let outcome = match word.trim() {
        "live" => view.borrow().health.live(clock::now()),
        "ready" => view.borrow().health.ready(),
        _ => Err("ask live or ready".to_owned()),
    };
    let line = outcome.map_or_else(|why| format!("no: {why}\n"), |()| "ok\n".to_owned());
    stream.write_all(line.as_bytes()).await
}

/// Asks the agent behind `path`.
///
/// # Errors
/// If it says no, or nothing in [`DEADLINE`].
pub async fn ask(path: &Path, question: Question) -> Result<(), ProbeError> {
    let conversation = async {
        let mut stream = UnixStream::connect(path).await?;
        stream.write_all(format!("{}\n", question.word()).as_bytes()).await?;
        let mut line = String::new();
        stream.take(LONGEST_ANSWER).read_to_string(&mut line).await?;
        Ok(line)
    };
    let path = || path.to_owned();
    match timeout(DEADLINE, conversation).await {
        Err(_) => Err(ProbeError::Silent { path: path() }),
        Ok(Err(source)) => Err(ProbeError::Unreachable { path: path(), source }),
        Ok(Ok(line)) => match line.trim() {
            "ok" => Ok(()),
            "" => Err(ProbeError::Silent { path: path() }),
            why => Err(ProbeError::No(why.trim_start_matches("no: ").to_owned())),
        },
    }
}
