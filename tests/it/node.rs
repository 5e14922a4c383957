//! The client and the watch of the container runtime against a fake one on a real socket.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::cri::FakeRuntime;
use crate::support::machine::Shared;
use pod_checkpointer::node::cri::{Cri, CriError};
use pod_checkpointer::node::cri_proto as proto;
use pod_checkpointer::node::images::look_up;
use pod_checkpointer::node::kubelet::KubeletDir;
use pod_checkpointer::pod::key::SandboxId;
use pod_checkpointer::pod::runtime::{ContainerState, ImagePresence, NodePods, PodSource};

const PARENT: (&str, &str, &str) = ("kube-system", "apiserver-1", "uid-1");

struct Fixture {
    dir: tempfile::TempDir,
    machine: Shared,
    runtime: FakeRuntime,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let machine = Shared::default();
        let runtime = FakeRuntime::start(dir.path(), machine.clone()).unwrap();
        Self { dir, machine, runtime }
    }

    async fn client(&self) -> Cri {
        Cri::connect(&self.runtime.endpoint()).await.unwrap()
    }

    /// A ready sandbox of the parent, with one running container; their ids.
    fn parent_runs(&self) -> (String, String) {
        let mut machine = self.machine.lock();
        let annotations = BTreeMap::from([("checkpointer.alpha.coreos.com/checkpoint".to_owned(), "true".to_owned())]);
        let sandbox = machine.run_sandbox(PARENT, "api", &annotations);
        let container = machine.run_container(&sandbox, "main", 3);
        (sandbox, container)
    }
}

fn states(pods: &NodePods) -> Vec<ContainerState> {
    pods.sandboxes.iter().flat_map(|s| &s.containers).map(|c| c.state).collect()
}

#[tokio::test]
async fn a_list_shows_pods_as_the_kubelet_labelled_them() {
    let node = Fixture::new();
    let (sandbox, container) = node.parent_runs();
    {
        let mut machine = node.machine.lock();
        let of = "checkpointer.alpha.coreos.com/checkpoint-of".to_owned();
        let twin = machine.run_sandbox(
            ("kube-system", "apiserver-1-node1", "uid-2"),
            "file",
            &BTreeMap::from([(of, "apiserver-1".to_owned())]),
        );
        machine.stop_sandbox(&twin);
    }
    let pods = node.client().await.list().await.unwrap();
    let [parent, twin] = pods.sandboxes.as_slice() else { panic!("{pods:?}") };

    assert_eq!((parent.id.0.as_str(), parent.pod.to_string().as_str()), (sandbox.as_str(), "kube-system/apiserver-1"));
    assert_eq!((parent.uid.0.as_str(), parent.source, parent.ready), ("uid-1", PodSource::Api, true));
    assert!(parent.annotated && parent.checkpoint_of.is_none() && parent.created_at > 0);
    let [main] = parent.containers.as_slice() else { panic!("{parent:?}") };
    assert_eq!((main.id.0.as_str(), main.name.as_str()), (container.as_str(), "main"));
    assert_eq!((main.state, main.restarts), (ContainerState::Running, 3));

    assert_eq!((twin.source, twin.ready, twin.annotated), (PodSource::Static, false, false));
    assert_eq!(twin.checkpoint_of.as_deref(), Some("apiserver-1"));
}

