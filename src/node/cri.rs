//! The container runtime over CRI v1: lists, events, images, and the removal of sandboxes. Every call has a deadline.
//! What the answers mean for a pod is not decided here.

use std::error::Error as _;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use super::cri_pods::node_pods;
use super::cri_proto as proto;
use super::cri_socket;
use super::cri_socket::EndpointError;
use crate::pod::key::{ContainerId, SandboxId};
use crate::pod::runtime::NodePods;
use proto::image_service_client::ImageServiceClient;
use proto::runtime_service_client::RuntimeServiceClient;

/// How long one question may take. A healthy runtime answers within milliseconds.
const UNARY_LIMIT: Duration = Duration::from_secs(2);
/// Stopping a sandbox kills its processes and tears down its network; together with the removal.
const REMOVE_LIMIT: Duration = Duration::from_secs(10);
/// What the kubelet itself allows a CRI answer to have; gRPC's default of 4 MiB is some hundred pods.
const MAX_ANSWER: usize = 16 << 20;

/// A call of the runtime failed.
#[derive(Debug, thiserror::Error)]
pub enum CriError {
    /// The endpoint cannot be one.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Nobody listens, or it hung up.
    #[error("cannot reach the container runtime at {}: {why}; is it running, is its socket mounted?", .socket.display())]
    Unreachable {
        /// Path of the runtime's socket.
        socket: PathBuf,
        /// The whole chain of causes.
        why: String,
    },
    /// Something accepts connections and does not answer.
    #[error("the container runtime at {} did not answer {call} within {limit:?}; it hangs or is overloaded", .socket.display())]
    TimedOut {
        /// Path of the runtime's socket.
        socket: PathBuf,
        /// Name of the call.
        call: &'static str,
        /// How long was waited.
        limit: Duration,
    },
    /// The runtime does not know this call: for `Version` no CRI v1 at all, for `GetContainerEvents` no events.
    #[error("the container runtime at {} does not implement CRI v1 {call}: {message}", .socket.display())]
    Unimplemented {
        /// Path of the runtime's socket.
        socket: PathBuf,
        /// Name of the call.
        call: &'static str,
        /// What the runtime says of it.
        message: String,
    },
    /// The runtime answered with an error.
    #[error("the container runtime at {} failed {call}: {code:?}: {message}", .socket.display())]
    Failed {
        /// Path of the runtime's socket.
        socket: PathBuf,
        /// Name of the call.
        call: &'static str,
        /// The code that gRPC has for it.
        code: Code,
        /// What the runtime says of it.
        message: String,
    },
}

/// Name and version of the container runtime, as its `Version` call has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeVersion {
    /// E.g. `containerd`.
    pub name: String,
    /// E.g. `v2.3.4`.
    pub version: String,
}

/// A client of the runtime. Cheap to clone; connects when first used, and again after the runtime was restarted.
#[derive(Debug, Clone)]
pub struct Cri {
    socket: PathBuf,
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
    limit: Duration,
}

/// "Look again", as often as the runtime says so. Ends with an error when the runtime goes away.
pub type Events = BoxStream<'static, Result<(), CriError>>;

impl Cri {
    /// A client of the runtime at `unix:///path` or `/path`, whether or not it is up yet. Must be called within a tokio
    /// runtime.
    pub fn lazy(endpoint: &str) -> Result<Self, CriError> {
        Ok(Self::of_first(vec![cri_socket::parse(endpoint)?]))
    }

    /// A client of whichever of these sockets takes a connection first, in their order, at each connection anew;
    /// errors name the first.
    fn of_first(sockets: Vec<PathBuf>) -> Self {
        let socket = sockets.first().cloned().unwrap_or_default();
        let connector = tower::service_fn(move |_| {
            let sockets = sockets.clone();
            async move { connect_first(&sockets).await.map(TokioIo::new) }
        });
        // The name goes into the :authority header alone; the connector knows where to connect.
        let channel = Endpoint::from_static("http://localhost")
            .connect_timeout(UNARY_LIMIT)
            .connect_with_connector_lazy(connector);
        Self {
            runtime: RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(MAX_ANSWER),
            images: ImageServiceClient::new(channel),
            socket,
            limit: UNARY_LIMIT,
        }
    }

