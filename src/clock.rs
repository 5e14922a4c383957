//! The two clocks, read in one place: deciding code gets their values handed in.

use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};

use crate::moment::BootInstant;

/// Now on the boot clock, which goes on while the machine sleeps and knows nothing of wall-clock corrections.
pub fn now() -> BootInstant {
    // CLOCK_BOOTTIME exists on every Linux that runs a kubelet; a kernel without it gives 0: timers never run out.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(BootInstant(0), |t| {
        let millis = t.tv_sec() * 1000 + t.tv_nsec() / 1_000_000;
        BootInstant(u64::try_from(millis).unwrap_or(0))
    })
}

/// Seconds since the epoch, for what people read and what must outlive a boot.
pub fn epoch_seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}
