//! A soak: random specs × kills × threads × instruction sets × full disks × file systems without
//! locks. Every run must end with the bytes of one that nothing disturbed.
//!
//! Takes half a minute; `RETRODICT_SOAK_SECONDS=3600` takes an hour, `RETRODICT_SOAK_SEED` starts
//! at another round. A failure prints its round.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // the lint sees tests, but not their helpers

mod common;

use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use common::faults::faulty;
use common::numbers::numbers;
use common::{Folder, finish};

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// A spec of a run of some tenths of a second.
fn spec(random: &mut Random) -> String {
    let mut spec = String::new();
    let mut set = |key: &str, value: &str| spec.push_str(&format!(" --set {key}={value}"));
    set("data.vocab_size", random.of(&["30", "40", "61"]));
    set("data.entity_length", random.of(&["1", "1", "2"]));
    set("model.layers", random.of(&["1", "1", "2"]));
    set("model.dim", random.of(&["8", "12", "20"]));
    set("model.dropout", random.of(&["0", "0.1"]));
    set("model.tie_head", random.of(&["true", "false"]));
    set("train.optimizer", random.of(&["adamw", "adam", "sgd", "lion", "muon"]));
    set("train.batch_size", random.of(&["3", "8", "64"]));
    set("train.epochs", random.of(&["7", "30", "60"]));
    set("train.lr", random.of(&["0.001", "0.01"]));
    set("precision", random.of(&["f32", "f32", "f64", "bf16"]));
    set("probe.every", random.of(&["2", "5", "1000"]));
    set("checkpoint.every", random.of(&["1", "4", "13", "0"]));
    spec
}

#[test]
fn whatever_happens_the_bytes_are_the_same() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let limit = Duration::from_secs(number("RETRODICT_SOAK_SECONDS").unwrap_or(30));
    let mut round = number("RETRODICT_SOAK_SEED").unwrap_or(0);
    let begun = Instant::now();
    let (mut kills, mut full, mut rounds) = (0, 0, 0);
    while begun.elapsed() < limit {
        println!("round {round}");
        let random = &mut Random(round);
        let seeds = 1 + random.below(2);
        let isa = random.of(&["--isa portable", "", ""]);
        let command = format!("run tiny.toml --out out --seeds {seeds} {isa}{}", spec(random));
        let whole = Folder::new();
        let output = whole.run(&format!("{command} --threads 1"));
        if output.status == 2 {
            round += 1; // such a model cannot be, or a key would do nothing
            continue;
        }
        assert_eq!(output.status, 0, "round {round}: {command}: {output:?}");

        let folder = Folder::new();
        let locks = [("FAULT_LOCKS", 1)];
        let locks = &locks[..random.below(2) as usize];
        loop {
            let threads = 1 + random.below(4);
            let jobs = 1 + random.below(3);
            let command = format!("{command} --threads {threads} --jobs {jobs}");
            let last = random.below(5) == 0;
            let mut faults = locks.to_vec();
            if !last && random.below(3) == 0 {
                faults.push(("FAULT_DISK", random.below(400_000) as i64));
            }
            let mut child = faulty(&folder, &command, &faults)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            if !last {
                thread::sleep(Duration::from_micros(random.below(250_000)));
                // It may have ended by itself.
                let _ = child.kill();
            }
            let output = finish(Ok(child));
            kills += u64::from(output.status == -1);
            full += u64::from(output.status == 1);
            assert!([-1, 0, 1].contains(&output.status), "round {round}: {output:?}");
            let expected = output.status != 1 || output.stderr.contains("No space left on device");
            assert!(expected, "round {round}: {command}: {output:?}");
            if last {
                assert_eq!(output.status, 0, "round {round}: {command}: {output:?}");
                break;
            }
        }
        for seed in 0..seeds {
            let [own, other] = [&folder, &whole].map(|f| numbers(&f.run_dir("out", seed)));
            assert_eq!(own.0, other.0, "round {round}, seed {seed}: other metrics");
            let [names, others] = [&own, &other].map(|of| of.1.keys().collect::<Vec<_>>());
            assert_eq!(names, others, "round {round}, seed {seed}: other files");
            for (path, bytes) in &own.1 {
                let same = other.1[path] == *bytes;
                assert!(same, "round {round}, seed {seed}: {} differs", path.display());
            }
        }
        (round, rounds) = (round + 1, rounds + 1);
    }
    println!("{rounds} specs, {kills} kills, {full} full disks: no difference");
    assert!(rounds > 0);
}
