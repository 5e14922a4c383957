//! Durable files: what a name may reach, what a power cut may take. Knows nothing of pods.

pub mod atomic;
mod beneath;
pub mod changes;
pub mod dir_watch;
pub mod durability_tracker;
pub mod files;
pub mod lock;
pub mod open_dir;
pub mod rooted_dir;
pub mod selinux;
pub mod volume_dir;
