//! One validated configuration of `serve`, from its flags and the environment variables of the source document. Which
//! those are, and which of them mean anything, is data: [`VARIABLES`].

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::checker::{Checker, given};
use crate::config::{ApiConfig, ConfigError, LogFormat, Logs, Problem};
use crate::serve::jobs::limits;
use crate::serve::retention::PolicySource;

mod args;
mod variables;

pub use args::ServeArgs;
pub use variables::{Use, VARIABLES, Variable};

/// Everything `serve` needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeConfig {
    /// Repository that images are pushed to: `HOST[:PORT]/REPOSITORY`, the tag is the job's.
    pub image_prefix: String,
    /// Namespace that `serve` runs in, whose Secrets it reads.
    pub namespace: String,
    /// Name of the node that it runs on.
    pub node: String,
    /// Its address: where the kubelet is asked, and what our certificate is for.
    pub node_ip: IpAddr,
    /// TCP port to listen on, at every address.
    pub port: u16,
    /// Plain HTTP in place of TLS.
    pub plain_http: bool,
    /// Take tokens that were made for the API server too.
    pub accept_api_tokens: bool,
    /// Hand requests for other nodes' pods to the instance there.
    pub forwards: bool,
    /// Jobs that wait or run at a time.
    pub max_queue: usize,
    /// Where our jobs are kept.
    pub storage: PathBuf,
    /// Where the kubelet puts archives.
    pub checkpoints: PathBuf,
    /// Where the runtime keeps containers' state, with the log of a failed dump.
    pub runtime_state: PathBuf,
    /// How the kubelet is reached, and where its archives lie.
    pub kubelet: KubeletArgs,
    /// Where images go, and how.
    pub registry: RegistryArgs,
    /// Where the policy of retention is from.
    pub retention: PolicySource,
    /// How the API server is reached.
    pub api: ApiConfig,
    /// Directory with the credentials of our ServiceAccount.
    pub service_account: PathBuf,
    /// The token for other instances, bound to our audience.
    pub peer_token: PathBuf,
    /// Level and form of the log.
    pub logs: Logs,
    /// Variables that are set and mean nothing here, one line each, to be logged once.
    pub ignored: Vec<String>,
}

/// How the kubelet is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KubeletArgs {
    /// Port of the kubelet's HTTPS API.
    pub port: u16,
    /// Its directory, for the certificate that it made for itself.
    pub dir: PathBuf,
    /// Its CA, where given.
    pub ca: Option<PathBuf>,
    /// Client certificate, used where it is there.
    pub certificate: PathBuf,
    /// Path of the key of that certificate.
    pub key: PathBuf,
    /// Believe whoever answers.
    pub insecure: bool,
}

/// How images are pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryArgs {
    /// `HOST[:PORT]` of registries that speak plain HTTP.
    pub plain_http: Vec<String>,
    /// CA besides the public ones.
    pub ca: Option<PathBuf>,
    /// Secret in our namespace with the credentials; one that is not there is no credentials.
    pub pull_secret: String,
    /// What a push may take.
    pub limit: Duration,
}

impl ServeConfig {
    /// Checks the arguments of `serve`.
    ///
    /// # Errors
    /// One error with everything that is missing or wrong.
    pub fn from_args(args: ServeArgs) -> Result<Self, ConfigError> {
        let mut check = Checker::default();
        let ignored = variables::ignored(&args);
        let production = args.environment.as_deref() == Some("prod");
        let log_level = given(args.log_level).unwrap_or_else(|| "info".to_owned());
        check.log_level(&log_level);
        let format = args.log_format.unwrap_or(if production { LogFormat::Json } else { LogFormat::Text });
        for (flag, path) in [
            ("--storage", &args.storage),
            ("--checkpoints-dir", &args.checkpoints_dir),
            ("--kubelet-dir", &args.kubelet_dir),
            ("--runtime-state-dir", &args.runtime_state_dir),
        ] {
            check.absolute(flag, path);
        }
        for (flag, file) in [("--kubelet-ca", &args.kubelet_ca), ("--registry-ca", &args.registry_ca)] {
            if let Some(file) = file {
                check.readable_file(flag, file, "give a file of PEM certificates");
            }
        }
        if let Some(file) = &args.retention_policy {
            check.readable_file("--retention-policy", file, "give a CheckpointRestoreOperator in YAML");
        }
        let config = Self {
            image_prefix: check.image_prefix(given(args.image_prefix)),
            namespace: check.required_name("--namespace", "CHECKPOINTER_NAMESPACE", NAMESPACE, given(args.namespace)),
            node: check.required_name("--node-name", "CHECKPOINTER_NODE", NODE, given(args.node_name)),
            node_ip: check.node_ip(given(args.node_ip)),
            port: check.port("--port", given(args.port), 3333),
            plain_http: args.plain_http,
            accept_api_tokens: args.accept_api_tokens,
            forwards: !check.switch("--disable-route-forward", args.disable_route_forward.as_deref()),
            max_queue: check.queue(args.max_queue),
            storage: args.storage,
            checkpoints: args.checkpoints_dir,
            runtime_state: args.runtime_state_dir,
            kubelet: KubeletArgs {
                port: check.port("--kubelet-port", given(args.kubelet_port), 10250),
                dir: args.kubelet_dir,
                ca: args.kubelet_ca,
                certificate: args.kubelet_cert_file,
                key: args.kubelet_key_file,
                insecure: check.switch("--kubelet-allow-insecure", args.kubelet_allow_insecure.as_deref()),
            },
            registry: RegistryArgs {
                plain_http: args.plain_http_registry.into_iter().filter(|host| !host.is_empty()).collect(),
                ca: args.registry_ca,
                pull_secret: check.pull_secret(args.pull_secret),
                limit: check.push_timeout(given(args.push_timeout)),
            },
            retention: args.retention_policy.map_or(PolicySource::Resources, PolicySource::File),
            api: check.api(args.api),
            service_account: args.service_account_dir,
            peer_token: args.peer_token,
            logs: Logs { format, level: log_level },
            ignored,
        };
        check.finish(config)
    }
}

