//! An error and its causes in one line: each layer says only what it adds, so only all of them together tell the reader why.

use std::error::Error;
use std::io;

/// More than any real chain has; a cycle of sources must not hang the program.
const DEEPEST: usize = 16;

/// The error and its causes, each said once: many layers repeat the words of the one below.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    for cause in causes(error) {
        let text = cause.to_string();
        if !said.iter().any(|earlier| earlier.contains(&text)) {
            said.push(text);
        }
    }
    said.join(": ")
}

/// The error, then what caused it, and so on. `source()` of an `io::Error` skips the error that it wraps, so that one is
/// visited too.
pub fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |e| {
        let e: &'a (dyn Error + 'static) = *e;
        let inner = e.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.map(|i| i as &(dyn Error + 'static)).or_else(|| e.source())
    })
    .take(DEEPEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{said}")]
    struct Layer {
        said: &'static str,
        #[source]
        below: Option<Box<Layer>>,
    }

    fn layers(said: &[&'static str]) -> Option<Box<Layer>> {
        let (said, below) = said.split_first()?;
        Some(Box::new(Layer { said, below: layers(below) }))
    }

    #[test]
    fn every_cause_is_said_once() {
        let error = layers(&["cannot ask", "cannot connect: refused", "refused", "os error 111"]).unwrap();
        assert_eq!(chain(&*error), "cannot ask: cannot connect: refused: os error 111");
    }

    #[test]
    fn what_an_io_error_wraps_is_visited_and_not_repeated() {
        let error = io::Error::other(io::Error::other(*layers(&["outer", "inner"]).unwrap()));
        assert_eq!(chain(&error), "outer: inner");
        assert!(causes(&error).any(<dyn Error + 'static>::is::<Layer>));
    }

    #[test]
    fn a_chain_without_an_end_ends() {
        let endless = layers(&["x"; 100]).unwrap();
        assert_eq!(causes(&*endless).count(), DEEPEST);
    }
}
