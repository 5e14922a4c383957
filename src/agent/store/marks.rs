//! Small facts about the node beside the checkpoints: which cluster they are from, when its API last answered, what an
//! operator holds.

use std::io::ErrorKind;

use super::copies::Copy;
use super::manifest;
use super::names::{self, CopyPlace};
use super::{MANIFEST_MODE, Store, StoreError};
use crate::disk::atomic::{self, Written};
use crate::pod::annotation;
use crate::pod::key::{PodKey, Uid};
use crate::pod::runtime::KubeletCluster;
use crate::pod::snapshot::ClusterMark;

/// Bytes of a file with one fact in it, at most.
const LIMIT: u64 = 1 << 10;
/// The same of the kubelet's cluster: a server and some dozens of keys.
const KUBELET_LIMIT: u64 = 16 << 10;

impl Store {
    /// Keeps the identity of the cluster.
    pub fn record_cluster(&self, cluster: &Uid) -> Result<Written, StoreError> {
        let _writing = self.writing();
        Ok(atomic::write(&*self.files, names::CLUSTER, format!("{cluster}\n").as_bytes(), MANIFEST_MODE)?)
    }

    /// The identity of the cluster, where it was recorded.
    pub fn cluster(&self) -> ClusterMark {
        // A UID is a UUID (RFC 9562): what a torn write left must not pass for another cluster.
        let is_uid = |text: &str| text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        let remedy = "if this node stays in its cluster, remove it: it is written anew";
        match self.fact(names::CLUSTER) {
            Ok(None) => ClusterMark::Absent,
            Ok(Some(text)) if is_uid(&text) => ClusterMark::Known(Uid(text)),
            Ok(Some(_)) => ClusterMark::Unreadable(format!("holds no UID of a cluster; {remedy}")),
            Err(why) => ClusterMark::Unreadable(format!("{why}; {remedy}")),
        }
    }

    /// Keeps which cluster the kubelet belongs to.
    pub fn record_kubelet(&self, cluster: &KubeletCluster) -> Result<Written, StoreError> {
        let _writing = self.writing();
        let text = format!("{}\n", serde_json::json!(cluster));
        Ok(atomic::write(&*self.files, names::KUBELET, text.as_bytes(), MANIFEST_MODE)?)
    }

    /// What [`Store::record_kubelet`] kept; a mark that cannot be read counts as none, and the next replaces it.
    pub fn kubelet_cluster(&self) -> Option<KubeletCluster> {
        let text = self.files.read(names::KUBELET, KUBELET_LIMIT).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps when the API last answered, seconds since the epoch.
    pub fn record_api_read(&self, epoch_seconds: i64) -> Result<Written, StoreError> {
        let _writing = self.writing();
        Ok(atomic::write(&*self.files, names::API_READ, format!("{epoch_seconds}\n").as_bytes(), MANIFEST_MODE)?)
    }

    /// What [`Store::record_api_read`] kept.
    pub fn last_api_read(&self) -> Result<Option<i64>, StoreError> {
        Ok(self.fact(names::API_READ)?.and_then(|text| text.parse().ok()))
    }

    /// Forgets the cluster: nothing of it is left here.
    pub fn forget_cluster(&self) -> Result<(), StoreError> {
        let _writing = self.writing();
        for name in [names::CLUSTER, names::API_READ, names::KUBELET] {
            self.remove_if_there(name)?;
        }
        Ok(self.files.sync_dir("")?)
    }

    /// Notes in a retired copy that its lineage has a successor on this node. The active manifest is not changed.
    pub fn note_successor(&self, key: &PodKey) -> Result<(), StoreError> {
        let _writing = self.writing();
        let Copy::Ours(retired, _) = self.copy(CopyPlace::Inactive, key)? else {
            return Err(StoreError::Missing { key: key.clone() });
        };
        let mut value = retired.value.clone();
        manifest::annotate(&mut value, annotation::SUCCESSOR_SEEN, Some("true".to_owned()));
        self.put_inactive(key, &value)?;
        Ok(self.files.sync_dir(names::INACTIVE)?)
    }

    /// Puts an operator's hold on a pod.
    pub fn hold(&self, key: &PodKey) -> Result<Written, StoreError> {
        let _writing = self.writing();
        Ok(atomic::write(&*self.files, &names::hold(key), b"held by an operator\n", MANIFEST_MODE)?)
    }

    /// Takes the hold away; there may be none.
    pub fn release(&self, key: &PodKey) -> Result<(), StoreError> {
        let _writing = self.writing();
        self.remove_if_there(&names::hold(key))?;
        Ok(self.files.sync_dir(names::INACTIVE)?)
    }

    fn fact(&self, name: &str) -> Result<Option<String>, StoreError> {
        match self.files.read(name, LIMIT) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes).trim().to_owned();
                Ok((!text.is_empty()).then_some(text))
            }
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
