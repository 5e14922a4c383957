//! The loop of every port and socket that this program listens on: so many connections at a time, each in a task of its own;
//! the next one waits in the kernel's queue. What a connection carries, and how long it may last, is its handler's.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Out of file descriptors: accepting again at once would spin.
const PAUSE: Duration = Duration::from_millis(500);

/// Accepts until dropped. `most` connections are open at a time, their tasks in `open`: who owns the set ends them with it, or
/// lets them finish. `handle` makes a connection's task; without one the connection is closed unheard.
pub async fn run<C, A, T>(
    most: usize,
    open: &mut JoinSet<()>,
    accept: impl Fn() -> A,
    mut handle: impl FnMut(C) -> Option<T>,
) -> Infallible
where
    A: Future<Output = io::Result<C>>,
    T: Future<Output = ()> + Send + 'static,
{
    let free = Arc::new(Semaphore::new(most));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&free).acquire_owned().await else { continue };
        // What has ended is forgotten, or the set would only grow.
        while open.try_join_next().is_some() {}
        match accept().await {
            Ok(connection) => {
                let Some(task) = handle(connection) else { continue };
                open.spawn(async move {
                    task.await;
                    drop(permit);
                });
            }
            Err(why) => {
                tracing::debug!(error = %why, "cannot accept a connection");
                sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::{Instant, timeout};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    /// How many connections are accepted while each of them lasts so long, and how many tasks there are in the end.
    async fn accepted(most: usize, lasts: Duration) -> (usize, usize) {
        let (accepted, mut open) = (AtomicUsize::new(0), JoinSet::new());
        let accept = || {
            accepted.fetch_add(1, Ordering::Relaxed);
            ready(Ok(()))
        };
        let running = run(most, &mut open, accept, |()| Some(sleep(lasts)));
        assert!(timeout(LONG, running).await.is_err(), "it never ends by itself");
        (accepted.into_inner(), open.len())
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_at_a_time_and_the_next_when_one_ends() {
        assert_eq!(accepted(3, Duration::MAX).await, (3, 3));
        let (accepted, open) = accepted(3, Duration::from_secs(10)).await;
        assert!((15..=21).contains(&accepted), "{accepted} in a minute of ten seconds each");
        assert!(open <= 3, "{open} of which most have ended");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_turned_away_takes_no_place() {
        let (mut open, left) = (JoinSet::new(), AtomicUsize::new(100));
        let accept = async || match left.load(Ordering::Relaxed) {
            0 => pending().await,
            left_now => {
                left.store(left_now - 1, Ordering::Relaxed);
                Ok(())
            }
        };
        let running = run(1, &mut open, accept, |()| None::<std::future::Ready<()>>);
        assert!(timeout(LONG, running).await.is_err());
        assert_eq!((left.into_inner(), open.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_to_accept_is_tried_again_without_spinning() {
        let (tries, mut open, began) = (AtomicUsize::new(0), JoinSet::new(), Instant::now());
        let accept = || {
            tries.fetch_add(1, Ordering::Relaxed);
            ready(Err::<(), _>(io::Error::other("too many open files")))
        };
        let running = run(1, &mut open, accept, |()| Some(ready(())));
        assert!(timeout(LONG, running).await.is_err());
        let most = began.elapsed().as_millis() / PAUSE.as_millis() + 1;
        assert!((2..=most).contains(&(tries.into_inner() as u128)));
    }
}
