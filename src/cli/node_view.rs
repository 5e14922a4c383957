//! How `status` and `doctor` reach the runtime of this node: without asking the agent.

use crate::agent::config::NodeConfig;
use crate::node::cri::Cri;
use crate::node::cri_socket;
use crate::node::kubelet::KubeletDir;

/// A client of the runtime that the operator named, else the kubelet's, else the first usual one that answers. Whether
/// it answers shows when it is asked.
pub(super) async fn runtime(node: &NodeConfig) -> Result<Cri, String> {
    let given = node.runtime_socket.as_ref().map(|path| path.to_string_lossy().into_owned());
    // A kubelet configuration that cannot be read is told by `doctor`; here the usual sockets are tried.
    let kubelets = KubeletDir::new(&node.kubelet_dir).config().ok().flatten();
    let kubelets = kubelets.and_then(|config| config.container_runtime_endpoint);
    let sockets = cri_socket::candidates(given.as_deref(), kubelets.as_deref()).map_err(|why| why.to_string())?;
    let (cri, silent) = Cri::first_that_answers(&sockets.paths).await.map_err(|why| why.to_string())?;
    match (silent, sockets.doubt) {
        (Some(_), Some(why)) => Err(why.to_string()),
        _ => Ok(cri),
    }
}
