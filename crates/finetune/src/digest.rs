//! Digests that say whose a result is.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The SHA-256 of some bytes, in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    hex(Sha256::digest(bytes).as_slice())
}

/// The SHA-256 of a model: of its GGUF file, or of the names and contents of the JSON and
/// safetensors files of its folder.
///
/// # Errors
/// If a file cannot be read.
pub fn digest_of_model(path: &Path) -> io::Result<String> {
    let mut files: Vec<PathBuf> = Vec::new();
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            files.push(entry?.path());
        }
        let ends = ["json", "safetensors"];
        files.retain(|file| file.extension().is_some_and(|end| ends.iter().any(|e| end == *e)));
        files.sort();
    } else {
        files.push(path.to_owned());
    }
    let mut digest = Sha256::new();
    for file in files {
        if path.is_dir() {
            digest.update(file.file_name().unwrap_or_default().as_encoded_bytes());
            digest.update([0]);
        }
        let mut reader = File::open(file)?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match io::Read::read(&mut reader, &mut buffer)? {
                0 => break,
                count => digest.update(&buffer[..count]),
            }
        }
    }
    Ok(hex(digest.finalize().as_slice()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
