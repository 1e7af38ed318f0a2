//! The readers of pretrained models, as functions of bytes. They stand apart from the other readers
//! because their crate is built only where it is needed.

use std::fs;

use retrodict_pretrained::Model;

/// A reader, by the name of its target and its corpus.
pub type Reader = (&'static str, fn(&[u8]));

/// All of them.
pub const READERS: [Reader; 2] = [("weights", weights), ("gguf", gguf)];

/// The weights of a model of one layer, whose other files are sound.
pub fn weights(bytes: &[u8]) {
    const CONFIG: &[u8] =
        include_bytes!("../../crates/pretrained/tests/reference/qwen2/config.json");
    const TOKENIZER: &[u8] =
        include_bytes!("../../crates/pretrained/tests/reference/qwen2/tokenizer.json");
    thread_local! {
        static FOLDER: tempfile::TempDir = {
            let folder = tempfile::tempdir().expect("a folder for the file to read");
            for (name, bytes) in [("config.json", CONFIG), ("tokenizer.json", TOKENIZER)] {
                fs::write(folder.path().join(name), bytes).expect("a file of the model");
            }
            folder
        };
    }
    FOLDER.with(|folder| {
        fs::write(folder.path().join("model.safetensors"), bytes).expect("a file to read");
        let _ = Model::open(folder.path(), 1);
    });
}

/// A whole GGUF file.
pub fn gguf(bytes: &[u8]) {
    thread_local! {
        static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder for the file to read");
    }
    FOLDER.with(|folder| {
        let path = folder.path().join("model.gguf");
        fs::write(&path, bytes).expect("a file to read");
        let _ = Model::open(&path, 1);
    });
}
