//! Whether images are on this node in a way that a static pod can use without a registry: the runtime's word and the
//! kubelet's records together.

use futures::stream::{StreamExt, iter};

use super::cri::Cri;
use super::kubelet::KubeletDir;
use super::pull_records::{ImageAccess, PullRecords};
use crate::pod::runtime::{ImagePresence, ImageRefs, Images};

/// Questions to the runtime at one time.
const AT_ONCE: usize = 8;

/// Looks up every image of `refs`. What cannot be found out is [`ImagePresence::Unknown`], never absent.
pub async fn look_up(cri: &Cri, kubelet: &KubeletDir, refs: &ImageRefs) -> Images {
    let records = PullRecords::of(kubelet);
    let records = &records;
    iter(refs)
        .map(|image| async move {
            let presence = match cri.image_id(image).await {
                Ok(None) => ImagePresence::Absent,
                Ok(Some(id)) => match records.as_ref().map(|r| r.access(image, &id)) {
                    Ok(Ok(ImageAccess::Free)) => ImagePresence::Present,
                    Ok(Ok(ImageAccess::Repull)) => ImagePresence::PulledWithSecret,
                    Ok(Err(why)) => ImagePresence::Unknown(why.to_string()),
                    Err(why) => ImagePresence::Unknown(why.to_string()),
                },
                Err(why) => ImagePresence::Unknown(why.to_string()),
            };
            (image.clone(), presence)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await
}
