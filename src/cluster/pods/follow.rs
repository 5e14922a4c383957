//! The task behind [`super::PodReader`]: list everything, watch from there, and after whatever ends a watch list anew.
//! A watch is never resumed: what happened in between must not be guessed.

use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use futures::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use futures::stream::{BoxStream, SelectAll, StreamExt, unfold};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info, warn};

use super::pod_cache::{PodCache, WatchOutcome, all_same};
use super::pod_list;
use super::pod_list::{Page, PodFilter};
use super::{PodWatchTimings, ReaderConfig};
use crate::backoff::{Backoff, spread};
use crate::clock;
use crate::cluster::client::{ApiClient, Call, Verb};
use crate::cluster::error::ApiError;
use crate::cluster::identity::{ClusterMatch, Guard};
use crate::cluster::requests;
use crate::moment::BootInstant;
use crate::percent::component;
use crate::pod::snapshot::Scope;
use crate::pod::snapshot::{Answer, Api};

/// Pods a page.
const PAGE: usize = 500;
/// etcd takes objects of 1.5 MiB; JSON of a watch event may be somewhat longer.
const MAX_LINE: u64 = 8 << 20;
/// While there is no route at all.
const NO_ROUTE_RETRY: Duration = Duration::from_millis(100);

/// A namespace (or all of them), where its list ended, when its watch last spoke.
struct Followed {
    path: String,
    version: String,
    outcome: BootInstant,
}

/// A line of the watch of that place in `followed`, or why it ended.
type Line = (usize, Result<Vec<u8>, String>);

pub(super) struct Follower {
    client: ApiClient,
    filter: PodFilter,
    pace: PodWatchTimings,
    guard: Arc<Guard>,
    cache: PodCache,
    followed: Vec<Followed>,
    publish: watch::Sender<Api>,
    asks: mpsc::Receiver<oneshot::Sender<Api>>,
    pending: Vec<oneshot::Sender<Api>>,
    backoff: Backoff,
}

impl Follower {
    pub(super) fn new(
        client: ApiClient,
        config: ReaderConfig,
        guard: Arc<Guard>,
        publish: watch::Sender<Api>,
        asks: mpsc::Receiver<oneshot::Sender<Api>>,
    ) -> Self {
        let paths = match config.scope {
            Scope::All => vec![requests::pods_path(None)],
            Scope::Only(all) => all.iter().map(|ns| requests::pods_path(Some(ns.as_str()))).collect(),
        };
        let follow = |path| Followed { path, version: String::new(), outcome: BootInstant::default() };
        Self {
            client,
            filter: PodFilter { node: config.node, keep_annotations: config.keep_annotations },
            backoff: Backoff::new(config.pace.backoff.0, config.pace.backoff.1),
            pace: config.pace,
            guard,
            cache: PodCache::default(),
            followed: paths.into_iter().map(follow).collect(),
            publish,
            asks,
            pending: Vec::new(),
        }
    }

    /// Until the handle is dropped. `first` is told when something was published.
    pub(super) async fn run(mut self, first: oneshot::Sender<()>) {
        let mut first = Some(first);
        let patient_until = Instant::now() + self.pace.boot_patience;
        loop {
            self.guard.look_again();
            let result = self.list().await;
            if let (Some(_), Err(ApiError::NoRoute(_))) = (&first, &result)
                && Instant::now() < patient_until
            {
                sleep(NO_ROUTE_RETRY).await;
                continue;
            }
            self.tell(&result);
            if let Some(first) = first.take() {
                // Nobody waits only where the handle is already gone.
                let _ = first.send(());
            }
            let longest =
                if result.as_ref().is_err_and(ApiError::is_refusal) { self.pace.refused } else { self.pace.backoff.1 };
            if result.is_ok() {
                let opened = Instant::now();
                let why = self.watch().await;
                debug!(%why, "listing pods anew");
                if opened.elapsed() >= self.pace.settled {
                    self.backoff.reset();
                    continue;
                }
            }
            if !self.pause(longest).await {
                return;
            }
        }
    }

    /// Waits with back-off, a question cuts it short; `false` when nobody listens any more.
    async fn pause(&mut self, longest: Duration) -> bool {
        let wait = spread(self.backoff.wait_within(longest), 0.25, fastrand::f64());
        tokio::select! {
            () = sleep(wait) => true,
            ask = self.asks.recv() => {
                let open = ask.is_some();
                self.pending.extend(ask);
                open
            }
        }
    }

    /// One consistent list of every namespace, and who answers it. Takes it over, publishes nothing.
    async fn list(&mut self) -> Result<(), ApiError> {
        let limit = self.pace.limit;
        let lists = try_join_all(self.followed.iter().map(|f| pages(&self.client, &f.path, &self.filter, limit)));
        let (verdict, lists) = tokio::join!(self.guard.check(&self.client, limit), lists);
        let lists = lists?;
        match verdict? {
            ClusterMatch::Another(why) => return Err(ApiError::Unauthorized(why)),
            ClusterMatch::Same(_) | ClusterMatch::Unguarded => {}
        }
        let now = clock::now();
        for (followed, list) in self.followed.iter_mut().zip(&lists) {
            followed.version = list.last().map(|page| page.version.clone()).unwrap_or_default();
            followed.outcome = now;
        }
        for complaint in self.cache.replace(lists.into_iter().flatten()) {
            warn!(%complaint, "a pod object of the API server cannot be read; it is left out");
        }
        Ok(())
    }

