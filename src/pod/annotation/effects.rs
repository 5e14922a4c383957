//! Annotations of others that do something to a pod on its node, as data: which a checkpoint keeps, and which it leaves out
//! and says so. Sources: the documentation of each, and for runtimes what containerd 2.3 and CRI-O 1.34 read of a sandbox.

use Fate::{Kept, Left};
use Keys::{Domain, Key, Prefix};

/// Keys of annotations that one product reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Exactly this key.
    Key(&'static str),
    /// All that begin so.
    Prefix(&'static str),
    /// All whose part before the slash is this domain or one beneath it.
    Domain(&'static str),
}

/// What becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The kubelet, the runtime or one of its plugins reads it from the pod that it starts, so it works for a twin as well.
    Kept,
    /// Who reads it asks the API server, or writes it there: it does nothing while that is away.
    Left,
}

/// All that are known: which, their fate, and what they do.
pub const EFFECTS: &[(Keys, Fate, &str)] = &[
    (Prefix("container.apparmor.security.beta.kubernetes.io/"), Kept, "AppArmor profile, of kubelets before 1.30"),
    (Prefix("container.seccomp.security.alpha.kubernetes.io/"), Kept, "seccomp profile, of kubelets before 1.27"),
    (Key("seccomp.security.alpha.kubernetes.io/pod"), Kept, "seccomp profile, of kubelets before 1.27"),
    (Key("kubernetes.io/ingress-bandwidth"), Kept, "limit of the network's bandwidth, by the CNI plugin bandwidth"),
    (Key("kubernetes.io/egress-bandwidth"), Kept, "limit of the network's bandwidth, by the CNI plugin bandwidth"),
    (Prefix("io.kubernetes.cri-o."), Kept, "devices, shared memory, cgroups and more, by CRI-O"),
    (Domain("crio.io"), Kept, "processors, interrupts and more, by CRI-O"),
    (Domain("cri-o.io"), Kept, "seccomp profiles and more, by CRI-O"),
    (Prefix("io.kubernetes.cri.untrusted-workload"), Kept, "another runtime, by containerd before 2.0"),
    (Prefix("io.containerd."), Kept, "settings of containerd's runtimes"),
    (Prefix("io.containers."), Kept, "hooks of OCI runtimes"),
    (Prefix("run.oci."), Kept, "settings of crun"),
    (Prefix("io.katacontainers."), Kept, "settings of Kata Containers"),
    (Prefix("dev.gvisor."), Kept, "settings of gVisor"),
    (Prefix("cdi.k8s.io/"), Kept, "devices by CDI"),
    (Domain("nri.io"), Kept, "devices, mounts, processors and memory, by NRI plugins"),
    (Domain("nri.containerd.io"), Kept, "limits, by NRI plugins"),
    (Domain("noderesource.dev"), Kept, "which NRI plugins must have seen the pod"),
    (Prefix("rdt.resources.beta.kubernetes.io/"), Kept, "class of cache and memory bandwidth (RDT)"),
    (Prefix("blockio.resources.beta.kubernetes.io/"), Kept, "class of block I/O"),
    (Prefix("resources.workload.openshift.io/"), Kept, "processors of OpenShift's own workloads, by CRI-O"),
    (Prefix("target.workload.openshift.io/"), Kept, "processors of OpenShift's own workloads, by CRI-O"),
    (Key("k8s.v1.cni.cncf.io/networks"), Left, "further network interfaces, by Multus"),
    (Key("v1.multus-cni.io/default-network"), Left, "another first network interface, by Multus"),
    (Key("cni.projectcalico.org/ipAddrs"), Left, "fixed IP address, by Calico"),
    (Key("cni.projectcalico.org/ipAddrsNoIpam"), Left, "fixed IP address, by Calico"),
    (Key("cni.projectcalico.org/floatingIPs"), Left, "floating IP address, by Calico"),
    (Key("cni.projectcalico.org/hwAddr"), Left, "fixed MAC address, by Calico"),
    (Key("cni.projectcalico.org/ipv4pools"), Left, "pool of IP addresses, by Calico"),
    (Key("cni.projectcalico.org/ipv6pools"), Left, "pool of IP addresses, by Calico"),
    (Key("cni.projectcalico.org/allowedSourcePrefixes"), Left, "source addresses that are let pass, by Calico"),
    (Prefix("qos.projectcalico.org/"), Left, "limits of the network, by Calico"),
    (Domain("cilium.io"), Left, "pool of IP addresses, MAC address, bandwidth and visibility, by Cilium"),
    (Prefix("ovn.kubernetes.io/ip_"), Left, "fixed IP address, by Kube-OVN"),
    (Key("ovn.kubernetes.io/mac_address"), Left, "fixed MAC address, by Kube-OVN"),
    (Key("ovn.kubernetes.io/ingress_rate"), Left, "limit of the network's bandwidth, by Kube-OVN"),
    (Key("ovn.kubernetes.io/egress_rate"), Left, "limit of the network's bandwidth, by Kube-OVN"),
    (Key("ovn.kubernetes.io/security_groups"), Left, "security groups, by Kube-OVN"),
    (Prefix("k8s.ovn.org/"), Left, "addresses, networks and routes, by OVN-Kubernetes"),
    (Prefix("ipam.antrea.io/"), Left, "fixed IP address or pool, by Antrea"),
    (Domain("spidernet.io"), Left, "fixed IP addresses and pools, by Spiderpool"),
    (Prefix("danm.k8s.io/"), Left, "network interfaces, by DANM"),
    (Prefix("k8s.aliyun.com/"), Left, "addresses and interfaces, by Terway"),
    (Prefix("vpc.amazonaws.com/"), Left, "network interface of its own, by the VPC CNI of AWS"),
    (Prefix("networking.gke.io/"), Left, "further network interfaces, by GKE"),
    (Prefix("traffic.sidecar.istio.io/"), Left, "which traffic goes by the mesh, by Istio's CNI plugin"),
    (Prefix("ambient.istio.io/"), Left, "traffic by the mesh, by Istio's CNI plugin"),
];

impl Keys {
    /// Whether a key is one of these.
    pub fn has(self, key: &str) -> bool {
        match self {
            Key(this) => key == this,
            Prefix(prefix) => key.starts_with(prefix),
            Domain(domain) => {
                let before = key.split_once('/').map_or(key, |(before, _)| before);
                before.strip_suffix(domain).is_some_and(|above| above.is_empty() || above.ends_with('.'))
            }
        }
    }
}

/// What a key is known to do, and its fate.
pub(crate) fn effect(key: &str) -> Option<(Fate, &'static str)> {
    EFFECTS.iter().find(|(keys, _, _)| keys.has(key)).map(|(_, fate, what)| (*fate, *what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_by_name_prefix_and_domain() {
        for (key, fate) in [
            ("kubernetes.io/egress-bandwidth", Some(Kept)),
            ("kubernetes.io/egress-bandwidth-too", None),
            ("io.kubernetes.cri-o.Devices", Some(Kept)),
            ("cpu-quota.crio.io", Some(Kept)),
            ("seccomp-profile.kubernetes.cri-o.io/POD", Some(Kept)),
            ("devices.nri.io/container.hub", Some(Kept)),
            ("nri.io/x", Some(Kept)),
            ("henri.io/x", None),
            ("prefer-isolated-cpus.resource-policy.nri.io/pod", Some(Kept)),
            ("ulimits.nri.containerd.io/container.c", Some(Kept)),
            ("k8s.v1.cni.cncf.io/networks", Some(Left)),
            // What CNI plugins themselves write on every pod.
            ("k8s.v1.cni.cncf.io/network-status", None),
            ("cni.projectcalico.org/podIP", None),
            ("ipam.cilium.io/ip-pool", Some(Left)),
            ("ovn.kubernetes.io/ip_address", Some(Left)),
            ("prometheus.io/scrape", None),
        ] {
            assert_eq!(effect(key).map(|(fate, _)| fate), fate, "{key}");
        }
    }
}
