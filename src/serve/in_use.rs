//! What jobs need of the directory of archives, for retention to leave alone.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::archive::name::SEALED;
use crate::serve::jobs::job::{Job, JobState};
use crate::serve::jobs::queue::Queue;
use crate::serve::retention::policy::ContainerKey;
use crate::serve::retention::sweeper::InUse;

/// The queue's jobs, as retention asks about them.
pub(super) struct Jobs(pub(super) Queue);

impl InUse for Jobs {
    fn files(&self) -> BTreeSet<String> {
        self.0.all().iter().filter(|job| !job.ended()).flat_map(|job| worked_with(job)).collect()
    }

    fn awaited(&self) -> BTreeSet<ContainerKey> {
        let jobs = self.0.all();
        let waiting = jobs.iter().filter(|job| matches!(job.state, JobState::Checkpointing { .. }));
        waiting
            .filter_map(|job| Some(ContainerKey::new(&job.request.namespace, &job.request.pod, &job.current()?.name)))
            .collect()
    }

    fn returned(&self) -> BTreeMap<String, Timestamp> {
        let jobs = self.0.all();
        let done = jobs.iter().filter(|job| job.state == JobState::Done);
        done.filter_map(|job| Some((job, Timestamp::from_second(job.changed).ok()?)))
            .flat_map(|(job, at)| job.taken.iter().map(move |taken| (taken.file.clone(), at)))
            .collect()
    }
}

/// What is taken already, and what is being sealed or pushed, with the sealed file that is about to be.
fn worked_with(job: &Job) -> Vec<String> {
    let mut files: Vec<String> = job.taken.iter().map(|taken| taken.file.clone()).collect();
    if let JobState::Sealing { archive } | JobState::Pushing { archive } = &job.state {
        files.extend([archive.clone(), format!("{archive}{SEALED}")]);
    }
    files
}
