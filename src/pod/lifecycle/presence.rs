//! A parent on the node: how it stands, by what the runtime shows alone.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::moment::BootInstant;
use crate::pod::key::{ContainerId, PodKey};
use crate::pod::runtime::{Container, ContainerState, NodePods, PodSource, Sandbox};

/// How a parent stands on the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnNode {
    /// Every main container running, long enough without a restart.
    Up,
    /// Sandbox ready; no main container ever created, or all running but not long enough.
    Starting,
    /// Some main containers running.
    Degraded,
    /// Sandbox ready, none running.
    Crashed,
    /// No ready sandbox, and nothing of it runs.
    Down,
    /// The runtime does not answer.
    Unknown,
}

/// Sandboxes of the API-sourced pod `key`.
pub fn parent_sandboxes<'a>(node: &'a NodePods, key: &PodKey) -> Vec<&'a Sandbox> {
    of_pod(node, key, PodSource::Api)
}

/// Sandboxes of the static pod `key`.
pub fn static_sandboxes<'a>(node: &'a NodePods, key: &PodKey) -> Vec<&'a Sandbox> {
    of_pod(node, key, PodSource::Static)
}

fn of_pod<'a>(node: &'a NodePods, key: &PodKey, source: PodSource) -> Vec<&'a Sandbox> {
    node.sandboxes.iter().filter(|s| s.source == source && s.pod == *key).collect()
}

/// The sandbox that counts: ready, and the newest of those.
pub fn ready_sandbox<'a>(sandboxes: &[&'a Sandbox]) -> Option<&'a Sandbox> {
    sandboxes.iter().filter(|s| s.ready).max_by_key(|s| s.created_at).copied()
}

/// The newest container of each main name in this sandbox.
pub fn main_containers<'a>(sandbox: &'a Sandbox, names: &[String]) -> Vec<&'a Container> {
    names
        .iter()
        .filter_map(|name| sandbox.containers.iter().filter(|c| c.name == *name).max_by_key(|c| c.created_at))
        .collect()
}

/// A static pod still has something running: a ready sandbox or a running container.
pub fn is_alive(sandboxes: &[&Sandbox]) -> bool {
    sandboxes.iter().any(|s| s.ready || s.containers.iter().any(|c| c.state == ContainerState::Running))
}

/// Design §5, "A parent on the node".
pub fn on_node(
    sandboxes: &[&Sandbox],
    names: &[String],
    running_since: &BTreeMap<ContainerId, BootInstant>,
    now: BootInstant,
    up_after: Duration,
) -> OnNode {
    let Some(sandbox) = ready_sandbox(sandboxes) else {
        // A sandbox that was stopped by half, or whose pause process died: what runs in it still holds its ports.
        return if is_alive(sandboxes) { OnNode::Degraded } else { OnNode::Down };
    };
    let newest = main_containers(sandbox, names);
    if newest.is_empty() {
        return OnNode::Starting;
    }
    let running = newest.iter().filter(|c| c.state == ContainerState::Running).count();
    let coming = newest.iter().filter(|c| c.state == ContainerState::Created).count();
    if running == names.len() {
        let steady = |c: &&Container| running_since.get(&c.id).is_some_and(|since| now.since(*since) >= up_after);
        if newest.iter().all(steady) { OnNode::Up } else { OnNode::Starting }
    } else if running + coming == names.len() {
        OnNode::Starting
    } else if running > 0 {
        OnNode::Degraded
    } else {
        OnNode::Crashed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pod::key::{SandboxId, Uid};

    const UP_AFTER: Duration = Duration::from_secs(10);

    fn container(name: &str, state: ContainerState, created_at: i64) -> Container {
        Container { id: ContainerId(format!("{name}-{created_at}")), name: name.into(), state, restarts: 0, created_at }
    }

    fn sandbox(ready: bool, containers: Vec<Container>) -> Sandbox {
        Sandbox {
            id: SandboxId::from("s"),
            pod: PodKey::new("ns", "web").unwrap(),
            uid: Uid::from("u"),
            source: PodSource::Api,
            annotated: true,
            checkpoint_of: None,
            ready,
            created_at: 1,
            containers,
        }
    }

    fn judged(sandbox: &Sandbox, running_for: u64) -> OnNode {
        let since =
            sandbox.containers.iter().map(|c| (c.id.clone(), BootInstant(100_000 - running_for * 1000))).collect();
        on_node(&[sandbox], &["a".into(), "b".into()], &since, BootInstant(100_000), UP_AFTER)
    }

    #[test]
    fn all_main_containers_up_ten_seconds_is_up_less_is_starting() {
        use ContainerState::Running;
        let pod = sandbox(true, vec![container("a", Running, 1), container("b", Running, 1)]);
        assert_eq!(judged(&pod, 10), OnNode::Up);
        assert_eq!(judged(&pod, 9), OnNode::Starting);
    }

    #[test]
    fn without_main_containers_it_is_starting_whatever_sidecars_do() {
        assert_eq!(judged(&sandbox(true, vec![]), 0), OnNode::Starting);
        let sidecar_only = sandbox(true, vec![container("sidecar", ContainerState::Running, 1)]);
        assert_eq!(judged(&sidecar_only, 60), OnNode::Starting);
    }

    #[test]
    fn one_of_two_running_is_degraded_and_none_is_crashed() {
        use ContainerState::{Exited, Running};
        let one = sandbox(true, vec![container("a", Running, 1), container("b", Exited, 1)]);
        assert_eq!(judged(&one, 60), OnNode::Degraded);
        let none = sandbox(true, vec![container("a", Exited, 1), container("b", Exited, 1)]);
        assert_eq!(judged(&none, 60), OnNode::Crashed);
    }

    #[test]
    fn the_newest_container_of_a_name_counts() {
        use ContainerState::{Exited, Running};
        let restarted =
            sandbox(true, vec![container("a", Exited, 1), container("a", Running, 2), container("b", Running, 1)]);
        assert_eq!(judged(&restarted, 60), OnNode::Up);
    }

    #[test]
    fn what_runs_in_a_sandbox_that_is_not_ready_is_not_down() {
        use ContainerState::{Exited, Running};
        let half_stopped = sandbox(false, vec![container("a", Running, 1), container("b", Exited, 1)]);
        assert_eq!(judged(&half_stopped, 60), OnNode::Degraded);
    }

    #[test]
    fn without_a_ready_sandbox_it_is_down_even_with_old_ones_listed() {
        let dead = sandbox(false, vec![container("a", ContainerState::Exited, 1)]);
        assert_eq!(judged(&dead, 60), OnNode::Down);
        assert_eq!(on_node(&[], &["a".into()], &BTreeMap::new(), BootInstant(0), UP_AFTER), OnNode::Down);
    }
}
