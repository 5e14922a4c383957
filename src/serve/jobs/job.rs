//! The record of one checkpoint, from the moment that it was accepted until a week after its end, and how it moves. Pure:
//! [`Job::after`] is the table of what follows what; keeping the record and doing the work are elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::pod_target::RunningContainer;
use super::request::{ApiFlavor, CheckpointRequest};
use crate::dns_name::check_name;

/// Sixteen hexadecimal digits: part of the identifier that callers get, and the tag of the image.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId(String);

/// A text that is no job's identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not <node>:<16 hexadecimal digits>")]
pub struct NoIdentifier;

impl JobId {
    /// Of a number that nobody can guess.
    pub fn of(number: u64) -> Self {
        Self(format!("{number:016x}"))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for JobId {
    type Error = NoIdentifier;
    fn try_from(text: String) -> Result<Self, NoIdentifier> {
        let digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if text.len() == 16 && text.bytes().all(digit) { Ok(Self(text)) } else { Err(NoIdentifier) }
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

/// What callers get: the node that has the record, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identifier {
    /// Name of the node.
    pub node: String,
    /// Identifies the job on that node.
    pub job: JobId,
}

impl Identifier {
    /// Reads `<node>:<16 hex>`.
    pub fn parse(text: &str) -> Result<Self, NoIdentifier> {
        let (node, job) = text.split_once(':').ok_or(NoIdentifier)?;
        check_name("node", node).map_err(|_| NoIdentifier)?;
        Ok(Self { node: node.to_owned(), job: JobId::try_from(job.to_owned())? })
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.node, self.job)
    }
}

/// One container's archive, in its last form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// Name of the container.
    pub container: String,
    /// Name of the file in the checkpoints directory.
    pub file: String,
}

/// An archive that was still to come when its job failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Late {
    /// Name of the container.
    pub container: String,
    /// When the kubelet was asked, seconds since the epoch: the archive's name is of that second or later.
    pub since: i64,
    /// When nobody listened any more.
    pub until: i64,
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum JobState {
    /// The next container's checkpoint has not begun.
    Accepted,
    /// The kubelet is being asked, or was when the record was last written.
    Checkpointing {
        /// Seconds since the epoch.
        since: i64,
    },
    /// The archive is there and will be sealed.
    Sealing {
        /// File in the checkpoints directory.
        archive: String,
    },
    /// The archive is there and will be made an image.
    Pushing {
        /// File in the checkpoints directory.
        archive: String,
    },
    /// Everything is durable; the pod goes.
    Deleting,
    /// All of it is done.
    Done,
    /// It will not be done.
    Failed {
        /// What went wrong and what can be done.
        reason: String,
        /// What may still come, and nobody wants.
        late: Option<Late>,
    },
}

/// What happened to a job, by which its next state is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The kubelet is about to be asked.
    Begun,
    /// The container's archive is complete and durable.
    Archived(String),
    /// It is sealed, and the plain one is gone.
    Sealed(String),
    /// The image is in the registry, under this reference.
    Pushed(String),
    /// The pod is gone, or another has its name.
    Deleted,
    /// It cannot go on.
    Failed {
        /// See [`JobState::Failed`].
        reason: String,
        /// See [`JobState::Failed`].
        late: Option<Late>,
    },
}

/// The record. Its file is the JSON of this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// Identifies it on its node; names its file.
    pub id: JobId,
    /// User name of whoever asked.
    pub caller: String,
    /// What was asked for.
    #[serde(rename = "order")]
    pub request: CheckpointRequest,
    /// UID of the pod that was there then: no other is ever deleted.
    pub pod_uid: String,
    /// The containers to be saved, in this order.
    pub containers: Vec<RunningContainer>,
    /// The certificate to seal to (PEM), read when the caller's right to it was reviewed.
    pub certificate: Option<String>,
    /// When it was accepted, seconds since the epoch.
    pub accepted: i64,
    /// When the first checkpoint began.
    pub begun: Option<i64>,
    /// When the last state was reached.
    pub changed: i64,
    /// The archives that are complete, in the order in which they were taken.
    pub taken: Vec<Taken>,
    /// The image, once it is in the registry.
    pub image: Option<String>,
    /// How far it has come.
    #[serde(flatten)]
    pub state: JobState,
}

impl Job {
    /// It is over, one way or the other.
    pub fn ended(&self) -> bool {
        matches!(self.state, JobState::Done | JobState::Failed { .. })
    }

    /// Whose turn it is; none when all are taken.
    pub fn current(&self) -> Option<&RunningContainer> {
        self.containers.get(self.taken.len())
    }

    /// What follows. Each row is one line of the table; an event that does not belong to the state ends the job, since
    /// record and work disagree.
    #[must_use]
    pub fn after(mut self, event: Event, now: i64) -> Self {
        if self.ended() {
            return self;
        }
        let seals = self.request.seal_to.is_some();
        let pushes = self.request.flavor == ApiFlavor::Image;
        self.state = match (std::mem::replace(&mut self.state, JobState::Accepted), event) {
            (_, Event::Failed { reason, late }) => JobState::Failed { reason, late },
            (JobState::Accepted, Event::Begun) => {
                self.begun.get_or_insert(now);
                JobState::Checkpointing { since: now }
            }
            (JobState::Checkpointing { .. }, Event::Archived(archive)) if seals => JobState::Sealing { archive },
            (JobState::Checkpointing { .. }, Event::Archived(archive)) if pushes => JobState::Pushing { archive },
            (JobState::Checkpointing { .. }, Event::Archived(archive))
            | (JobState::Sealing { .. }, Event::Sealed(archive)) => self.shelve(archive),
            (JobState::Pushing { archive }, Event::Pushed(image)) => {
                self.image = Some(image);
                self.shelve(archive)
            }
            (JobState::Deleting, Event::Deleted) => JobState::Done,
            (state, event) => {
                let reason = format!("the record says {state:?}, which {event:?} cannot follow");
                JobState::Failed { reason, late: None }
            }
        };
        self.changed = now;
        self
    }

    /// The container's archive is in its last form: the next one, the pod's end, or the end.
    fn shelve(&mut self, file: String) -> JobState {
        let container = self.current().map(|running| running.name.clone()).unwrap_or_default();
        self.taken.push(Taken { container, file });
        match self.current() {
            Some(_) => JobState::Accepted,
            None if self.request.delete_pod => JobState::Deleting,
            None => JobState::Done,
        }
    }

    /// The file that the job still needs as it is.
    pub fn archive(&self) -> Option<&str> {
        match &self.state {
            JobState::Sealing { archive } | JobState::Pushing { archive } => Some(archive),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "job/tests.rs"]
pub(super) mod tests;
