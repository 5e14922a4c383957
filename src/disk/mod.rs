//! Durable files: what a name may reach, what a power cut may take. Knows nothing of pods.

pub mod atomic;
pub mod beneath;
pub mod changed_names;
pub mod changes;
pub mod directory;
pub mod files;
pub mod lock;
pub mod settled;
pub mod volume_dir;
