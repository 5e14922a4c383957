//! What the documents say of the code is what the code has.

use pod_checkpointer::config::serve::{Use, VARIABLES};

#[test]
fn every_variable_of_the_source_document_is_in_the_docs_as_the_code_takes_it() {
    let docs = std::fs::read_to_string("docs/container-checkpoints.md").expect("the docs");
    for variable in VARIABLES {
        let row = match variable.usage {
            Use::Required(flag) => format!("| `{}` | `{flag}` | required: {} |", variable.name, variable.meaning),
            Use::Sets(flag) => format!("| `{}` | `{flag}` | {} |", variable.name, variable.meaning),
            Use::Ignored(why) => format!("| `{}` | | ignored: {why} |", variable.name),
        };
        assert!(docs.contains(&row), "not in the docs: {row}");
    }
}
