//! HTTP/1.1 to one host: connect, TLS where it is wanted, one request, its answer. Every part has a deadline, no answer is
//! read without a bound, nothing is retried and no redirect is followed: whoever asks knows what may be said twice, and to
//! whom. The API server has a client of its own (`cluster::client`).

mod exchange;
pub mod tls;

pub use exchange::{ExchangeLimits, Host, HttpAnswer, TlsFailure, WireError, exchange};
