//! Checkpoints of running containers: what image an archive makes (`image`), and the way of it to a registry (`push`).

pub mod image;
pub mod push;
