//! The readers of files of facts and phrasings, as functions of bytes. They stand apart from the
//! other readers because the tests of their crate run them.

use retrodict_corpus::{FactFile, Templates};

/// A reader, by the name of its target and its corpus.
pub type Reader = (&'static str, fn(&[u8]));

/// All of them.
pub const READERS: [Reader; 4] = [
    ("facts", facts),
    ("facts-jsonl", facts_jsonl),
    ("facts-parquet", facts_parquet),
    ("templates", templates),
];

/// Facts as CSV.
pub fn facts(bytes: &[u8]) {
    let _ = read("facts.csv", bytes);
}

/// Facts as JSON Lines.
pub fn facts_jsonl(bytes: &[u8]) {
    let _ = read("facts.jsonl", bytes);
}

/// Facts as Parquet.
pub fn facts_parquet(bytes: &[u8]) {
    let _ = read("facts.parquet", bytes);
}

/// Facts that were accepted have numbers for their splits, and phrasings of their own.
fn read(name: &str, bytes: &[u8]) -> Option<()> {
    let facts = FactFile::parse(name, bytes).ok()?;
    assert_eq!(facts.split(0.5, 0).len(), facts.facts.len());
    let templates = Templates::plain(&facts).ok()?;
    templates.check(&facts).ok().map(|_| ())
}

/// Phrasings, and whether they suit two facts.
pub fn templates(bytes: &[u8]) {
    const FACTS: &[u8] = include_bytes!("../corpus/facts/facts.csv");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(templates) = Templates::parse("templates.toml", text) else { return };
    if let Ok(facts) = FactFile::parse("facts.csv", FACTS) {
        let _ = templates.check(&facts);
    }
}