    /// A client of a runtime that is up and speaks CRI v1.
    pub async fn connect(endpoint: &str) -> Result<Self, CriError> {
        let cri = Self::lazy(endpoint)?;
        cri.version().await?;
        Ok(cri)
    }

    /// A client of the first of `sockets` that answers. Where none does: one that connects to the first that comes up,
    /// and why the first did not answer; an agent goes on with it, since a runtime comes back. A socket whose owner
    /// has no CRI v1 is not tried again.
    pub async fn first_that_answers(sockets: &[PathBuf]) -> Result<(Self, Option<CriError>), CriError> {
        let mut first_error = None;
        let mut hopeful = Vec::new();
        for socket in sockets {
            let cri = Self::lazy(&socket.to_string_lossy())?;
            match cri.version().await {
                Ok(_) => return Ok((cri, None)),
                Err(why) => {
                    if !matches!(why, CriError::Unimplemented { .. }) {
                        hopeful.push(socket.clone());
                    }
                    first_error = first_error.or(Some(why));
                }
            }
        }
        let Some(why) = first_error else { return Err(EndpointError::NoneFound { tried: Vec::new() }.into()) };
        let sockets = if hopeful.is_empty() { sockets.to_vec() } else { hopeful };
        Ok((Self::of_first(sockets), Some(why)))
    }

    /// The same client with another deadline for questions (2 s unless set).
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Path of the socket that it is asked through.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Name and version of the runtime; an error where it does not speak CRI v1.
    pub async fn version(&self) -> Result<RuntimeVersion, CriError> {
        let mut client = self.runtime.clone();
        let answer = self.ask("Version", client.version(proto::VersionRequest::default())).await?;
        Ok(RuntimeVersion { name: answer.runtime_name, version: answer.runtime_version })
    }

