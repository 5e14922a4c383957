//! Jobs on disk, one file each: whole, durable, and gone a week after their end. A file that cannot be read is kept and
//! reported: it may be another version's.

use crate::disk::atomic::{self, TEMPORARY_PREFIX};
use crate::disk::files::{FileError, Files, ensure_dir, list_or_none};

use super::job::{Job, JobId};
use super::limits;

const DIR: &str = "jobs";

/// The directory of jobs.
pub struct Records {
    files: Box<dyn Files>,
}

impl Records {
    /// In the directory `jobs` of the root, which must exist. What a killed run left half-written goes.
    pub fn open(files: Box<dyn Files>) -> Result<Self, FileError> {
        if ensure_dir(files.as_ref(), DIR, 0o700)? {
            files.sync_dir("")?;
        }
        for name in files.list(DIR)? {
            if name.starts_with(TEMPORARY_PREFIX) {
                files.remove_file(&format!("{DIR}/{name}"))?;
            }
        }
        Ok(Self { files })
    }

    /// Keeps the job as it stands; durable when this returns.
    pub fn save(&self, job: &Job) -> Result<(), FileError> {
        let path = path(&job.id);
        let bytes = serde_json::to_vec(job)
            .map_err(|why| FileError::new("write", self.files.locate(&path), std::io::Error::other(why)))?;
        atomic::write(self.files.as_ref(), &path, &bytes, 0o600).map(|_| ())
    }

    /// Every job that can be read, and a line for each that cannot.
    pub fn load(&self) -> Result<(Vec<Job>, Vec<String>), FileError> {
        let mut jobs = Vec::new();
        let mut unread = Vec::new();
        for name in list_or_none(self.files.as_ref(), DIR)? {
            let Some(id) = name.strip_suffix(".json").and_then(|id| JobId::try_from(id.to_owned()).ok()) else {
                unread
                    .push(format!("{}: not the name of a job's record", self.files.locate(DIR).join(&name).display()));
                continue;
            };
            let path = path(&id);
            let shown = self.files.locate(&path);
            let read = self.files.read(&path, limits::JOB_FILE).map_err(|why| why.to_string());
            let job = read.and_then(|bytes| {
                serde_json::from_slice::<Job>(&bytes).map_err(|why| format!("{}: {why}", shown.display()))
            });
            match job {
                Ok(job) if job.id == id => jobs.push(job),
                Ok(_) => unread.push(format!("{}: it is the record of another job", shown.display())),
                Err(why) => unread.push(why),
            }
        }
        Ok((jobs, unread))
    }

    /// Removes a job's record, after which a restart knows nothing of it.
    pub fn remove(&self, id: &JobId) -> Result<(), FileError> {
        match self.files.remove_file(&path(id)) {
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

fn path(id: &JobId) -> String {
    format!("{DIR}/{id}.json")
}

/// Jobs whose time is over: a week after their end, or the oldest that ended where there are too many.
pub fn expired<'a>(jobs: impl Iterator<Item = &'a Job>, now: i64, most: usize) -> Vec<JobId> {
    let week = i64::try_from(limits::KEEP_JOBS.as_secs()).unwrap_or(i64::MAX);
    let (mut ended, mut all) = (Vec::new(), 0_usize);
    for job in jobs {
        all += 1;
        if job.ended() {
            ended.push(job);
        }
    }
    ended.sort_by_key(|job| job.changed);
    let surplus = all.saturating_sub(most);
    let over = |(at, job): &(usize, &Job)| *at < surplus || now.saturating_sub(job.changed) > week;
    ended.into_iter().enumerate().filter(over).map(|(_, job)| job.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::job::JobState;
    use super::super::job::tests::job;
    use super::super::request::ApiFlavor;
    use super::*;
    use crate::disk::rooted_dir::RootedDir;

    fn ended(id: u64, changed: i64) -> Job {
        Job { id: JobId::of(id), changed, state: JobState::Done, ..job(ApiFlavor::Image, &["a"]) }
    }

    fn open(dir: &std::path::Path) -> Records {
        Records::open(Box::new(RootedDir::new(dir))).unwrap()
    }

    #[test]
    fn a_job_is_found_as_it_was_left() {
        let dir = tempfile::tempdir().unwrap();
        let job = job(ApiFlavor::Archive, &["a", "b"]);
        open(dir.path()).save(&job).unwrap();
        let (found, unread) = open(dir.path()).load().unwrap();
        assert_eq!((found, unread), (vec![job.clone()], Vec::new()));
        open(dir.path()).remove(&job.id).unwrap();
        open(dir.path()).remove(&job.id).unwrap();
        assert!(open(dir.path()).load().unwrap().0.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_kept_and_named() {
        let dir = tempfile::tempdir().unwrap();
        let records = open(dir.path());
        records.save(&ended(1, 1)).unwrap();
        let jobs = dir.path().join("jobs");
        std::fs::write(jobs.join("00000000000000aa.json"), "{").unwrap();
        std::fs::write(jobs.join("notes.txt"), "x").unwrap();
        std::fs::copy(jobs.join("0000000000000001.json"), jobs.join("0000000000000002.json")).unwrap();
        std::fs::write(jobs.join(format!("{TEMPORARY_PREFIX}x")), "half").unwrap();
        let (found, unread) = open(dir.path()).load().unwrap();
        assert_eq!((found.len(), unread.len()), (1, 3), "{unread:?}");
        assert_eq!(std::fs::read_dir(&jobs).unwrap().count(), 4, "the temporary alone goes");
    }

    #[test]
    fn records_go_a_week_after_their_end_and_never_before_it() {
        let now = 10_000_000;
        let week = 7 * 24 * 3600;
        let old = Job { changed: 0, ..job(ApiFlavor::Image, &["a"]) };
        let jobs = [ended(2, now - week), ended(3, now - week - 1), old];
        assert_eq!(expired(jobs.iter(), now, 100), [JobId::of(3)]);
    }

    #[test]
    fn where_there_are_too_many_the_oldest_that_ended_go() {
        let jobs = [ended(2, 30), ended(3, 10), ended(4, 20), Job { changed: 0, ..job(ApiFlavor::Image, &["a"]) }];
        assert_eq!(expired(jobs.iter(), 40, 2), [JobId::of(3), JobId::of(4)]);
        assert_eq!(expired(jobs.iter(), 40, 0).len(), 3, "one that runs is never forgotten");
    }
}
