//! What the deciding code remembers between passes. Kept in `/run`: losing it only lengthens delays.

use serde::{Deserialize, Serialize};

/// Timers and Yield state.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Memory {}
