//! A container runtime that speaks CRI v1 on a unix socket and shows a [`Machine`]. It runs in a thread of its own, so that
//! killing it cuts every connection as a SIGKILL does, and leaves the socket's file behind.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use futures::stream::{self, BoxStream, StreamExt};
use pod_checkpointer::node::cri_proto as proto;
use tokio::net::UnixListener;
use tokio::sync::{broadcast, oneshot, watch};
use tonic::{Request, Response, Status};

use super::machine::{self, CONTAINER_NAME, RESTART_COUNT, Shared, State};

mod server {
    #![allow(clippy::pedantic, reason = "generated code")]
    include!(concat!(env!("OUT_DIR"), "/server/runtime.v1.rs"));
}
use server::image_service_server::{ImageService, ImageServiceServer};
use server::runtime_service_server::{RuntimeService, RuntimeServiceServer};

/// How it answers.
#[derive(Debug, Clone, Default)]
pub struct Mood {
    /// Takes calls and never answers them.
    pub hangs: bool,
    /// Every call fails with this.
    pub fails: Option<String>,
    /// `GetContainerEvents` is not implemented.
    pub no_events: bool,
    /// Old events that a subscriber gets first.
    pub backlog: usize,
    /// Listed besides what is on the machine, as they are.
    pub odd_sandboxes: Vec<proto::PodSandbox>,
    /// The same for containers.
    pub odd_containers: Vec<proto::Container>,
    /// What a verbose `ContainerStatus` tells, by name of the container.
    pub container_info: BTreeMap<String, String>,
}

/// What it was asked.
#[derive(Debug, Default)]
pub struct Calls {
    /// How often, by name of the call.
    pub counts: BTreeMap<&'static str, usize>,
    /// Sandboxes removed through it, `namespace/name` of their pods.
    pub removed: Vec<String>,
    /// Calls that no caller should make.
    pub unexpected: Vec<String>,
}

/// A running (or killed) runtime.
pub struct FakeRuntime {
    socket: PathBuf,
    machine: Shared,
    mood: Arc<watch::Sender<Mood>>,
    calls: Arc<Mutex<Calls>>,
    process: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl FakeRuntime {
    /// Listens on `<dir>/containerd.sock`.
    pub fn start(dir: &Path, machine: Shared) -> io::Result<Self> {
        let mood = Arc::new(watch::Sender::new(Mood::default()));
        let socket = dir.join("containerd.sock");
        let mut runtime = Self { socket, machine, mood, calls: Arc::default(), process: None };
        runtime.restart()?;
        Ok(runtime)
    }

    /// For `--container-runtime-endpoint`.
    pub fn endpoint(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Changes how it answers, calls that hang at this moment included.
    pub fn mood(&self, change: impl FnOnce(&mut Mood)) {
        self.mood.send_modify(change);
    }

    /// What it was asked so far.
    pub fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often this call was made.
    pub fn count(&self, call: &str) -> usize {
        self.calls().counts.get(call).copied().unwrap_or(0)
    }

    /// SIGKILL: connections are cut, the socket's file stays, nobody listens. The machine goes on.
    pub fn kill(&mut self) {
        if let Some((stop, thread)) = self.process.take() {
            // It may have ended by itself already.
            let _ = stop.send(());
            let _ = thread.join();
        }
    }

    /// Comes (back) up on the same socket.
    pub fn restart(&mut self) -> io::Result<()> {
        self.kill();
        match std::fs::remove_file(&self.socket) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(&self.socket)?;
        listener.set_nonblocking(true)?;
        let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let service =
            Service { machine: self.machine.clone(), mood: self.mood.subscribe(), calls: Arc::clone(&self.calls) };
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            tokio.block_on(async {
                tokio::select! {
                    served = serve(listener, service) => if let Err(e) = served {
                        eprintln!("fake runtime: {e}");
                    },
                    _ = stopped => {}
                }
            });
        });
        self.process = Some((stop, thread));
        Ok(())
    }
}

impl Drop for FakeRuntime {
    fn drop(&mut self) {
        self.kill();
    }
}

