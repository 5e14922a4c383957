//! How long a registry may take, and how often it is asked again.

use std::time::Duration;

use crate::http_client;

/// How long everything may take.
#[derive(Debug, Clone, Copy)]
pub struct RegistryLimits {
    /// Name lookup, TCP and TLS of one connection.
    pub connect: Duration,
    /// From the last byte of a request to the head of its answer: a registry may move a large blob then.
    pub answer: Duration,
    /// Without a byte that goes on, in either direction.
    pub silence: Duration,
    /// One blob or manifest, all attempts and pauses included; also a whole push.
    pub total: Duration,
    /// How often something is tried before it failed.
    pub attempts: u32,
    /// The pause before the second attempt; each further one is twice as long.
    pub pause: Duration,
}

impl Default for RegistryLimits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            connect: seconds(10),
            answer: seconds(300),
            silence: seconds(60),
            total: seconds(3600),
            attempts: 5,
            pause: seconds(1),
        }
    }
}

impl RegistryLimits {
    pub(super) fn exchange(&self) -> http_client::ExchangeLimits {
        http_client::ExchangeLimits { connect: self.connect, answer: self.answer, silence: self.silence }
    }
}
