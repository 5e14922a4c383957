//! The work of a job, one step at a time: has the kubelet take the archive, seals it, pushes it, deletes the pod. Each step
//! may be done again after a crash and comes to the same end. Which step is next is the record's business (`job`), and
//! nothing here is kept in memory.

use std::path::PathBuf;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::archives::{ArchiveFault, ArchiveOwner, Archives, FoundArchive};
use super::dump_log;
use super::job::{Event, Job, JobState, Late};
use super::limits;
use super::publish::Publisher;
use super::sealing;
use crate::clock;
use crate::cluster::client::{ApiClient, LIMIT};
use crate::cluster::error::ApiError;
use crate::cluster::requests;
use crate::node::kubelet_api::{Fault, KubeletApi, KubeletApiError};

/// Carries out one step of a job at a time.
pub struct Checkpointer {
    /// The kubelet of this node, which takes the checkpoints.
    pub kubelet: KubeletApi,
    /// The directory that the kubelet puts them in.
    pub archives: Archives,
    /// Where the runtime leaves CRIU's logs.
    pub runtime_state: PathBuf,
    /// The API server, for deleting pods and seeing that they are gone.
    pub api: ApiClient,
    /// Makes and pushes images.
    pub publisher: Publisher,
}

impl Checkpointer {
    /// Does what the job's state says is next. `resumed`: an earlier process was at it, and may have done it in part.
    pub async fn step(&self, job: &Job, resumed: bool) -> Event {
        match &job.state {
            JobState::Accepted => Event::Begun,
            JobState::Checkpointing { since } => self.checkpoint(job, *since, resumed).await,
            JobState::Sealing { archive } => sealed(self.seal(job, archive).await),
            JobState::Pushing { archive } => match self.push(job, archive).await {
                Ok(image) => Event::Pushed(image),
                Err(why) => failed(format!("the image was not pushed, and the pod is as it was: {why}")),
            },
            JobState::Deleting => self.delete(job).await,
            JobState::Done | JobState::Failed { .. } => failed("the job is over".to_owned()),
        }
    }

    async fn checkpoint(&self, job: &Job, since: i64, resumed: bool) -> Event {
        let Some(owner) = owner(job) else { return failed("no container is left to be checkpointed".to_owned()) };
        let limit = job.request.limit();
        if resumed {
            let patience = limit.max(limits::KUBELET_LEAST) + limits::LATE_ARCHIVE;
            let why = "serve was restarted while the kubelet was at it, and no archive has come";
            return self.adopt(&owner, since, after(since, patience), why).await;
        }
        let deadline = if limit < limits::KUBELET_LEAST { limit } else { limit + limits::KUBELET_SLACK };
        let asked = self.kubelet.checkpoint(&owner.namespace, &owner.pod, &owner.container, limit, deadline).await;
        match asked {
            Ok(path) => self.accept(job, &owner, &path).await,
            Err(KubeletApiError::Fault(fault)) => failed(self.explain(job, since, fault).await.to_string()),
            Err(KubeletApiError::Unknown(why)) => {
                self.adopt(&owner, since, after(since, limit), &format!("the kubelet gave no answer: {why}")).await
            }
            Err(why) => failed(why.to_string()),
        }
    }

    /// What the kubelet says is done is looked at.
    async fn accept(&self, job: &Job, owner: &ArchiveOwner, path: &str) -> Event {
        let file = match Archives::named(path, owner) {
            Ok(file) => file,
            Err(why) => return failed(why.to_string()),
        };
        match self.take(&file, owner).await {
            Ok(found) => Event::Archived(found.file),
            Err(why) => {
                // Nobody may find in clear what was to be sealed.
                if job.request.seal_to.is_some() {
                    self.discard(&file).await;
                }
                failed(why.to_string())
            }
        }
    }

    /// Waits for the archive of a call that nobody listens to any more.
    async fn adopt(&self, owner: &ArchiveOwner, since: i64, until: i64, why: &str) -> Event {
        loop {
            let (archives, whose) = (self.archives.clone(), owner.clone());
            let last = until.max(since);
            let look = move || -> Option<String> {
                let found = archives.between(&whose, since, last).ok()?;
                found.into_iter().find(|file| archives.take(file, &whose).is_ok())
            };
            if let Ok(Some(file)) = spawn_blocking(look).await {
                tracing::info!(%file, "took over the archive of a kubelet call that was not answered");
                return Event::Archived(file);
            }
            let now = clock::epoch_seconds();
            if now >= until {
                let late = Late { container: owner.container.clone(), since, until: now };
                return Event::Failed { reason: why.to_owned(), late: Some(late) };
            }
            sleep(limits::LOOK_FOR_ARCHIVE).await;
        }
    }

