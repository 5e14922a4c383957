//! How many requests the API servers were sent, for Prometheus.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// How requests are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// One object.
    Get,
    /// A page of a list.
    List,
    /// A watch that was opened.
    Watch,
    /// Anything that writes.
    Write,
}

const VERBS: [Verb; 4] = [Verb::Get, Verb::List, Verb::Watch, Verb::Write];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

/// Requests sent since the start, failed ones too. Clones count into the same.
#[derive(Debug, Clone)]
pub struct RequestMetrics(Family<Kind, Counter>);

impl Default for RequestMetrics {
    fn default() -> Self {
        let requests: Family<Kind, Counter> = Family::default();
        // There from the start: a rate needs the zero before the first one.
        for verb in VERBS {
            drop(requests.get_or_create(&kind(verb)));
        }
        Self(requests)
    }
}

impl RequestMetrics {
    /// Adds them to what a listener encodes.
    pub fn register(&self, registry: &mut Registry) {
        registry.register("api_requests", "Requests sent to the API server", self.0.clone());
    }

    pub(super) fn sent(&self, verb: Verb) {
        self.0.get_or_create(&kind(verb)).inc();
    }

    /// How many there were of a kind.
    pub fn of(&self, verb: Verb) -> u64 {
        self.0.get_or_create(&kind(verb)).get()
    }

    /// How many there were of all kinds.
    pub fn total(&self) -> u64 {
        VERBS.into_iter().map(|verb| self.of(verb)).sum()
    }
}

fn kind(verb: Verb) -> Kind {
    let kind = match verb {
        Verb::Get => "get",
        Verb::List => "list",
        Verb::Watch => "watch",
        Verb::Write => "write",
    };
    Kind { kind }
}
