//! Following objects of the API server: list everything, watch from there, and after whatever ends a watch list anew. Nothing
//! is concluded before a list is complete, and a watch is never resumed: what happened in between must not be guessed.
//!
//! What the objects are, and what follows from them, is for the [`WatchHandler`].

pub(crate) mod event;

use std::time::Duration;

use futures::future::try_join_all;
use futures::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use futures::stream::{BoxStream, SelectAll, StreamExt, unfold};
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use super::client::{ApiClient, Call, LIMIT, Verb};
use super::error::ApiError;
use crate::backoff::{Backoff, spread};
use crate::clock;
use crate::moment::BootInstant;
use crate::percent::component;
use event::{WatchEvent, read_line};

/// Objects a page.
const PAGE: usize = 500;
/// etcd takes objects of 1.5 MiB; JSON of a watch event may be somewhat longer.
const MAX_LINE: u64 = 8 << 20;
/// A refusal beside lists that are granted is looked at again after so many times [`ListWatchTimings::refused`]: it costs
/// listing everything anew.
const REFUSED_ROUNDS: u32 = 4;
/// While there is no route at all.
const NO_ROUTE_RETRY: Duration = Duration::from_millis(100);
/// Those who lost a server at once come back a quarter earlier or later.
const SPREAD: f64 = 0.25;

/// How fast things go; a value, so that tests and the demo shorten it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListWatchTimings {
    /// For one list, and for opening the watches.
    pub limit: Duration,
    /// First and longest wait between attempts while nobody answers.
    pub backoff: (Duration, Duration),
    /// Longest wait after a refusal: somebody has to change a right first.
    pub refused: Duration,
    /// A watch that says nothing for so long is dead; a server sends a bookmark about every minute.
    pub silence: Duration,
    /// Shortest and longest life asked for a watch, seconds; drawn at random, so that nodes spread out.
    pub watch: (u64, u64),
    /// A watch that lived shorter counts as a failure.
    pub settled: Duration,
    /// Before listing anew after a watch that lived; zero where an answer is to be fresh.
    pub relist_pause: Duration,
    /// `--boot-patience`: while there is no route at all, the first answer is waited for.
    pub boot_patience: Duration,
}

impl Default for ListWatchTimings {
    fn default() -> Self {
        Self {
            limit: LIMIT,
            backoff: (Duration::from_millis(100), Duration::from_secs(5)),
            refused: Duration::from_secs(30),
            silence: Duration::from_secs(180),
            watch: (1740, 1800),
            settled: Duration::from_secs(10),
            relist_pause: Duration::ZERO,
            boot_patience: Duration::from_secs(5),
        }
    }
}

/// What one list and one watch are of: the pods of a namespace, all objects of a kind.
pub(crate) struct Collection {
    path: String,
    /// For the query; empty: all of them.
    selector: String,
    /// `metadata.resourceVersion` of the last list.
    version: String,
    /// When the list was complete, or the watch last spoke.
    alive_at: BootInstant,
    /// The last list of it was refused: it is not watched.
    refused: bool,
}

/// What one list of everything came to.
pub(crate) struct Listed<P> {
    /// The pages of those that were listed, complete.
    pub(crate) pages: Vec<P>,
    /// Those that the server refused (403), by their place among the collections; never all of them.
    pub(crate) refused: Vec<(usize, ApiError)>,
}

impl Collection {
    /// Everything under a path of [`super::requests`].
    pub(crate) fn all(path: String) -> Self {
        let alive_at = BootInstant::default();
        Self { path, selector: String::new(), version: String::new(), alive_at, refused: false }
    }

    /// Only the pods of a node, whose name is a valid one.
    pub(crate) fn on_node(self, node: &str) -> Self {
        Self { selector: format!("fieldSelector=spec.nodeName%3D{node}&"), ..self }
    }

    fn url(&self, query: &str) -> String {
        format!("{}?{}{query}", self.path, self.selector)
    }
}

/// A page of a list, read.
pub(crate) trait Page {
    /// `metadata.resourceVersion` of the list, from which a watch goes on.
    fn version(&self) -> &str;
    /// `metadata.continue`, the token for the next page, if there is one.
    fn more(&self) -> Option<&str>;
}

