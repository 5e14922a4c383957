//! A doc comment says more than the name of what it stands before.

use crate::source::{Kind, Source};
use crate::{assert_none, product};

/// Words that say nothing by themselves.
const EMPTY: &str = " a an the its this that these those of it is one who whom whose which why when where what how to be we our us \
    there here not no he they and or for in on ";
/// What may stand between a comment and the name of its item.
const BEFORE_A_NAME: &str = " pub crate super self in async const static fn struct enum type trait mod mut ( ) :: ";

#[test]
fn a_doc_comment_says_more_than_the_name_of_its_item() {
    let mut empty = Vec::new();
    for source in product() {
        for (at, comment) in source.comments.iter().enumerate() {
            let Some(text) = comment.text.strip_prefix("/// ") else { continue };
            let beside = |other: Option<usize>| {
                let other = other.and_then(|other| source.comments.get(other));
                other.is_some_and(|other| other.line.abs_diff(comment.line) == 1)
            };
            // Without a full stop it is a line of `--help`.
            let is_whole = !beside(at.checked_sub(1)) && !beside(Some(at + 1)) && text.ends_with('.');
            if is_whole && says_only(text, &name_after(&source, comment.line)) {
                empty.push(format!("{}:{}: {text}", source.path, comment.line));
            }
        }
    }
    assert_none("say whose, of what, in which unit or form", &empty);
}

/// Nothing but words that say nothing, and those of the name. Figures and code say something.
fn says_only(text: &str, name: &str) -> bool {
    let parts = words_of_name(name);
    let is_name = |word: &str| parts.iter().any(|part| part.trim_end_matches('s') == word.trim_end_matches('s'));
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    !text.contains(['`', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'])
        && words.all(|word| {
            let word = word.to_lowercase();
            word == "s" || EMPTY.contains(&format!(" {word} ")) || is_name(&word)
        })
}

/// `PodTarget` and `pod_target` are `pod` and `target`.
fn words_of_name(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for c in name.chars() {
        if (c.is_uppercase() && name.contains(char::is_lowercase)) || c == '_' {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c != '_', words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The name of the item, field or variant that begins after a line, past its attributes.
fn name_after(source: &Source, line: usize) -> String {
    let mut depth = 0_i32;
    let mut after = source.code.iter().filter(|token| token.line > line);
    let name = after.find(|token| {
        depth += i32::from(token.text == "[") - i32::from(token.text == "]");
        depth == 0 && token.kind == Kind::Word && !BEFORE_A_NAME.contains(&format!(" {} ", token.text))
    });
    name.map_or_else(String::new, |token| token.text.clone())
}

#[test]
fn a_comment_that_repeats_a_name_is_found() {
    for (text, name) in
        [("Its name.", "name"), ("The probe.", "Probe"), ("Which.", "id"), ("A job's file.", "JOB_FILE")]
    {
        assert!(says_only(text, name), "{text}");
    }
    for (text, name) in
        [("Name of the pod.", "name"), ("In bytes.", "limit"), ("404.", "Missing"), ("As in `run`.", "run")]
    {
        assert!(!says_only(text, name), "{text}");
    }
}
