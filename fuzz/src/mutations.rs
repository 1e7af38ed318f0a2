//! Readers over their corpora and seeded mutations of them.
//! `RETRODICT_MUTATIONS=N` sets how many mutations each reader gets.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Mutations of each reader, where the environment does not say.
const MUTATIONS: u64 = 2_000;

/// Words of the formats, and numbers at the edges of their types.
const WORDS: [&str; 24] = [
    "\"",
    "'",
    "\\",
    "\n",
    "[",
    "]",
    "{",
    "}",
    "=",
    ",",
    ":",
    ".",
    "#",
    "-1",
    "0",
    "1e999",
    "nan",
    "null",
    "true",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "\u{0}",
    "é",
];

/// SplitMix64: the same mutations on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// One to four changes of `bytes`; `other` is another seed of the corpus.
fn mutated(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(16)).min(bytes.len());
        match random.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            1 if at < bytes.len() => bytes[at] = random.next() as u8,
            2 => drop(bytes.drain(at.min(end)..end)),
            3 => bytes.truncate(at),
            4 => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..at, word.bytes());
            }
            5 if at < end => {
                let word = WORDS[random.below(WORDS.len())];
                bytes.splice(at..end, word.bytes());
            }
            6 if at < end => {
                let copy = bytes[at..end].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, copy);
            }
            _ => {
                let from = random.below(other.len());
                let part = &other[from..(from + random.below(64)).min(other.len())];
                bytes.splice(at..at, part.iter().copied());
            }
        }
    }
    bytes
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut seeds: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    seeds.sort();
    seeds
}

/// A reader, by the name of its corpus.
pub type Reader = (&'static str, fn(&[u8]));

/// Runs each reader, named as its corpus, over the corpus and mutations of it.
///
/// # Panics
/// If a reader does, or has no corpus.
pub fn returns_whatever_it_reads(readers: &[Reader]) {
    let mutations = env::var("RETRODICT_MUTATIONS").ok().map_or(MUTATIONS, |n| n.parse().unwrap());
    for (name, read) in readers.iter().copied() {
        let seeds = corpus(name);
        assert!(!seeds.is_empty(), "{name} has no corpus");
        let attempt = |bytes: &[u8], what: &str| {
            let outcome = catch_unwind(AssertUnwindSafe(|| read(bytes)));
            assert!(outcome.is_ok(), "{name} panics on {what}: {}", bytes.escape_ascii());
        };
        for (path, bytes) in &seeds {
            attempt(bytes, &path.display().to_string());
        }
        attempt(b"", "nothing");
        for number in 0..mutations {
            let mut random = Random(number);
            let (one, other) = (random.below(seeds.len()), random.below(seeds.len()));
            let bytes = mutated(&mut random, &seeds[one].1, &seeds[other].1);
            attempt(&bytes, &format!("mutation {number}"));
        }
    }
}
