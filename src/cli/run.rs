//! `run`: the agent. Reads the configuration, sets up logs, and tells what cannot work from what went wrong.

use anyhow::Error;

use super::{DONE, FAILED, MISUSED, output, runtime};
use crate::agent;
use crate::agent::config::{AgentConfig, RunArgs};
use crate::cluster::config::ClientConfigError;
use crate::logs;
use crate::node::cri::CriError;
use crate::node::cri_socket::EndpointError;

/// Shown below `run --help`.
pub(super) const EXAMPLES: &str = "\
Examples:
  # in its DaemonSet: everything comes from the downward API
  pod-checkpointer run

  # outside a pod, as root
  pod-checkpointer run --node-name node-1 --kubeconfig /etc/kubernetes/admin.conf

  # pods of two namespaces
  pod-checkpointer run --namespace kube-system --namespace plant

  # on k3s
  pod-checkpointer run --manifests-dir /var/lib/rancher/k3s/agent/pod-manifests \\
    --kubelet-kubeconfig /var/lib/rancher/k3s/agent/kubelet.kubeconfig

It runs until it is told to stop, and logs to stderr. Every flag is also an environment variable.
Exit codes: 0 told to stop; 1 it failed; 2 flags or files that cannot be used.";

/// Runs the agent until it ends, and says what the exit code is.
pub(super) fn run(args: RunArgs) -> u8 {
    let config = match AgentConfig::from_args(args) {
        Ok(config) => config,
        Err(why) => return output::failed(&why, MISUSED),
    };
    if let Err(why) = logs::init(&config.logs) {
        return output::failed(&why, FAILED);
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(why) => return output::failed(&why, FAILED),
    };
    let ended = runtime.block_on(agent::run(config));
    // A disk that hangs must not keep the process: what was written is durable or will be finished at the next start.
    runtime.shutdown_background();
    match ended {
        Ok(()) => DONE,
        Err(why) => {
            tracing::error!("{why:#}");
            code(&why)
        }
    }
}

/// What no waiting will mend is a matter of configuration.
fn code(why: &Error) -> u8 {
    let configuration = why.chain().any(|cause| {
        cause.is::<ClientConfigError>()
            || cause.is::<EndpointError>()
            || matches!(cause.downcast_ref(), Some(CriError::Endpoint(_)))
    });
    if configuration { MISUSED } else { FAILED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_must_mend_is_told_from_what_failed() {
        assert_eq!(code(&Error::from(ClientConfigError::NoServer).context("starting")), MISUSED);
        let none = CriError::Endpoint(EndpointError::NoneFound { tried: Vec::new() });
        assert_eq!(code(&Error::from(none)), MISUSED);
        assert_eq!(code(&Error::from(std::io::Error::other("disk"))), FAILED);
    }
}