#[tokio::test]
async fn what_others_made_in_the_runtime_is_left_out() {
    let node = Fixture::new();
    let (sandbox, _) = node.parent_runs();
    let good = {
        let machine = node.machine.lock();
        machine.sandboxes[0].labels.clone()
    };
    let odd = |change: &dyn Fn(&mut proto::PodSandbox)| {
        let source = [("kubernetes.io/config.source".to_owned(), "api".to_owned())];
        let labels = good.clone().into_iter().collect();
        let mut odd =
            proto::PodSandbox { id: "odd".to_owned(), labels, annotations: source.into(), ..Default::default() };
        change(&mut odd);
        odd
    };
    node.runtime.mood(|mood| {
        mood.odd_sandboxes = vec![
            proto::PodSandbox::default(),
            odd(&|s| s.labels.clear()),
            odd(&|s| s.annotations.clear()),
            odd(&|s| s.id.clear()),
            odd(&|s| drop(s.labels.insert("io.kubernetes.pod.name".to_owned(), "../../etc".to_owned()))),
        ];
        let of_parent = proto::Container { pod_sandbox_id: sandbox.clone(), ..Default::default() };
        let named = [("io.kubernetes.container.name".to_owned(), "odd".to_owned())];
        mood.odd_containers = vec![
            proto::Container::default(),
            of_parent.clone(),
            proto::Container { id: "x".to_owned(), pod_sandbox_id: "nowhere".to_owned(), ..of_parent.clone() },
            proto::Container { id: "future".to_owned(), labels: named.into(), state: 77, ..of_parent },
        ];
    });
    let pods = node.client().await.list().await.unwrap();
    assert_eq!(pods.sandboxes.len(), 1, "{pods:?}");
    let mut states = states(&pods);
    states.sort_by_key(|state| *state == ContainerState::Running);
    assert_eq!(states, [ContainerState::Unknown, ContainerState::Running], "a state of tomorrow is unknown");
}

#[tokio::test]
async fn two_lists_of_one_state_are_equal() {
    let node = Fixture::new();
    for _ in 0..20 {
        node.parent_runs();
    }
    let client = node.client().await;
    assert_eq!(client.list().await.unwrap(), client.list().await.unwrap());
}

#[tokio::test]
async fn a_runtime_that_hangs_is_a_timeout_that_names_it() {
    let node = Fixture::new();
    let client = node.client().await.with_limit(Duration::from_millis(100));
    node.runtime.mood(|mood| mood.hangs = true);
    let error = client.list().await.unwrap_err();
    assert!(matches!(error, CriError::TimedOut { .. }), "{error:?}");
    assert!(error.to_string().contains(&client.socket().display().to_string()), "{error}");

    node.runtime.mood(|mood| mood.hangs = false);
    client.list().await.unwrap();
}

#[tokio::test]
async fn a_socket_that_accepts_and_says_nothing_is_a_timeout_too() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("mute.sock");
    let _mute = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let client = Cri::lazy(socket.to_str().unwrap()).unwrap().with_limit(Duration::from_millis(100));
    let error = client.version().await.unwrap_err();
    assert!(matches!(error, CriError::TimedOut { call: "Version", .. }), "{error:?}");
}

#[tokio::test]
async fn a_missing_runtime_is_said_to_be_unreachable_and_why() {
    let error = Cri::connect("unix:///nowhere/containerd.sock").await.unwrap_err();
    assert!(matches!(error, CriError::Unreachable { .. }), "{error:?}");
    assert!(error.to_string().contains("No such file"), "{error}");
}

#[tokio::test]
async fn a_client_finds_a_runtime_that_was_killed_and_restarted() {
    let mut node = Fixture::new();
    node.parent_runs();
    let client = node.client().await;
    node.runtime.kill();
    let error = client.list().await.unwrap_err();
    assert!(matches!(error, CriError::Unreachable { .. }), "{error:?}");
    assert!(client.list().await.is_err());

    node.runtime.restart().unwrap();
    assert_eq!(client.list().await.unwrap().sandboxes.len(), 1);
}

#[tokio::test]
async fn where_none_answers_the_first_that_comes_up_is_used() {
    let mut node = Fixture::new();
    node.parent_runs();
    node.runtime.kill();
    let socket = node.runtime.endpoint().trim_start_matches("unix://").into();
    let (client, why) = Cri::first_that_answers(&["/nowhere/containerd.sock".into(), socket]).await.unwrap();
    assert!(why.unwrap().to_string().contains("/nowhere/containerd.sock"));

    node.runtime.restart().unwrap();
    assert_eq!(client.list().await.unwrap().sandboxes.len(), 1);
}

