//! The environment variables of the source document, one row each: docs and the log of `serve` are made from this.

use super::args::ServeArgs;

/// What becomes of a variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// It must be set; this is the flag that does the same.
    Required(&'static str),
    /// It sets this flag.
    Sets(&'static str),
    /// It sets nothing, for this reason.
    Ignored(&'static str),
}

/// One of the source document's variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable {
    /// Name of the environment variable.
    pub name: &'static str,
    /// What becomes of it.
    pub usage: Use,
    /// What it means here.
    pub meaning: &'static str,
}

const fn row(name: &'static str, usage: Use, meaning: &'static str) -> Variable {
    Variable { name, usage, meaning }
}

/// All of them, in the document's order.
pub const VARIABLES: [Variable; 17] = [
    row("CHECKPOINT_IMAGE_PREFIX", Use::Required("--image-prefix"), "repository that images are pushed to"),
    row("CHECKPOINTER_NAMESPACE", Use::Required("--namespace"), "namespace of this program"),
    row("CHECKPOINTER_NODE", Use::Required("--node-name"), "name of this node"),
    row("CHECKPOINTER_NODE_IP", Use::Required("--node-ip"), "address of this node"),
    row("CHECKPOINTER_PORT", Use::Sets("--port"), "port to listen on, 3333"),
    row("KUBELET_PORT", Use::Sets("--kubelet-port"), "the kubelet's port, 10250"),
    row("CHECKPOINT_BASE_IMAGE", Use::Ignored("a checkpoint image is the archive alone, on no other image"), ""),
    row("KANIKO_SECRET_NAME", Use::Sets("--pull-secret"), "Secret with the registry's credentials, kaniko-secret"),
    row("KANIKO_TIMEOUT", Use::Sets("--push-timeout"), "what a push may take, in seconds; 3600 where not set"),
    row("STORAGE_BASE_PATH", Use::Sets("--storage"), "directory for the records of checkpoints"),
    row("KANIKO_BUILD_CTX_DIR", Use::Ignored("images are pushed from the archive itself, without a build"), ""),
    row(
        "KUBELET_CERT_FILE",
        Use::Sets("--kubelet-cert-file"),
        "client certificate for the kubelet, used where it is there",
    ),
    row("KUBELET_KEY_FILE", Use::Sets("--kubelet-key-file"), "its key"),
    row(
        "KUBELET_ALLOW_INSECURE",
        Use::Sets("--kubelet-allow-insecure"),
        "true: the kubelet's certificate is not looked at",
    ),
    row(
        "DISABLE_ROUTE_FORWARD",
        Use::Sets("--disable-route-forward"),
        "true: requests for other nodes' pods are refused",
    ),
    row("USE_KANIKO_FS", Use::Ignored("images are pushed from the archive itself, without a build"), ""),
    row("ENVIRONMENT", Use::Sets("--log-format"), "prod: logs are JSON"),
];

/// One line for each variable that is set and means nothing.
pub(super) fn ignored(args: &ServeArgs) -> Vec<String> {
    let set = [
        ("CHECKPOINT_BASE_IMAGE", &args.checkpoint_base_image),
        ("KANIKO_BUILD_CTX_DIR", &args.kaniko_build_ctx_dir),
        ("USE_KANIKO_FS", &args.use_kaniko_fs),
    ];
    let line = |name: &str| {
        VARIABLES.iter().find(|row| row.name == name).and_then(|row| match row.usage {
            Use::Ignored(why) => Some(format!("{name} is set and ignored: {why}")),
            Use::Required(_) | Use::Sets(_) => None,
        })
    };
    let set = set.iter().filter(|(_, value)| value.as_ref().is_some_and(|value| !value.is_empty()));
    set.filter_map(|(name, _)| line(name)).collect()
}