/// Why everything is listed anew.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Disconnect {
    /// The watches could not be opened.
    #[error("no watch could be opened: {0}")]
    Unopened(ApiError),
    /// One ended, or said what cannot be relied on.
    #[error("{0}")]
    Ended(String),
    /// A list that was asked for beside the watches failed; [`WatchHandler::listed`] knows.
    #[error("a list that was asked for meanwhile failed")]
    Unlisted,
}

/// Whose objects are followed: reads them, keeps them, and says what they mean. Several lists are read at once.
pub(crate) trait WatchHandler: Sync {
    /// One page of a list.
    type Page: Page;
    /// Reads a page; anything but a whole one is an error, so that no other document reads as "nothing there".
    fn read_page(&self, answer: &[u8]) -> Result<Self::Page, String>;
    /// Asked beside each list; an error says that the list does not count.
    async fn check_server(&self, client: &ApiClient, limit: Duration) -> Result<(), ApiError>;
    /// A list will be made where no watch is open.
    fn connecting(&mut self) {}
    /// A complete list of everything that is followed and not refused, or why there is none.
    fn listed(&mut self, outcome: Result<Listed<Self::Page>, ApiError>);
    /// Takes in an event, or a sign of life. What is known is as fresh as `alive_at`. An error says why the event cannot be
    /// relied on; then everything is listed anew.
    fn watched(&mut self, event: Option<WatchEvent>, alive_at: BootInstant) -> Result<(), String>;
    /// No watch is open any more.
    fn disconnected(&mut self, why: &Disconnect);
    /// Comes when a list is wanted at once, or, with false, when nobody listens any more. Loses nothing when it is dropped.
    async fn list_wanted(&mut self) -> bool;
}

/// A line of the watch of that place in the collections, or why it ended.
type Line = (usize, Result<Vec<u8>, String>);

/// Follows collections as one: an answer is of all of them, or there is none; but one that is refused says nothing of the
/// others.
pub(crate) struct ListWatch {
    client: ApiClient,
    collections: Vec<Collection>,
    timings: ListWatchTimings,
    backoff: Backoff,
}

impl ListWatch {
    pub(crate) fn new(client: ApiClient, collections: Vec<Collection>, timings: ListWatchTimings) -> Self {
        let backoff = Backoff::new(timings.backoff.0, timings.backoff.1);
        Self { client, collections, timings, backoff }
    }

    /// Until nobody listens any more.
    pub(crate) async fn run<H: WatchHandler>(mut self, handler: &mut H) {
        let patient_until = Instant::now() + self.timings.boot_patience;
        let mut first = true;
        loop {
            handler.connecting();
            let outcome = self.list(handler).await;
            if first && matches!(outcome, Err(ApiError::NoRoute(_))) && Instant::now() < patient_until {
                sleep(NO_ROUTE_RETRY).await;
                continue;
            }
            first = false;
            let refused = outcome.as_ref().is_err_and(ApiError::is_refusal);
            let longest = if refused { self.timings.refused } else { self.timings.backoff.1 };
            let (complete, mut lived) = (outcome.is_ok(), false);
            handler.listed(outcome);
            if complete {
                let opened = Instant::now();
                let Some(why) = self.watch(handler).await else { return };
                debug!(%why, path = self.collections.first().map(|one| &one.path), "listing anew");
                handler.disconnected(&why);
                lived = opened.elapsed() >= self.timings.settled;
            }
            let wait = if lived {
                self.backoff.reset();
                self.timings.relist_pause
            } else {
                self.backoff.wait_within(longest)
            };
            let listening = tokio::select! {
                () = sleep(spread(wait, SPREAD, fastrand::f64())) => true,
                listening = handler.list_wanted() => listening,
            };
            if !listening {
                return;
            }
        }
    }