const NAMESPACE: &str =
    "give the namespace that this runs in; in a pod from the downward API, fieldPath metadata.namespace";
const NODE: &str = "give the node's name; in a pod from the downward API, fieldPath spec.nodeName";

impl Checker {
    fn missing(&mut self, flag: &'static str, variable: &'static str, remedy: &'static str) {
        self.problem(Problem::Missing { flag, variable, remedy });
    }

    fn required_name(
        &mut self,
        flag: &'static str,
        variable: &'static str,
        remedy: &'static str,
        value: Option<String>,
    ) -> String {
        match value {
            None => {
                self.missing(flag, variable, remedy);
                String::new()
            }
            Some(name) => {
                if let Err(why) = crate::dns_name::check_name("name", &name) {
                    self.unusable(flag, name.clone(), why.to_string());
                }
                name
            }
        }
    }

    fn image_prefix(&mut self, value: Option<String>) -> String {
        let Some(prefix) = value else {
            self.missing(
                "--image-prefix",
                "CHECKPOINT_IMAGE_PREFIX",
                "give the repository for images, like registry.example.com/checkpoints",
            );
            return String::new();
        };
        // Any tag does: the job's is put there.
        if let Err(why) = crate::registry::reference::ImageReference::parse(&format!("{prefix}:0")) {
            self.unusable("--image-prefix", prefix.clone(), why.to_string());
        }
        prefix
    }

    fn node_ip(&mut self, value: Option<String>) -> IpAddr {
        const FLAG: &str = "--node-ip";
        match value.as_deref().map(str::parse) {
            Some(Ok(address)) => return address,
            Some(Err(_)) => {
                self.unusable(FLAG, value.unwrap_or_default(), "write an IP address, like 10.0.0.11");
            }
            None => self.missing(
                FLAG,
                "CHECKPOINTER_NODE_IP",
                "give the node's IP address; in a pod from the downward API, fieldPath status.hostIP",
            ),
        }
        IpAddr::from([0, 0, 0, 0])
    }

    fn port(&mut self, flag: &'static str, value: Option<String>, otherwise: u16) -> u16 {
        match value.as_deref().map(str::parse) {
            None => otherwise,
            Some(Ok(port)) if port > 0 => port,
            Some(_) => {
                self.unusable(flag, value.unwrap_or_default(), "write a number from 1 to 65535");
                otherwise
            }
        }
    }

    /// As the source document has it: `true`, or not set. Anything else is more likely a mistake than a no.
    fn switch(&mut self, flag: &'static str, value: Option<&str>) -> bool {
        match value.filter(|text| !text.is_empty()) {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                self.unusable(flag, other, "write true or false");
                false
            }
        }
    }

    fn queue(&mut self, jobs: usize) -> usize {
        if !(1..=1000).contains(&jobs) {
            self.unusable("--max-queue", jobs.to_string(), "from 1 to 1000");
        }
        jobs
    }

    fn pull_secret(&mut self, name: String) -> String {
        if let Err(why) = crate::dns_name::check_name("Secret", &name) {
            self.unusable("--pull-secret", name.clone(), why.to_string());
        }
        name
    }

    fn push_timeout(&mut self, seconds: Option<String>) -> Duration {
        match seconds.as_deref().map(str::parse) {
            None => limits::PUSH,
            Some(Ok(seconds)) if seconds > 0 => Duration::from_secs(seconds),
            Some(_) => {
                self.unusable("--push-timeout", seconds.unwrap_or_default(), "write whole seconds, at least 1");
                limits::PUSH
            }
        }
    }
}

#[cfg(test)]
mod tests;