    /// Publishes the outcome of a list and answers everyone who asked before it ended.
    fn tell(&mut self, result: &Result<(), ApiError>) {
        let answer = match result {
            Ok(()) => Answer::Listed(self.cache.pods().clone()),
            Err(e) if e.is_refusal() => Answer::Refused(e.to_string()),
            // A 404 or 400 for a list of pods comes from no API server worth the name.
            Err(e) => Answer::Unavailable(e.to_string()),
        };
        let at = clock::now();
        self.publish.send_if_modified(|api| {
            let changed = differs(&api.answer, &answer);
            if std::mem::discriminant(&api.answer) != std::mem::discriminant(&answer) {
                log_turn(&answer, &self.client);
            }
            *api = Api { answer, at, silent_for: None };
            changed
        });
        while let Ok(ask) = self.asks.try_recv() {
            self.pending.push(ask);
        }
        for ask in self.pending.drain(..) {
            // An asker that gave up waiting is fine.
            let _ = ask.send(self.publish.borrow().clone());
        }
    }

    /// Follows until a watch ends; says why. A question is answered by a list of its own, which the watches, being
    /// older, then only confirm.
    async fn watch(&mut self) -> String {
        let mut lines = match self.open().await {
            Ok(lines) => lines,
            Err(e) => return e.to_string(),
        };
        loop {
            tokio::select! {
                line = lines.next() => match line {
                    Some((index, Ok(line))) => if let Some(why) = self.apply_line(index, &line) { return why },
                    Some((_, Err(why))) => return why,
                    None => return "nothing to watch".to_owned(),
                },
                ask = self.asks.recv() => {
                    self.pending.extend(ask);
                    let result = self.list().await;
                    self.tell(&result);
                    if let Err(e) = result {
                        return e.to_string();
                    }
                }
            }
        }
    }

    async fn open(&self) -> Result<SelectAll<BoxStream<'static, Line>>, ApiError> {
        let pace = &self.pace;
        let opened = try_join_all(self.followed.iter().enumerate().map(async |(index, f)| {
            let life = fastrand::u64(pace.watch.0..=pace.watch.1);
            let path = format!(
                "{}?watch=1&allowWatchBookmarks=true&fieldSelector=spec.nodeName%3D{}&resourceVersion={}\
                 &timeoutSeconds={life}",
                f.path, self.filter.node, f.version
            );
            let body = self.client.stream(&Call::get(path, Verb::Watch), pace.limit).await?;
            Ok::<_, ApiError>(lines(index, body, pace.silence))
        }));
        Ok(opened.await?.into_iter().collect())
    }

    /// Takes in one line; a reason to give up the watches, if it is one.
    fn apply_line(&mut self, index: usize, line: &[u8]) -> Option<String> {
        let followed = &mut self.followed[index];
        let outcome = self.cache.apply_line(line, &self.filter, &followed.version);
        let changed = match outcome {
            WatchOutcome::Lost(why) => return Some(why),
            WatchOutcome::Complaint(complaint) => {
                warn!(%complaint, "a pod object of the API server cannot be read; its last readable version stands");
                false
            }
            WatchOutcome::Alive => false,
            WatchOutcome::Changed => true,
        };
        followed.outcome = clock::now();
        // The answer is as fresh as the namespace that has been quiet the longest.
        let at = self.followed.iter().map(|f| f.outcome).min().unwrap_or_default();
        let cache = &self.cache;
        self.publish.send_if_modified(|api| {
            api.at = at;
            if changed {
                api.answer = Answer::Listed(cache.pods().clone());
            }
            changed
        });
        None
    }
}

/// All pages of one list; together they are one consistent state.
async fn pages(client: &ApiClient, path: &str, filter: &PodFilter, limit: Duration) -> Result<Vec<Page>, ApiError> {
    let deadline = Instant::now() + limit;
    let first = format!("{path}?fieldSelector=spec.nodeName%3D{}&limit={PAGE}", filter.node);
    let (mut pages, mut call) = (Vec::new(), Call::get(&first, Verb::List));
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let page = client.read(&call, left, |bytes| pod_list::read(bytes, filter)).await?;
        let more = page.more.clone();
        pages.push(page);
        match more {
            Some(token) => call = Call::get(format!("{first}&continue={}", component(&token)), Verb::List),
            None => return Ok(pages),
        }
    }
}

/// The lines of one watch, and why it ended as the last item.
fn lines<R: AsyncBufRead + Send + Unpin + 'static>(
    index: usize,
    body: R,
    silence: Duration,
) -> BoxStream<'static, Line> {
    let next = move |body: Option<R>| async move {
        let mut body = body?;
        let mut line = Vec::new();
        let ended = match timeout(silence, (&mut body).take(MAX_LINE).read_until(b'\n', &mut line)).await {
            Err(_) => format!("the watch has been silent for {silence:?}"),
            Ok(Err(e)) => format!("the watch broke off: {e}"),
            Ok(Ok(0)) => "the watch ended".to_owned(),
            Ok(Ok(_)) if line.last() != Some(&b'\n') => "the watch ended within a line".to_owned(),
            Ok(Ok(_)) => return Some(((index, Ok(line)), Some(body))),
        };
        Some(((index, Err(ended)), None))
    };
    unfold(Some(body), next).boxed()
}

/// Worth waking those who wait. The words of an unavailability change with every attempt.
fn differs(before: &Answer, after: &Answer) -> bool {
    match (before, after) {
        (Answer::Unavailable(_), Answer::Unavailable(_)) => false,
        (Answer::Listed(before), Answer::Listed(after)) => !all_same(before, after),
        _ => before != after,
    }
}

fn log_turn(answer: &Answer, client: &ApiClient) {
    match answer {
        Answer::Listed(pods) => info!(server = client.address(), parents = pods.len(), "the API server answers"),
        Answer::Refused(why) | Answer::Unavailable(why) => warn!(%why, "the API server gives no answer to rely on"),
    }
}