#[tokio::test]
async fn the_runtimes_own_error_is_passed_on() {
    let node = Fixture::new();
    let client = node.client().await;
    node.runtime.mood(|mood| mood.fails = Some("metadata database is locked".to_owned()));
    let error = client.list().await.unwrap_err();
    assert!(matches!(error, CriError::Failed { .. }), "{error:?}");
    assert!(error.to_string().contains("metadata database is locked"), "{error}");
}

#[tokio::test]
async fn the_first_runtime_that_answers_is_taken() {
    let node = Fixture::new();
    let dead = node.dir.path().join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    let alive = node.dir.path().join("containerd.sock");
    let (client, why) = Cri::first_that_answers(&[dead.clone(), alive.clone()]).await.unwrap();
    assert_eq!(client.socket(), alive);
    assert!(why.is_none());

    let (client, why) = Cri::first_that_answers(std::slice::from_ref(&dead)).await.unwrap();
    assert_eq!(client.socket(), dead);
    assert!(matches!(why, Some(CriError::Unreachable { .. })), "{why:?}");
}

#[tokio::test]
async fn removing_a_sandbox_stops_it_first() {
    let node = Fixture::new();
    let (sandbox, _) = node.parent_runs();
    let client = node.client().await;
    client.remove_sandbox(&SandboxId(sandbox.clone())).await.unwrap();
    assert!(node.machine.lock().sandboxes.is_empty());
    client.remove_sandbox(&SandboxId(sandbox)).await.expect("gone already is a success");
    let calls = node.runtime.calls();
    assert_eq!(calls.removed, ["kube-system/apiserver-1"]);
    assert!(calls.unexpected.is_empty(), "{:?}", calls.unexpected);
}

#[tokio::test]
async fn a_runtime_tells_what_it_is_and_what_it_lacks() {
    let client = Fixture::new();
    let cri = client.client().await;
    assert_eq!(cri.version().await.unwrap().name, "fake");
    assert_eq!(cri.complaints().await.unwrap().len(), 1);
    assert_eq!(cri.configuration().await.unwrap().unwrap()["enableExperimentalRestoreViaCreate"], false);
}

#[tokio::test]
async fn an_image_is_present_only_if_runtime_and_kubelet_agree() {
    let node = Fixture::new();
    let kubelet = node.dir.path().join("kubelet");
    std::fs::create_dir_all(kubelet.join("image_manager/pulled")).unwrap();
    std::fs::write(kubelet.join(record_name("sha256:private")), r#"{"imageRef":"sha256:private"}"#).unwrap();
    {
        let mut machine = node.machine.lock();
        machine.images.insert("free:1".to_owned(), "sha256:free".to_owned());
        machine.images.insert("private:1".to_owned(), "sha256:private".to_owned());
    }
    let refs = ["free:1", "private:1", "absent:1"].map(str::to_owned).into();
    let client = node.client().await.with_limit(Duration::from_millis(100));
    let images = look_up(&client, &KubeletDir::new(&kubelet), &refs).await;
    assert_eq!(images["free:1"], ImagePresence::Present);
    assert_eq!(images["private:1"], ImagePresence::PulledWithSecret);
    assert_eq!(images["absent:1"], ImagePresence::Absent);

    let images = look_up(&client, &KubeletDir::new("/nowhere"), &refs).await;
    assert!(matches!(images["free:1"], ImagePresence::Unknown(_)), "nobody could say how it was pulled");
    assert_eq!(images["absent:1"], ImagePresence::Absent);

    node.runtime.mood(|mood| mood.hangs = true);
    let images = look_up(&client, &KubeletDir::new(&kubelet), &refs).await;
    assert!(images.values().all(|presence| matches!(presence, ImagePresence::Unknown(_))), "{images:?}");
}

fn record_name(id: &str) -> String {
    use sha2::Digest;
    let hash = sha2::Sha256::digest(id).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    format!("image_manager/pulled/sha256-{hash}")
}
