//! Checkpoints of single containers: the image that an archive makes (`image`), its way to a registry (`push`), and sealing
//! an archive (`seal`).

pub mod image;
pub mod push;
pub mod seal;