    /// What the runtime says is wrong with itself (its network not ready, say), one line each; empty when nothing is.
    pub async fn complaints(&self) -> Result<Vec<String>, CriError> {
        let mut client = self.runtime.clone();
        let answer = self.ask("Status", client.status(proto::StatusRequest { verbose: false })).await?;
        let conditions = answer.status.map(|s| s.conditions).unwrap_or_default();
        let bad = conditions.into_iter().filter(|c| !c.status);
        Ok(bad.map(|c| format!("{} is false: {} {}", c.r#type, c.reason, c.message)).collect())
    }

    /// The runtime's own configuration as it tells it (`Status` with `verbose`, key `config`), for [`super::criu`]; none
    /// where it tells none, as CRI-O.
    pub async fn configuration(&self) -> Result<Option<serde_json::Value>, CriError> {
        let mut client = self.runtime.clone();
        let answer = self.ask("Status", client.status(proto::StatusRequest { verbose: true })).await?;
        Ok(answer.info.get("config").and_then(|text| serde_json::from_str(text).ok()))
    }

    /// Every pod sandbox that the kubelet made, with its containers. Sandboxes and containers without the kubelet's labels
    /// are somebody else's and left out.
    pub async fn list(&self) -> Result<NodePods, CriError> {
        let (mut one, mut two) = (self.runtime.clone(), self.runtime.clone());
        let (sandboxes, containers) = tokio::try_join!(
            self.ask("ListPodSandbox", one.list_pod_sandbox(proto::ListPodSandboxRequest {})),
            self.ask("ListContainers", two.list_containers(proto::ListContainersRequest {})),
        )?;
        Ok(node_pods(sandboxes.items, containers.containers))
    }

    /// What the runtime tells of a container besides its status (`ContainerStatus` with `verbose`, key `info`); none where it
    /// tells nothing. It has the container's environment in it, and so secrets.
    pub async fn container_info(&self, id: &ContainerId) -> Result<Option<String>, CriError> {
        let mut client = self.runtime.clone();
        let asked = proto::ContainerStatusRequest { container_id: id.0.clone(), verbose: true };
        let mut answer = self.ask("ContainerStatus", client.container_status(asked)).await?;
        Ok(answer.info.remove("info"))
    }

    /// Subscribes to changes. The subscription is sent when the stream is first polled; nothing confirms it, because
    /// runtimes send their response headers with the first event. So there is no deadline on it either.
    pub fn events(&self) -> Events {
        const CALL: &str = "GetContainerEvents";
        let (mut client, socket) = (self.runtime.clone(), self.socket.clone());
        let end = socket.clone();
        let open = async move { client.get_container_events(proto::GetEventsRequest {}).await };
        futures::stream::once(open)
            .map_ok(tonic::Response::into_inner)
            .try_flatten()
            .map(move |event| event.map(drop).map_err(|status| failure(&socket, CALL, &status)))
            .chain(futures::stream::once(async move {
                Err(CriError::Unreachable { socket: end, why: "it ended the stream of events".to_owned() })
            }))
            .boxed()
    }

    /// Stops and removes a sandbox with its containers; one that is gone already is a success.
    pub async fn remove_sandbox(&self, id: &SandboxId) -> Result<(), CriError> {
        let mut client = self.runtime.clone();
        let pod_sandbox_id = id.0.clone();
        let both = async {
            let stop = proto::StopPodSandboxRequest { pod_sandbox_id: pod_sandbox_id.clone() };
            gone_is_fine(client.stop_pod_sandbox(stop).await)?;
            gone_is_fine(client.remove_pod_sandbox(proto::RemovePodSandboxRequest { pod_sandbox_id }).await)
        };
        self.within(REMOVE_LIMIT, "RemovePodSandbox", both).await
    }

    /// The runtime's id of an image, `None` where the node does not have it. `reference` as a pod spec writes it.
    pub async fn image_id(&self, reference: &str) -> Result<Option<String>, CriError> {
        let mut client = self.images.clone();
        let image = Some(proto::ImageSpec { image: reference.to_owned() });
        let answer = self.ask("ImageStatus", client.image_status(proto::ImageStatusRequest { image })).await?;
        Ok(answer.image.map(|image| image.id))
    }

    async fn ask<T>(
        &self,
        call: &'static str,
        answer: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, CriError> {
        self.within(self.limit, call, async { answer.await.map(tonic::Response::into_inner) }).await
    }

    async fn within<T>(
        &self,
        limit: Duration,
        call: &'static str,
        answer: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, CriError> {
        match tokio::time::timeout(limit, answer).await {
            Ok(answer) => answer.map_err(|status| failure(&self.socket, call, &status)),
            Err(_) => Err(CriError::TimedOut { socket: self.socket.clone(), call, limit }),
        }
    }
}

async fn connect_first(sockets: &[PathBuf]) -> std::io::Result<UnixStream> {
    let mut first_error = None;
    for socket in sockets {
        match UnixStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(why) => first_error = first_error.or(Some(why)),
        }
    }
    Err(first_error.unwrap_or_else(|| std::io::ErrorKind::NotFound.into()))
}

fn gone_is_fine<T>(answer: Result<T, Status>) -> Result<(), Status> {
    match answer {
        Err(status) if status.code() != Code::NotFound => Err(status),
        _ => Ok(()),
    }
}

/// What a status means. One with a source never came from the runtime: the connection failed.
fn failure(socket: &Path, call: &'static str, status: &Status) -> CriError {
    let (socket, message) = (socket.to_owned(), status.message().to_owned());
    if let Some(mut cause) = status.source() {
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        return CriError::Unreachable { socket, why: cause.to_string() };
    }
    match status.code() {
        Code::Unimplemented => CriError::Unimplemented { socket, call, message },
        Code::Unavailable => CriError::Unreachable { socket, why: message },
        code => CriError::Failed { socket, call, code, message },
    }
}
