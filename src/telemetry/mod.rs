//! What the program tells the outside about itself while it runs: logs and metrics.

pub mod logs;
pub mod metrics;
pub mod retention_metrics;
pub mod serve_metrics;
