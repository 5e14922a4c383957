//! Checkpoints of running containers: what is asked for (`request`, `pod_target`), the record of the work (`job`, `records`),
//! who waits for whom (`queue`, `worker`), the work itself (`checkpoint`), and what becomes of archives: sealed so that
//! only one can open them (`seal`), pushed as images (`image`, `push`).

pub mod archives;
pub mod checkpoint;
pub mod dump_log;
pub mod job;
mod late_archives;
pub mod limits;
pub mod metrics;
pub mod pod_target;
pub mod publish;
pub mod queue;
pub mod records;
pub mod request;
pub mod sealing;
pub mod worker;
