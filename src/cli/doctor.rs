//! `doctor`: every precondition of this node, how it stands, and the remedy. Looks; changes nothing but small files of
//! its own that it removes.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use serde::Serialize;

use super::output::{self, Format};
use super::{DONE, FAILED, MISUSED, node_view, runtime as tokio_runtime};
use crate::agent::config::{NodeArgs, NodeConfig, ScopeArgs};
use crate::cluster::client::ApiClient;
use crate::cluster::config::{ClientConfig, SERVICE_ACCOUNT_DIR, TOKEN};
use crate::config::{ApiArgs, ApiConfig, ConfigError};
use crate::node::kubelet::KubeletDir;
use crate::pod::snapshot::Scope;

mod check;
mod checkpoints;
mod clock;
pub(super) mod cni;
mod directories;
mod kubelet;
mod lasting;
mod layout;
mod rights;
mod runtime;
mod selinux;

use check::{Check, CheckOutcome};

/// What `doctor` takes.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    api: ApiArgs,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Whose preconditions
    #[arg(long = "for", value_enum, default_value = "run", value_name = "ROLE")]
    role: Role,
    /// Directory of the pod network's configuration
    #[arg(long, env = "POD_CHECKPOINTER_CNI_DIR", value_name = "DIR", default_value = "/etc/cni/net.d")]
    cni_dir: PathBuf,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
}

/// Which of the program's roles is to work here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    /// The agent that keeps pods recoverable.
    Run,
    /// Container checkpoints.
    Serve,
}

#[derive(Debug, Serialize)]
struct Diagnosis {
    node: String,
    checks: Vec<Check>,
}

/// What is to be looked at.
struct Patient {
    name: String,
    node: NodeConfig,
    api: ApiConfig,
    scope: Scope,
    own_namespace: String,
    /// The same, where it was said and not guessed.
    given_namespace: Option<String>,
    cni_dir: PathBuf,
    role: Role,
}

/// Looks, prints, and says what the exit code is.
pub(super) fn run(args: DoctorArgs) -> u8 {
    let node_name = args.node.node_name_or_host();
    let format = args.output;
    let patient = match patient(args) {
        Ok(patient) => patient,
        Err(why) => return output::failed(&why, MISUSED),
    };
    let checks = match tokio_runtime() {
        Ok(runtime) => runtime.block_on(examine(&patient)),
        Err(why) => return output::failed(&why, FAILED),
    };
    let diagnosis = Diagnosis { node: node_name, checks };
    let printed = match format {
        Format::Json => output::print_json(&diagnosis),
        Format::Table => output::print_bytes(text(&diagnosis).as_bytes()),
    };
    let fails = diagnosis.checks.iter().any(|check| check.outcome == CheckOutcome::Fail);
    if printed == DONE && fails { FAILED } else { printed }
}

fn patient(args: DoctorArgs) -> Result<Patient, ConfigError> {
    let name = args.node.node_name_or_host();
    let given_namespace = args.scope.pod_namespace.clone().filter(|name| !name.is_empty());
    Ok(Patient {
        name,
        node: NodeConfig::from_args(args.node)?,
        api: ApiConfig::from_args(args.api)?,
        scope: args.scope.scope()?,
        own_namespace: given_namespace.clone().unwrap_or_else(|| "kube-system".to_owned()),
        given_namespace,
        cni_dir: args.cni_dir,
        role: args.role,
    })
}

async fn examine(patient: &Patient) -> Vec<Check> {
    let cri = node_view::runtime(&patient.node).await;
    let client = client(patient).await;
    match patient.role {
        Role::Run => {
            let mut checks = runtime::checks(&cri).await;
            checks.extend(kubelet::checks(&patient.node));
            checks.push(kubelet::version(&client, &patient.name).await);
            checks.extend(directories::checks(&patient.node));
            checks.push(selinux::check(&patient.node.etc_dir));
            checks.extend(lasting::checks(&patient.node.etc_dir, &patient.node.manifests_dir));
            checks.push(own_namespace(&patient.scope, patient.given_namespace.as_deref()));
            checks.push(clock::check(&patient.node.etc_dir, SystemTime::now()));
            checks.push(cni::check(&patient.cni_dir));
            checks.extend(rights::checks(&client, &rights::agent::role(&patient.scope, &patient.own_namespace)).await);
            checks
        }
        Role::Serve => {
            let mut checks = checkpoints::runtime(&cri).await;
            checks.push(checkpoints::criu());
            checks.extend(rights::checks(&client, &rights::serve::role(&patient.own_namespace)).await);
            checks.extend(checkpoints::neighbours().await);
            checks.push(checkpoints::apiservice(&client).await);
            checks
        }
    }
}

/// An agent that saves others and not itself brings nobody back after a power cut.
fn own_namespace(scope: &Scope, own: Option<&str>) -> Check {
    const NAME: &str = "the agent saves itself";
    match own {
        Some(own) => match scope.leaves_out(own) {
            None => Check::ok(NAME, format!("its namespace {own} is among those it keeps")),
            Some(why) => Check::fail(NAME, why, format!("add --namespace={own} to the agent's flags")),
        },
        None if *scope == Scope::All => Check::ok(NAME, "it keeps every namespace"),
        None => Check::warn(
            NAME,
            "not proven: its own namespace is not known here",
            "run doctor in the agent's pod, or give --pod-namespace and the agent's --namespace",
        ),
    }
}

/// As the agent would ask: the same servers, with the pod's own token or the kubeconfig given.
async fn client(patient: &Patient) -> Result<ApiClient, String> {
    let credentials = Path::new(SERVICE_ACCOUNT_DIR);
    if patient.api.kubeconfig.is_none() && !credentials.join(TOKEN).exists() {
        return Err("not asked: this is no pod with a ServiceAccount, and there is no --kubeconfig".to_owned());
    }
    let kubelet = KubeletDir::new(&patient.node.kubelet_dir);
    let kubelets = kubelet.api_server(patient.node.kubelet_kubeconfig.as_deref()).ok();
    let service = patient.api.service.as_ref().map(crate::config::ServiceEndpoint::url);
    let servers = patient.api.servers.iter().cloned().chain(kubelets).chain(service);
    let config = ClientConfig::in_pod(servers, credentials, patient.api.kubeconfig.clone());
    ApiClient::new(&config).await.map_err(|why| why.to_string())
}

fn text(diagnosis: &Diagnosis) -> String {
    let mut table = output::table(&["", "CHECK", "FINDING"]);
    for check in &diagnosis.checks {
        let remedy = check.remedy.as_ref().map_or_else(String::new, |remedy| format!("\n→ {remedy}"));
        table.add_row([check.outcome.word(), &check.name, &format!("{}{remedy}", check.finding)]);
    }
    let count = |outcome| diagnosis.checks.iter().filter(|check| check.outcome == outcome).count();
    let (ok, warn, fail) = (count(CheckOutcome::Ok), count(CheckOutcome::Warn), count(CheckOutcome::Fail));
    format!("Node {}\n{}\n{ok} ok, {warn} to know, {fail} to mend\n", diagnosis.node, output::trimmed(&table))
}
