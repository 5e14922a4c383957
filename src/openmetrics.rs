//! The OpenMetrics text format, in which every listener answers `/metrics`.

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

/// Its content type.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything registered, as it stands now.
pub fn text(registry: &Registry) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail.
    let _ = encode(&mut text, registry);
    text
}