    /// One consistent list of every collection, if the server is the right one.
    async fn list<H: WatchHandler>(&mut self, handler: &H) -> Result<Listed<H::Page>, ApiError> {
        let (client, limit) = (&self.client, self.timings.limit);
        // What is not a refusal of one collection ends the whole: there is nobody to answer.
        let lists =
            try_join_all(self.collections.iter().map(async |one| match pages(client, one, handler, limit).await {
                Ok(pages) => Ok(Ok(pages)),
                Err(why @ ApiError::Forbidden(_)) => Ok(Err(why)),
                Err(why) => Err(why),
            }));
        let (checked, lists) = tokio::join!(handler.check_server(client, limit), lists);
        let lists = lists?;
        checked?;
        let now = clock::now();
        let mut listed = Listed { pages: Vec::new(), refused: Vec::new() };
        for (index, (one, list)) in self.collections.iter_mut().zip(lists).enumerate() {
            one.refused = list.is_err();
            match list {
                Ok(pages) => {
                    one.version = pages.last().map(|page| page.version().to_owned()).unwrap_or_default();
                    one.alive_at = now;
                    listed.pages.extend(pages);
                }
                Err(why) => listed.refused.push((index, why)),
            }
        }
        if listed.refused.len() < self.collections.len() {
            return Ok(listed);
        }
        Err(listed.refused.pop().map_or_else(|| ApiError::Invalid("nothing to list".to_owned()), |(_, why)| why))
    }

    /// Follows until a watch ends; says why, or nothing where nobody listens any more. Who wants a list meanwhile gets one of
    /// its own, which the watches, being older, then only confirm.
    async fn watch<H: WatchHandler>(&mut self, handler: &mut H) -> Option<Disconnect> {
        let mut lines = match self.open().await {
            Ok(lines) => lines,
            Err(why) => return Some(Disconnect::Unopened(why)),
        };
        let refused = self.collections.iter().any(|one| one.refused);
        let rights_again = sleep(if refused { self.timings.refused * REFUSED_ROUNDS } else { Duration::MAX });
        tokio::pin!(rights_again);
        loop {
            tokio::select! {
                () = &mut rights_again => return Some(Disconnect::Ended("what was refused is asked for again".to_owned())),
                line = lines.next() => {
                    let taken = match line {
                        Some((index, Ok(line))) => self.take(handler, index, &line),
                        Some((_, Err(why))) => Err(why),
                        None => Err("nothing to watch".to_owned()),
                    };
                    if let Err(why) = taken {
                        return Some(Disconnect::Ended(why));
                    }
                }
                listening = handler.list_wanted() => {
                    if !listening {
                        return None;
                    }
                    let outcome = self.list(handler).await;
                    let complete = outcome.is_ok();
                    handler.listed(outcome);
                    if !complete {
                        return Some(Disconnect::Unlisted);
                    }
                }
            }
        }
    }

    async fn open(&self) -> Result<SelectAll<BoxStream<'static, Line>>, ApiError> {
        let timings = &self.timings;
        let granted = self.collections.iter().enumerate().filter(|(_, one)| !one.refused);
        let opened = try_join_all(granted.map(async |(index, one)| {
            let life = fastrand::u64(timings.watch.0..=timings.watch.1);
            let version = component(&one.version);
            let query = format!("watch=1&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={life}");
            let body = self.client.stream(&Call::get(one.url(&query), Verb::Watch), timings.limit).await?;
            Ok::<_, ApiError>(lines(index, body, timings.silence))
        }));
        Ok(opened.await?.into_iter().collect())
    }

    /// Takes in one line; an error is why the watches are given up.
    fn take<H: WatchHandler>(&mut self, handler: &mut H, index: usize, line: &[u8]) -> Result<(), String> {
        let one = &mut self.collections[index];
        let event = read_line(line, &one.version)?;
        one.alive_at = clock::now();
        // What is known is as fresh as the collection that has been quiet the longest.
        let granted = self.collections.iter().filter(|one| !one.refused);
        let alive_at = granted.map(|one| one.alive_at).min().unwrap_or_default();
        handler.watched(event, alive_at)
    }
}

/// All pages of one list; together they are one consistent state.
async fn pages<H: WatchHandler>(
    client: &ApiClient,
    collection: &Collection,
    handler: &H,
    limit: Duration,
) -> Result<Vec<H::Page>, ApiError> {
    let deadline = Instant::now() + limit;
    let first = collection.url(&format!("limit={PAGE}"));
    let (mut pages, mut call) = (Vec::new(), Call::get(&first, Verb::List));
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let page = client.read(&call, left, |answer| handler.read_page(answer)).await?;
        let more = page.more().map(component);
        pages.push(page);
        match more {
            Some(token) => call = Call::get(format!("{first}&continue={token}"), Verb::List),
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