async fn serve(
    listener: std::os::unix::net::UnixListener,
    service: Service,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let listener = UnixListener::from_std(listener)?;
    let incoming = stream::unfold(listener, |listener| async {
        let connection = listener.accept().await.map(|(connection, _)| connection);
        Some((connection, listener))
    });
    tonic::transport::Server::builder()
        .add_service(RuntimeServiceServer::new(service.clone()))
        .add_service(ImageServiceServer::new(service))
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}

#[derive(Clone)]
struct Service {
    machine: Shared,
    mood: watch::Receiver<Mood>,
    calls: Arc<Mutex<Calls>>,
}

impl Service {
    /// Counts the call, and does what the mood says.
    async fn enter(&self, call: &'static str) -> Result<Mood, Status> {
        *self.calls().counts.entry(call).or_default() += 1;
        let mut mood = self.mood.clone();
        // The sender lives as long as the runtime.
        let mood = mood.wait_for(|mood| !mood.hangs).await.map_err(|e| Status::unavailable(e.to_string()))?.clone();
        mood.fails.clone().map_or(Ok(mood), |why| Err(Status::internal(why)))
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[tonic::async_trait]
impl RuntimeService for Service {
    async fn version(&self, _: Request<proto::VersionRequest>) -> Result<Response<proto::VersionResponse>, Status> {
        self.enter("Version").await?;
        Ok(Response::new(proto::VersionResponse {
            version: "0.1.0".to_owned(),
            runtime_name: "fake".to_owned(),
            runtime_version: "v1.0".to_owned(),
            runtime_api_version: "v1".to_owned(),
        }))
    }

    async fn status(&self, asked: Request<proto::StatusRequest>) -> Result<Response<proto::StatusResponse>, Status> {
        self.enter("Status").await?;
        let condition = |name: &str, status, reason: &str| proto::RuntimeCondition {
            r#type: name.to_owned(),
            status,
            reason: reason.to_owned(),
            message: String::new(),
        };
        let conditions = vec![condition("RuntimeReady", true, ""), condition("NetworkReady", false, "NoCNI")];
        let config = r#"{"enableCRIU":true,"enableExperimentalRestoreViaCreate":false}"#;
        let info = if asked.get_ref().verbose { [("config".to_owned(), config.to_owned())].into() } else { [].into() };
        Ok(Response::new(proto::StatusResponse { status: Some(proto::RuntimeStatus { conditions }), info }))
    }

    async fn list_pod_sandbox(
        &self,
        _: Request<proto::ListPodSandboxRequest>,
    ) -> Result<Response<proto::ListPodSandboxResponse>, Status> {
        let mut items = self.enter("ListPodSandbox").await?.odd_sandboxes;
        items.extend(self.machine.lock().sandboxes.iter().map(|s| proto::PodSandbox {
            id: s.id.clone(),
            state: i32::from(!s.ready),
            created_at: s.created_at,
            labels: s.labels.clone().into_iter().collect(),
            annotations: s.annotations.clone().into_iter().collect(),
        }));
        Ok(Response::new(proto::ListPodSandboxResponse { items }))
    }

    async fn list_containers(
        &self,
        _: Request<proto::ListContainersRequest>,
    ) -> Result<Response<proto::ListContainersResponse>, Status> {
        let mut containers = self.enter("ListContainers").await?.odd_containers;
        for sandbox in &self.machine.lock().sandboxes {
            containers.extend(sandbox.containers.iter().map(|c| shown(sandbox, c)));
        }
        Ok(Response::new(proto::ListContainersResponse { containers }))
    }

    async fn stop_pod_sandbox(
        &self,
        request: Request<proto::StopPodSandboxRequest>,
    ) -> Result<Response<proto::StopPodSandboxResponse>, Status> {
        self.enter("StopPodSandbox").await?;
        let id = request.into_inner().pod_sandbox_id;
        if self.machine.lock().stop_sandbox(&id) {
            return Ok(Response::new(proto::StopPodSandboxResponse {}));
        }
        Err(Status::not_found(id))
    }

    async fn remove_pod_sandbox(
        &self,
        request: Request<proto::RemovePodSandboxRequest>,
    ) -> Result<Response<proto::RemovePodSandboxResponse>, Status> {
        self.enter("RemovePodSandbox").await?;
        let id = request.into_inner().pod_sandbox_id;
        let mut machine = self.machine.lock();
        let Some((pod, ready)) = machine.sandboxes.iter().find(|s| s.id == id).map(|s| (s.pod(), s.ready)) else {
            return Err(Status::not_found(id));
        };
        machine.remove_sandbox(&id);
        let mut calls = self.calls();
        if ready {
            calls.unexpected.push(format!("RemovePodSandbox of {pod}, which was not stopped"));
        }
        calls.removed.push(pod);
        Ok(Response::new(proto::RemovePodSandboxResponse {}))
    }

    async fn container_status(
        &self,
        request: Request<proto::ContainerStatusRequest>,
    ) -> Result<Response<proto::ContainerStatusResponse>, Status> {
        let mood = self.enter("ContainerStatus").await?;
        let proto::ContainerStatusRequest { container_id, verbose } = request.into_inner();
        let machine = self.machine.lock();
        let mut containers = machine.sandboxes.iter().flat_map(|sandbox| &sandbox.containers);
        let container = containers.find(|c| c.id == container_id).ok_or_else(|| Status::not_found(container_id))?;
        let told = mood.container_info.get(&container.name).filter(|_| verbose);
        let info = told.map(|info| ("info".to_owned(), info.clone())).into_iter().collect();
        Ok(Response::new(proto::ContainerStatusResponse { info }))
    }

    type GetContainerEventsStream = BoxStream<'static, Result<proto::ContainerEventResponse, Status>>;

    /// As containerd's: even the response headers come with the first event only.
    async fn get_container_events(
        &self,
        _: Request<proto::GetEventsRequest>,
    ) -> Result<Response<Self::GetContainerEventsStream>, Status> {
        let mut events = self.machine.lock().events();
        let mood = self.enter("GetContainerEvents").await?;
        if mood.no_events {
            return Err(Status::unimplemented("unknown method GetContainerEvents"));
        }
        let first = match mood.backlog {
            0 => next_event(&mut events).await.into_iter().collect(),
            old => vec!["old".to_owned(); old],
        };
        let later = stream::unfold((events, self.mood.clone()), |(mut events, mut mood)| async {
            let event = next_event(&mut events).await?;
            mood.wait_for(|mood| !mood.hangs).await.ok()?;
            Some((event, (events, mood)))
        });
        let all = stream::iter(first).chain(later);
        Ok(Response::new(all.map(|container_id| Ok(proto::ContainerEventResponse { container_id })).boxed()))
    }
}

#[tonic::async_trait]
impl ImageService for Service {
    async fn image_status(
        &self,
        request: Request<proto::ImageStatusRequest>,
    ) -> Result<Response<proto::ImageStatusResponse>, Status> {
        self.enter("ImageStatus").await?;
        let name = request.into_inner().image.unwrap_or_default().image;
        let image = self.machine.lock().images.get(&name).map(|id| proto::Image { id: id.clone() });
        Ok(Response::new(proto::ImageStatusResponse { image }))
    }
}

async fn next_event(events: &mut broadcast::Receiver<String>) -> Option<String> {
    loop {
        match events.recv().await {
            Ok(event) => return Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

fn shown(sandbox: &machine::Sandbox, container: &machine::Container) -> proto::Container {
    let state = match container.state {
        State::Running => proto::ContainerState::ContainerRunning,
        State::Exited => proto::ContainerState::ContainerExited,
    };
    let mut labels = sandbox.labels.clone();
    labels.insert(CONTAINER_NAME.to_owned(), container.name.clone());
    proto::Container {
        id: container.id.clone(),
        pod_sandbox_id: sandbox.id.clone(),
        state: state.into(),
        created_at: container.created_at,
        labels: labels.into_iter().collect(),
        annotations: [(RESTART_COUNT.to_owned(), container.restarts.to_string())].into(),
    }
}
