//! Answers that are used again for a while: so many at most, each for so long. Holds digests of what was asked, not the
//! questions, which may be tokens.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

/// A question, as its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    /// Of any value; different values have different JSON.
    pub(super) fn of(question: &impl Serialize) -> Self {
        // Strings, lists and maps with string keys always have a JSON form.
        let text = serde_json::to_vec(question).unwrap_or_default();
        Self(Sha256::digest(&text).into())
    }
}

/// Answers by the digest of their question, the oldest first to go.
pub(super) struct Cache<T> {
    most: usize,
    life: Duration,
    held: Mutex<CacheEntry<T>>,
}

/// All lives are equal, so the oldest end first.
struct CacheEntry<T> {
    answers: HashMap<Key, Answer<T>>,
    order: VecDeque<(Key, u64)>,
    /// Number of the next answer: a question may have been answered anew before its first answer is over.
    next: u64,
}

struct Answer<T> {
    number: u64,
    since: Instant,
    said: T,
}

impl<T: Clone> Cache<T> {
    pub(super) fn new(most: usize, life: Duration) -> Self {
        Self { most, life, held: Mutex::new(CacheEntry { answers: HashMap::new(), order: VecDeque::new(), next: 0 }) }
    }

    pub(super) fn get(&self, key: &Key) -> Option<T> {
        let held = self.lock();
        let answer = held.answers.get(key)?;
        (answer.since.elapsed() < self.life).then(|| answer.said.clone())
    }

    pub(super) fn put(&self, key: Key, said: T) {
        let mut held = self.lock();
        let number = held.next;
        held.next += 1;
        held.answers.insert(key, Answer { number, since: Instant::now(), said });
        held.order.push_back((key, number));
        while let Some((oldest, number)) = held.order.front().copied() {
            let latest = held.answers.get(&oldest).filter(|answer| answer.number == number);
            let over = latest.is_none_or(|answer| answer.since.elapsed() >= self.life);
            if !over && held.order.len() <= self.most {
                break;
            }
            if latest.is_some() {
                held.answers.remove(&oldest);
            }
            held.order.pop_front();
        }
    }

    fn lock(&self) -> MutexGuard<'_, CacheEntry<T>> {
        self.held.lock()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        let held = self.lock();
        (held.answers.len(), held.order.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_lives_as_long_as_it_may_and_no_longer() {
        let cache = Cache::new(4, Duration::from_secs(10));
        let key = Key::of(&"a");
        cache.put(key, 1);
        tokio::time::advance(Duration::from_millis(9_999)).await;
        assert_eq!(cache.get(&key), Some(1));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(cache.get(&key), None);
        cache.put(Key::of(&"b"), 2);
        assert_eq!(cache.len(), (1, 1), "what is over is let go");
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_are_asked_the_cache_stays_bounded() {
        let cache = Cache::new(4, Duration::from_secs(10));
        for n in 0..1000 {
            cache.put(Key::of(&n), n);
            cache.put(Key::of(&"always"), n);
        }
        assert_eq!(cache.get(&Key::of(&"always")), Some(999));
        assert_eq!(cache.get(&Key::of(&997)), None);
        let (answers, order) = cache.len();
        assert!(answers <= 4 && order <= 4, "{answers} {order}");
    }

    #[test]
    fn questions_that_differ_only_in_where_a_word_ends_are_two() {
        assert!(Key::of(&("ab", Some("c"))) != Key::of(&("a", Some("bc"))));
        assert!(Key::of(&("a", None::<&str>)) != Key::of(&("a", Some(""))));
    }
}
