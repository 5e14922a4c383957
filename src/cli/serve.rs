//! `serve`: checkpoints of this node's containers over HTTPS. Reads the configuration, sets up logs, and tells what cannot
//! work from what went wrong.

use super::{DONE, FAILED, MISUSED, output, runtime};
use crate::cluster::config::ClientConfigError;
use crate::logs;
use crate::serve;
use crate::serve::config::{ServeArgs, ServeConfig};

/// Shown below `serve --help`.
pub(super) const EXAMPLES: &str = "\
Examples:
  # in its DaemonSet: names and addresses come from the downward API
  CHECKPOINT_IMAGE_PREFIX=registry.example.com/checkpoints pod-checkpointer serve

  # a registry in the cluster that speaks plain HTTP
  pod-checkpointer serve --plain-http-registry 10.0.0.5:5000 …

  # asking it: straight, with a token for it and nobody else …
  TOKEN=$(kubectl create token ci --audience pod-checkpointer)
  curl --cacert ca.crt -H \"Authorization: Bearer $TOKEN\" -d '{\"deletePod\": false}' \\
    https://NODE:3333/checkpoint/default/counter/counter

  # … or with a kubeconfig, through the APIService of manifests/apiservice
  pod-checkpointer checkpoint default/counter

Who may: `create` on pods/checkpoint of group checkpointer.alpha.coreos.com; `delete` on pods where the pod is to go; `get` on \
the Secret that an archive is sealed to. On its node `serve` can do whatever the kubelet's checkpoint API and the \
checkpoints directory allow: it sees the memory of every container that it is asked to save.

It runs until it is told to stop, and logs to stderr. The variables of the original (CHECKPOINT_IMAGE_PREFIX, \
CHECKPOINTER_NODE, …) stand beside their flags above.
Exit codes: 0 told to stop; 1 it failed; 2 flags, variables or files that cannot be used.";

/// Serves until it ends, and says what the exit code is.
pub(super) fn run(args: ServeArgs) -> u8 {
    let config = match ServeConfig::from_args(args) {
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
    let ended = runtime.block_on(serve::run(config));
    // A disk that hangs must not keep the process: jobs are on disk, and the next process goes on with them.
    runtime.shutdown_background();
    match ended {
        Ok(()) => DONE,
        Err(why) => {
            tracing::error!("{why:#}");
            // What no waiting will mend is a matter of configuration.
            let misused = why.chain().any(<dyn std::error::Error + 'static>::is::<ClientConfigError>);
            if misused { MISUSED } else { FAILED }
        }
    }
}
