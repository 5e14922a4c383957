//! `status`: which pods of this node would come back after a power cut. Reads disk, runtime and the agent's last report
//! itself, so that it works with the API server and the agent down.

pub mod merge;
