//! An API server in this process, on loopback: it does what the agent's questions need, fails in every way that real
//! ones do, and remembers each call. A call that the agent has no business making fails the test.

mod fixtures;
mod listen;
mod reviews;
mod routes;
mod watches;
mod world;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

pub use fixtures::{parent, with};
pub use reviews::API;
pub use world::Call;
use world::{Entry, World};

/// How the server behaves from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Well.
    Up,
    /// Nobody listens on the port, every connection is gone.
    Down,
    /// Takes connections and requests, answers nothing; watches fall silent.
    BlackHole,
    /// Answers every new request with this status.
    Status(u16),
    /// Answers every new request with 200 and HTML.
    Garbage,
    /// Well, after this long.
    Slow(Duration),
}

/// The handle; clones are the same server. It stops listening when the runtime ends.
#[derive(Clone)]
pub struct FakeApi {
    state: State,
    mode: watch::Sender<Mode>,
    listening: watch::Receiver<bool>,
    port: u16,
}

/// What connections share.
#[derive(Clone)]
pub(crate) struct State {
    world: Arc<Mutex<World>>,
    /// Wakes watches.
    changed: watch::Sender<u64>,
    mode: watch::Receiver<Mode>,
}

impl State {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

impl FakeApi {
    /// Listens on a port of its own, with namespace kube-system and nothing else.
    pub async fn start() -> Self {
        let (mode, modes) = watch::channel(Mode::Up);
        let world = Arc::new(Mutex::new(World::new()));
        let state = State { world, changed: watch::channel(0).0, mode: modes };
        let (listening, port) = listen::serve(state.clone()).await;
        Self { state, mode, listening, port }
    }

    /// `http://127.0.0.1:<port>`
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Changes the behaviour; returns when the port is really closed or open.
    pub async fn go(&self, mode: Mode) {
        self.mode.send_replace(mode);
        self.poke();
        let mut listening = self.listening.clone();
        listening.wait_for(|open| *open == (mode != Mode::Down)).await.unwrap();
    }

    /// How it behaves now.
    pub fn mode(&self) -> Mode {
        *self.mode.borrow()
    }

    /// The pods that are bound to this node.
    pub fn pods_of(&self, node: &str) -> Vec<Value> {
        self.state.world().pods(None, Some(node))
    }

    /// A kubelet's report on one of its pods; one that is not there any more, or is another, is left alone, and so is
    /// one that stands so already.
    pub fn report_status(&self, namespace: &str, name: &str, uid: &str, status: Value) {
        let mut world = self.state.world();
        let Some(pod) = world.objects.get(&world::pod_path(namespace, name)) else { return };
        if pod["metadata"]["uid"] == uid && pod["status"] != status {
            let mut pod = pod.clone();
            pod["status"] = status;
            world.put_pod("MODIFIED", pod);
            drop(world);
            self.poke();
        }
    }

    /// Adds a pod, which needs `metadata.namespace` and `metadata.name`; watches see it.
    pub fn add_pod(&self, pod: Value) -> &Self {
        self.change(|world| world.put_pod("ADDED", pod))
    }

    /// Changes a pod; watches see it.
    pub fn edit_pod(&self, namespace: &str, name: &str, edit: impl FnOnce(&mut Value)) -> &Self {
        self.change(|world| {
            let mut pod = world.objects[&world::pod_path(namespace, name)].clone();
            edit(&mut pod);
            world.put_pod("MODIFIED", pod);
        })
    }

    /// Sets the pod's Ready condition.
    pub fn set_ready(&self, namespace: &str, name: &str, ready: bool) -> &Self {
        let status = if ready { "True" } else { "False" };
        self.edit_pod(namespace, name, |pod| {
            pod["status"]["conditions"] = json!([{"type": "Ready", "status": status}]);
        })
    }

    /// Removes the object; watches see it.
    pub fn delete_pod(&self, namespace: &str, name: &str) -> &Self {
        self.change(|world| world.delete_pod(namespace, name))
    }

