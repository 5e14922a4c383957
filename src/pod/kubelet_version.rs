//! Which release the kubelet of a node is of.

use std::fmt;

use serde_json::Value;

/// `1.36`: of a release only what decides between rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubeletVersion {
    /// 1
    pub major: u32,
    /// 36
    pub minor: u32,
}

impl KubeletVersion {
    /// The oldest with which this program is tried (`tests/e2e/run kubelet-oracle`).
    pub const OLDEST_SUPPORTED: Self = Self { major: 1, minor: 34 };

    /// Of a Node, which the kubelet fills in (`status.nodeInfo.kubeletVersion`): `v1.36.3`, `v1.34.1+k3s1`, `v1.35.0-eks-1a2b`.
    pub fn of_node(node: &Value) -> Option<Self> {
        let (major, rest) =
            node["status"]["nodeInfo"]["kubeletVersion"].as_str()?.strip_prefix('v')?.split_once('.')?;
        let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(Self { major: major.parse().ok()?, minor: digits.parse().ok()? })
    }
}

impl fmt::Display for KubeletVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("v1.36.3", Some((1, 36)))]
    #[case("v1.34.1+k3s1", Some((1, 34)))]
    #[case("v1.35.0-eks-1a2b", Some((1, 35)))]
    #[case("v1.35+", Some((1, 35)))]
    #[case("1.35.0", None)]
    #[case("v1.x", None)]
    #[case("", None)]
    fn versions_are_read_as_distributions_write_them(#[case] text: &str, #[case] read: Option<(u32, u32)>) {
        let node = json!({"status": {"nodeInfo": {"kubeletVersion": text}}});
        let expected = read.map(|(major, minor)| KubeletVersion { major, minor });
        assert_eq!(KubeletVersion::of_node(&node), expected);
    }

    #[test]
    fn a_node_that_says_nothing_has_no_version() {
        assert_eq!(KubeletVersion::of_node(&json!({})), None);
    }

    #[test]
    fn versions_compare_by_number() {
        let version = |minor| KubeletVersion { major: 1, minor };
        assert!(version(9) < version(10) && version(100) > KubeletVersion::OLDEST_SUPPORTED);
    }
}
