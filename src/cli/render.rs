//! `render`: the checkpoint that the agent would write for a pod, without cluster or node. What only those know (which
//! keys an object has, whether it exists, which images are there) is taken as given and marked `<like this>`.

mod admission;
mod input;
mod offline;

use std::fmt::Write as _;
use std::io::{self, Read as _};
use std::path::PathBuf;

use super::{DONE, FAILED, MISUSED, output};
use crate::agent::store::yaml;
use crate::pod::annotation;
use crate::pod::checkpoint::{Checkpoint, MountPoint};
use crate::pod::parent::Parent;
use crate::pod::sanitize::{NodeFacts, NotRestorable, sanitize};

pub use input::BadInput;

/// Print the checkpoint that the agent would write for a pod, without a cluster
#[derive(Debug, Clone, clap::Args)]
pub struct Render {
    /// YAML or JSON of a Pod, a DaemonSet, Deployment or StatefulSet, a List, or several of them; `-`: standard input
    #[arg(short, long, value_name = "FILE")]
    pub filename: PathBuf,
    /// Name of the node
    #[arg(long, value_name = "NAME", default_value = "node")]
    pub node: String,
    /// Namespace of objects that name none
    #[arg(short, long, default_value = "default")]
    pub namespace: String,
    /// KUBERNETES_SERVICE_HOST as the node knows it; where not given, the two variables are left out
    #[arg(long, value_name = "HOST", default_value = "")]
    pub api_host: String,
    /// KUBERNETES_SERVICE_PORT, with --api-host
    #[arg(long, value_name = "PORT", default_value = "443")]
    pub api_port: String,
    /// Keep annotations that begin so; may be given more than once
    #[arg(long = "keep-annotation", value_name = "PREFIX")]
    pub keep_annotations: Vec<String>,
}

/// What there is to print.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// Manifests, with comments.
    pub checkpoints: String,
    /// What else is worth knowing, a line each.
    pub notes: Vec<String>,
    /// Why pods are not restorable, a line each.
    pub reasons: Vec<String>,
}

/// Prints the checkpoints to standard output and what speaks against them to standard error. The exit code is 1 if a
/// pod is not restorable, 2 if the input is no use.
pub(super) fn run(args: &Render) -> u8 {
    let text = match args.text() {
        Ok(text) => text,
        Err(why) => return output::failed(&format!("cannot read {}: {why}", args.filename.display()), MISUSED),
    };
    let rendered = match args.render(&text) {
        Ok(rendered) => rendered,
        Err(why) => return output::failed(&format!("{}: {why}", args.filename.display()), MISUSED),
    };
    for note in &rendered.notes {
        output::failed(&format!("note: {note}"), DONE);
    }
    let printed = output::print_bytes(rendered.checkpoints.as_bytes());
    if rendered.reasons.is_empty() { printed } else { output::failed(&rendered.reasons.join("\n"), FAILED) }
}

impl Render {
    fn text(&self) -> io::Result<String> {
        if self.filename.as_os_str() == "-" {
            let mut text = String::new();
            io::stdin().read_to_string(&mut text)?;
            return Ok(text);
        }
        std::fs::read_to_string(&self.filename)
    }

    /// Renders everything that `text` holds.
    ///
    /// # Errors
    /// It holds nothing that could be a parent.
    pub fn render(&self, text: &str) -> Result<Rendered, BadInput> {
        let facts = NodeFacts {
            node_name: self.node.clone(),
            api_host: self.api_host.clone(),
            api_port: if self.api_host.is_empty() { String::new() } else { self.api_port.clone() },
            keep_annotations: self.keep_annotations.clone(),
            ..NodeFacts::default()
        };
        let mut rendered = Rendered::default();
        let (pods, notes) = input::pods(text, &self.namespace, &self.node)?;
        rendered.notes = notes;
        for pod in pods {
            let parent = Parent::from_api_keeping(&pod, &self.node, &self.keep_annotations)
                .map_err(BadInput::Pod)?
                .ok_or(BadInput::NoParent)?;
            match sanitize(&parent, &facts, &offline::assets(&pod)) {
                Ok(checkpoint) => rendered.checkpoints.push_str(&document(&parent, &facts, &checkpoint)),
                Err(NotRestorable { reasons }) => {
                    rendered.reasons.push(format!("{} is not restorable:", parent.key));
                    rendered.reasons.extend(reasons.into_iter().map(|reason| format!("  - {reason}")));
                }
            }
        }
        Ok(rendered)
    }
}

/// One YAML document, its assets before it as comments.
fn document(parent: &Parent, facts: &NodeFacts, checkpoint: &Checkpoint) -> String {
    let mut text = format!("---\n# checkpoint of {}\n", parent.key);
    if facts.api_host.is_empty() {
        text.push_str("# on a node, every container also has KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT\n");
    }
    let degraded = checkpoint.manifest["metadata"]["annotations"][annotation::DEGRADED].as_str();
    let lacks: Vec<String> = degraded.and_then(|list| serde_json::from_str(list).ok()).unwrap_or_default();
    for lack in lacks {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "# lacking: {lack}");
    }
    if !checkpoint.volumes.is_empty() {
        text.push_str("# assets:\n");
    }
    for volume in &checkpoint.volumes {
        let tree = facts.etc_kubernetes.join(volume.tree.dir());
        let directory = tree.join(parent.key.namespace()).join(parent.key.name()).join(&volume.name);
        let group = volume.content.fs_group.map_or(String::new(), |group| format!(" (group {group})"));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "#   {}{group}", directory.display());
        for (path, file) in &volume.content.files {
            let owner = file.owner.map_or(String::new(), |owner| format!(" (owner {owner})"));
            let _ = writeln!(text, "#     {:04o} {path}{owner}", file.mode);
        }
        for (path, kind) in &volume.content.mount_points {
            let slash = if *kind == MountPoint::Directory { "/" } else { "" };
            let _ = writeln!(text, "#     {path}{slash} (mount point)");
        }
    }
    text + &yaml::to_text(&checkpoint.manifest)
}
