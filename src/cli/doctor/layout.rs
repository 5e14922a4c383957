//! Distributions that keep the kubelet's things elsewhere, known by their directories, and the flags that the agent takes there.

use std::path::Path;

/// One distribution. Its places are not tried, so that `doctor` names them as a hint alone; the table for people is in `docs/operations.md`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Layout {
    name: &'static str,
    /// There where it is installed, below `/`.
    sign: &'static str,
    /// Flags of the agent, each directory to be mounted.
    flags: &'static str,
    /// What must be set in the distribution first, if anything.
    first: &'static str,
}

const KNOWN: [Layout; 5] = [
    Layout {
        name: "k3s",
        sign: "var/lib/rancher/k3s/agent",
        flags: "--manifests-dir=/var/lib/rancher/k3s/agent/pod-manifests \
                --kubelet-kubeconfig=/var/lib/rancher/k3s/agent/kubelet.kubeconfig",
        first: "",
    },
    Layout {
        name: "RKE2",
        sign: "var/lib/rancher/rke2/agent",
        flags: "--manifests-dir=/var/lib/rancher/rke2/agent/pod-manifests \
                --kubelet-kubeconfig=/var/lib/rancher/rke2/agent/kubelet.kubeconfig",
        first: "",
    },
    Layout {
        name: "MicroK8s",
        sign: "var/snap/microk8s/common",
        flags: "--kubelet-dir=/var/snap/microk8s/common/var/lib/kubelet \
                --kubelet-kubeconfig=/var/snap/microk8s/current/credentials/kubelet.config \
                --container-runtime-endpoint=unix:///var/snap/microk8s/common/run/containerd.sock",
        first: "add --pod-manifest-path=/etc/kubernetes/manifests to /var/snap/microk8s/current/args/kubelet",
    },
    Layout {
        name: "k0s",
        sign: "var/lib/k0s",
        flags: "--kubelet-dir=/var/lib/k0s/kubelet --kubelet-kubeconfig=/var/lib/k0s/kubelet.conf \
                --container-runtime-endpoint=unix:///run/k0s/containerd.sock",
        first: "set staticPodPath: /etc/kubernetes/manifests in a worker profile",
    },
    Layout {
        name: "Talos",
        sign: "etc/kubernetes/kubeconfig-kubelet",
        flags: "--kubelet-kubeconfig=/etc/kubernetes/kubeconfig-kubelet",
        first: "set machine.kubelet.disableManifestsDirectory: false",
    },
];

impl Layout {
    /// The first whose directories are below `root`.
    pub(super) fn seen(root: &Path) -> Option<&'static Self> {
        KNOWN.iter().find(|layout| root.join(layout.sign).exists())
    }

    /// What to do, as the end of a remedy.
    pub(super) fn advice(&self) -> String {
        let first = if self.first.is_empty() { String::new() } else { format!("{}, then ", self.first) };
        format!("this node looks like {}: {first}run the agent with {}", self.name, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distribution_is_known_by_its_directories() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Layout::seen(root.path()), None);
        std::fs::create_dir_all(root.path().join("var/lib/rancher/k3s/agent")).unwrap();
        let advice = Layout::seen(root.path()).unwrap().advice();
        assert!(
            advice.contains("k3s") && advice.contains("--manifests-dir=/var/lib/rancher/k3s/agent/pod-manifests"),
            "{advice}"
        );
    }

    #[test]
    fn every_distribution_of_the_table_for_people_is_known() {
        let page = include_str!("../../../docs/operations.md");
        for layout in &KNOWN {
            let row = page.lines().find(|line| line.starts_with(&format!("| {} |", layout.name)));
            let row = row.unwrap_or_else(|| panic!("{} is not in the table", layout.name));
            for flag in layout.flags.split_whitespace() {
                assert!(row.contains(&format!("`{flag}`")), "{flag} is not in {row}");
            }
        }
    }
}
