//! Watches of the fake server: history from a version on, then whatever comes, until their time is over.

use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use futures::stream::unfold;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use super::world::{Call, Entry, selected};
use super::{Mode, State};

struct Watch {
    state: State,
    changed: watch::Receiver<u64>,
    namespace: Option<String>,
    node: String,
    /// Everything up to this version was said.
    said: u64,
    epoch: u64,
    ends: Instant,
}

/// Answers with a stream of lines.
pub fn open(state: &State, call: &Call, namespace: Option<&str>, node: &str) -> Response {
    let number = |name: &str| call.query.get(name).and_then(|v| v.parse::<u64>().ok());
    let from = number("resourceVersion").unwrap_or_default();
    let mut world = state.world();
    if from < world.oldest {
        let gone = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"});
        return format!("{}\n", json!({"type": "ERROR", "object": gone})).into_response();
    }
    world.open_watches += 1;
    let asked = Duration::from_secs(number("timeoutSeconds").unwrap_or(1800));
    let watch = Watch {
        state: state.clone(),
        changed: state.changed.subscribe(),
        namespace: namespace.map(str::to_owned),
        node: node.to_owned(),
        said: from,
        epoch: world.epoch,
        ends: Instant::now() + world.watch_life.unwrap_or(asked).min(asked),
    };
    drop(world);
    state.poke();
    let lines = unfold(watch, async |mut watch| {
        let line = watch.next().await?;
        Some((Ok::<_, std::io::Error>(format!("{line}\n")), watch))
    });
    Response::new(Body::from_stream(lines))
}

impl Watch {
    async fn next(&mut self) -> Option<String> {
        loop {
            // Seen before looking, so that no change in between is missed.
            self.changed.borrow_and_update();
            let mute = *self.state.mode.borrow() == Mode::BlackHole;
            if !mute {
                if self.state.world().epoch != self.epoch {
                    return None;
                }
                if let Some(line) = self.due() {
                    return Some(line);
                }
            }
            tokio::select! {
                changed = self.changed.changed() => changed.ok()?,
                () = tokio::time::sleep_until(self.ends), if !mute => return None,
            }
        }
    }

    fn due(&mut self) -> Option<String> {
        let world = self.state.world();
        let lines = world.history.iter().filter(|(version, _)| *version > self.said);
        let mut mine = lines.filter_map(|(version, entry)| {
            let line = match entry {
                Entry::Raw(line) => line.clone(),
                Entry::Pod { kind, object } if self.wants(object) => {
                    json!({"type": kind, "object": object}).to_string()
                }
                Entry::Pod { .. } => return None,
            };
            Some((*version, line))
        });
        let (version, line) = mine.next()?;
        drop(mine);
        drop(world);
        self.said = version;
        Some(line)
    }

    fn wants(&self, pod: &Value) -> bool {
        selected(pod, self.namespace.as_deref(), Some(&self.node))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.state.world().open_watches -= 1;
        self.state.poke();
    }
}
