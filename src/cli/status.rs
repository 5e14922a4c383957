//! `status`: which pods of this node would come back after a power cut. Reads disk, runtime and the agent's last report
//! itself, so that it works with the API server and the agent down.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;

use super::doctor::cni::{self, Network};
use super::lock_holder::{self, Holder};
use super::output::{self, Format};
use super::{DONE, FAILED, MISUSED, NOT_RESTORABLE, node_view, runtime};
use crate::agent::config::{NodeArgs, NodeConfig};
use crate::agent::store::{Layout, Store};
use crate::clock;
use crate::node::images;
use crate::node::kubelet::KubeletDir;
use crate::pod::runtime::{ImageRefs, Images, NodePods};
use crate::pod::snapshot::Inventory;
use crate::pod::status::StatusDoc;

pub mod merge;
mod text;

use merge::{Evidence, merge};

/// A report is a few hundred bytes a pod.
const LONGEST_REPORT: u64 = 4 << 20;

/// What `status` takes.
#[derive(Debug, Clone, Args)]
pub struct StatusArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Directory of the pod network's configuration
    #[arg(long, env = "POD_CHECKPOINTER_CNI_DIR", value_name = "DIR", default_value = "/etc/cni/net.d")]
    cni_dir: PathBuf,
    /// Form of the answer
    #[arg(short, long, value_enum, default_value = "table")]
    output: Format,
    /// Exit with 3 if any pod would not come back, or if that cannot be told (no agent leads, the runtime does not answer)
    #[arg(long)]
    check: bool,
}

/// Looks, prints, and says what the exit code is.
pub(super) fn run(args: StatusArgs) -> u8 {
    let (format, check, cni_dir) = (args.output, args.check, args.cni_dir);
    let name = args.node.node_name_or_host();
    let node = match NodeConfig::from_args(args.node) {
        Ok(node) => node,
        Err(why) => return output::failed(&why, MISUSED),
    };
    let evidence = match runtime() {
        Ok(runtime) => runtime.block_on(gather(name, &node, &cni_dir)),
        Err(why) => return output::failed(&why, FAILED),
    };
    let document = merge(&evidence);
    let printed = match format {
        Format::Json => output::print_json(&document),
        Format::Table => output::print_bytes(text::of(&document).as_bytes()),
    };
    if check && printed == DONE { judge(&evidence, &document) } else { printed }
}

/// The answer of `--check`: yes only where everything was seen.
fn judge(evidence: &Evidence, document: &StatusDoc) -> u8 {
    let unseen = evidence.unseen();
    for what in &unseen {
        output::complain(&format_args!("cannot tell that every pod would come back: {what}"));
    }
    if unseen.is_empty() && document.all_restorable() { DONE } else { NOT_RESTORABLE }
}

async fn gather(name: String, node: &NodeConfig, cni_dir: &Path) -> Evidence {
    let disk = load(node);
    let (runtime, images) = ask_runtime(node, disk.as_ref().ok()).await;
    let leader = lock_holder::look(&node.lock_file).ok().map(|holder| holder == Holder::Agent);
    Evidence {
        node: name,
        leader,
        disk,
        runtime,
        images,
        agent: last_report(&node.report_file()),
        offline: offline(&cni::look(cni_dir)),
        now: clock::epoch_seconds(),
    }
}

async fn ask_runtime(node: &NodeConfig, disk: Option<&Inventory>) -> (Result<NodePods, String>, Images) {
    let cri = match node_view::runtime(node).await {
        Ok(cri) => cri,
        Err(why) => return (Err(why), Images::new()),
    };
    let pods = cri.list().await.map_err(|why| why.to_string());
    if pods.is_err() {
        return (pods, Images::new());
    }
    let copies = disk.into_iter().flat_map(|disk| disk.checkpoints.values());
    let refs: ImageRefs = copies.flat_map(|copy| copy.images.iter().cloned()).collect();
    (pods, images::look_up(&cri, &KubeletDir::new(&node.kubelet_dir), &refs).await)
}

/// What the agent last wrote; `None` where there is nothing that can be read: the disk says more anyway.
fn last_report(path: &Path) -> Option<StatusDoc> {
    let mut text = Vec::new();
    File::open(path).and_then(|file| file.take(LONGEST_REPORT).read_to_end(&mut text)).ok()?;
    serde_json::from_slice(&text).ok()
}

/// What every pod brought back without an API server will lack, and what this node's network adds.
fn offline(network: &Network) -> Vec<String> {
    let mut lacks = vec![
        "pods not on hostNetwork get new IP addresses; Services and DNS go on naming the old ones until the API server \
         is back"
            .to_owned(),
    ];
    if let Network::Asks(product) = network {
        lacks.push(format!(
            "{product} needs the API server to start pods after a reboot: only those on hostNetwork come back"
        ));
    }
    lacks
}

/// What the directories hold. Reads alone: a node that was never set up stays as it is.
fn load(node: &NodeConfig) -> Result<Inventory, String> {
    let layout = Layout { etc: node.etc_dir.clone(), manifests: node.manifests_dir.clone() };
    Store::at(&layout).load().map_err(|why| format!("{why}; run it as root on the node, or in the agent's pod"))
}