    /// Adds or replaces any object under its API path.
    pub fn add(&self, path: &str, object: Value) -> &Self {
        self.change(|world| drop(world.objects.insert(path.to_owned(), object)))
    }

    /// Removes what is under an API path.
    pub fn remove(&self, path: &str) -> &Self {
        self.change(|world| drop(world.objects.remove(path)))
    }

    /// Answers 403 to everything whose path begins so.
    pub fn forbid(&self, path: &str) -> &Self {
        self.change(|world| world.forbidden.push(path.to_owned()))
    }

    /// Takes back every [`Self::forbid`].
    pub fn allow_all(&self) -> &Self {
        self.change(|world| world.forbidden.clear())
    }

    /// An etcd that was emptied: other identity, no objects, versions from the beginning.
    pub fn become_another_cluster(&self) -> &Self {
        self.change(|world| {
            let old = std::mem::replace(world, World::new());
            let World { calls, unexpected, open_watches, epoch, .. } = old;
            *world = World { calls, unexpected, open_watches, epoch: epoch + 1, ..World::new() };
        })
    }

    /// UID of namespace kube-system.
    pub fn cluster_uid(&self) -> String {
        let world = self.state.world();
        world.objects["/api/v1/namespaces/kube-system"]["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    /// At most this many pods a page, whatever was asked for.
    pub fn page_size(&self, pods: usize) -> &Self {
        self.change(|world| world.page_size = pods)
    }

    /// Watches end after this long, whatever was asked for.
    pub fn watch_life(&self, life: Duration) -> &Self {
        self.change(|world| world.watch_life = Some(life))
    }

    /// Sends a bookmark down every watch.
    pub fn bookmark(&self) -> &Self {
        self.change(|world| {
            let version = world.next_version().to_string();
            let object = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": version}});
            world.log(Entry::Raw(json!({"type": "BOOKMARK", "object": object}).to_string()));
        })
    }

    /// Sends this line down every watch.
    pub fn say(&self, line: &str) -> &Self {
        self.change(|world| {
            world.next_version();
            world.log(Entry::Raw(line.to_owned()));
        })
    }

    /// Ends every watch as a server does when their time is over.
    pub fn end_watches(&self) -> &Self {
        self.change(|world| world.epoch += 1)
    }

    /// Forgets history: a watch that continues from before now is told 410.
    pub fn compact(&self) -> &Self {
        self.change(|world| world.oldest = world.version)
    }

    /// Every call so far.
    pub fn calls(&self) -> Vec<Call> {
        self.state.world().calls.clone()
    }

    /// Lists of pods so far, pages counted one by one.
    pub fn lists(&self) -> usize {
        self.state.world().calls.iter().filter(|c| c.is_list()).count()
    }

    /// Watches opened so far.
    pub fn watches(&self) -> usize {
        self.state.world().calls.iter().filter(|c| c.is_watch()).count()
    }

    /// Watches that are open now.
    pub fn open_watches(&self) -> usize {
        self.state.world().open_watches
    }

    /// Waits until the world is as wanted; fails after 20 s.
    pub async fn until(&self, what: &str, wanted: impl Fn(&Self) -> bool) {
        let mut changed = self.state.changed.subscribe();
        let waiting = async {
            while !wanted(self) {
                changed.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
    }

    /// Fails if anything was asked for that the agent has no business with.
    #[track_caller]
    pub fn assert_no_unexpected(&self) {
        let unexpected = self.state.world().unexpected.clone();
        assert!(unexpected.is_empty(), "unexpected calls: {unexpected:#?}");
    }

    fn change(&self, change: impl FnOnce(&mut World)) -> &Self {
        change(&mut self.state.world());
        self.poke();
        self
    }

    fn poke(&self) {
        self.state.poke();
    }
}

impl State {
    fn poke(&self) {
        self.changed.send_modify(|n| *n += 1);
    }
}
