//! Checkpoints of single containers: sealing their archives.

pub mod seal;