    async fn explain(&self, job: &Job, since: i64, fault: Fault) -> Fault {
        let Some(running) = job.current() else { return fault };
        let (state, id) = (self.runtime_state.clone(), running.id.clone());
        match spawn_blocking(move || dump_log::line(&state, &id, since)).await {
            Ok(Some(line)) => fault.explained(&line),
            _ => fault,
        }
    }

    async fn seal(&self, job: &Job, archive: &str) -> Result<String, String> {
        let owner = owner(job).ok_or("no container is left to be sealed")?;
        let certificate = job.certificate.clone().ok_or("the record has no certificate")?;
        let (archives, file, at) = (self.archives.clone(), archive.to_owned(), job.accepted);
        let sealing = spawn_blocking(move || sealing::seal(&archives, &owner, &file, certificate.as_bytes(), at));
        sealing.await.map_err(|why| why.to_string())?.map_err(|why| why.to_string())
    }

    async fn push(&self, job: &Job, archive: &str) -> Result<String, String> {
        let owner = owner(job).ok_or("no container is left to be pushed")?;
        let found = self.take(archive, &owner).await.map_err(|why| why.to_string())?;
        // Large, and most steps are none of it.
        Box::pin(self.publisher.publish(&job.id, found)).await.map_err(|why| why.to_string())
    }

    /// Only the pod that was checkpointed; one that took its name since is another.
    async fn delete(&self, job: &Job) -> Event {
        let request = &job.request;
        let mut pause = Duration::from_secs(1);
        let mut said = String::new();
        for _ in 0..limits::DELETE_ATTEMPTS {
            match requests::delete_pod(&self.api, &request.namespace, &request.pod, &job.pod_uid, LIMIT).await {
                Ok(()) | Err(ApiError::NotFound(_)) => return Event::Deleted,
                Err(why) if why.is_answer() && self.is_another(job).await => {
                    let path = requests::pod_path(&request.namespace, &request.pod);
                    tracing::info!(pod = %path, "the pod that was checkpointed is gone already: {}", why.detail());
                    return Event::Deleted;
                }
                Err(why) => said = why.to_string(),
            }
            sleep(pause).await;
            pause *= 2;
        }
        let done = job.image.as_ref().map_or("the archives are there".to_owned(), |image| format!("{image} is pushed"));
        failed(format!("{done}, but the pod was not deleted: {said}"))
    }

    async fn is_another(&self, job: &Job) -> bool {
        match requests::get_pod(&self.api, &job.request.namespace, &job.request.pod, LIMIT).await {
            Ok(pod) => pod["metadata"]["uid"].as_str().is_some_and(|now| now != job.pod_uid),
            Err(ApiError::NotFound(_)) => true,
            Err(_) => false,
        }
    }

    async fn take(&self, file: &str, owner: &ArchiveOwner) -> Result<FoundArchive, ArchiveFault> {
        let (archives, name, owner) = (self.archives.clone(), file.to_owned(), owner.clone());
        match spawn_blocking(move || archives.take(&name, &owner)).await {
            Ok(taken) => taken,
            Err(why) => Err(ArchiveFault::Incomplete { path: self.archives.locate(file), why: why.to_string() }),
        }
    }

    /// Removes a plain archive that is not to be left.
    pub async fn discard(&self, file: &str) {
        let (archives, name) = (self.archives.clone(), file.to_owned());
        match spawn_blocking(move || archives.remove(&name)).await {
            Ok(Ok(())) => tracing::info!(%file, "removed a plain archive that was to be sealed"),
            Ok(Err(why)) => tracing::error!("a plain archive that was to be sealed is still there: {why}"),
            Err(why) => tracing::error!(%file, "a plain archive that was to be sealed is still there: {why}"),
        }
    }
}

/// Whose archive is next.
fn owner(job: &Job) -> Option<ArchiveOwner> {
    owner_of(job, &job.current()?.name)
}

/// The owner of an archive of one of the job's containers.
pub fn owner_of(job: &Job, container: &str) -> Option<ArchiveOwner> {
    let known = job.containers.iter().any(|running| running.name == container);
    known.then(|| ArchiveOwner {
        namespace: job.request.namespace.clone(),
        pod: job.request.pod.clone(),
        uid: job.pod_uid.clone(),
        container: container.to_owned(),
    })
}

fn failed(reason: String) -> Event {
    Event::Failed { reason, late: None }
}

fn sealed(outcome: Result<String, String>) -> Event {
    match outcome {
        Ok(file) => Event::Sealed(file),
        Err(why) => failed(format!("the archive was not sealed, and is removed; the pod is as it was: {why}")),
    }
}

fn after(since: i64, time: Duration) -> i64 {
    since.saturating_add(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}
