//! Checkpoints of running containers: what is asked for (`request`, `subject`), the record of the work (`job`, `records`),
//! who waits for whom (`desk`, `workshop`), the work itself (`checkpoint`), and what becomes of archives: sealed so that
//! only one can open them (`seal`), pushed as images (`image`, `push`).

pub mod archives;
pub mod checkpoint;
pub mod counts;
pub mod desk;
pub mod dump_log;
pub mod image;
pub mod job;
pub mod limits;
mod lookout;
pub mod publish;
pub mod push;
pub mod records;
pub mod request;
pub mod seal;
pub mod sealing;
pub mod subject;
pub mod workshop;
