//! A step allocates nothing, and a run gives back all that it takes: an allocator that counts says
//! so.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use retrodict_engine::{AdamW, Rule};
use retrodict_models::{
    Decoder, DecoderSettings, LossOn, LrSchedule, Objective, Trainer, TrainerOptions,
};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LIVE_BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// One test only: others in this process would be counted too.
#[test]
fn a_step_allocates_nothing_and_a_run_does_not_grow() {
    [1, 2].into_iter().for_each(a_step_allocates_nothing);
    [1, 2].into_iter().for_each(a_run_does_not_grow);
}

fn a_step_allocates_nothing(threads: usize) {
    let sentences: Vec<Vec<u32>> = (0..30).map(|i| vec![i % 41, i % 2, 40 - i, 3, 4]).collect();
    let objective = Objective::next_token(5, 2, LossOn::Sequence);
    let mut trainer = trainer(2, 12, objective, threads);
    let mut epoch = || {
        for batch in sentences.chunks(20) {
            trainer.step(batch.iter().map(Vec::as_slice));
        }
    };
    epoch();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    (0..50).for_each(|_| epoch());
    let made = ALLOCATIONS.load(Ordering::Relaxed) - before;
    assert_eq!(made, 0, "allocations in 100 steps on {threads} threads");
}

/// Epochs of ten steps in two sizes, each with the evaluation and the probe that a run makes.
fn a_run_does_not_grow(threads: usize) {
    let sentences: Vec<Vec<u32>> = (0..77).map(|i| vec![i % 41, i % 2, i * 7 % 41]).collect();
    let entities: Vec<Vec<u32>> = (2..41).map(|entity| vec![entity]).collect();
    let objective = Objective::next_token(3, 1, LossOn::LastEntity);
    let mut trainer = trainer(1, 4, objective, threads);
    let mut live_after = |steps: u64| {
        while trainer.optimizer().steps() < steps {
            for batch in sentences.chunks(8) {
                trainer.step(batch.iter().map(Vec::as_slice));
            }
            trainer.evaluate(&sentences);
            trainer.next_token_logits(&entities);
        }
        LIVE_BYTES.load(Ordering::Relaxed)
    };
    let early = live_after(100);
    assert_eq!(live_after(10_000), early, "bytes after 10,000 steps on {threads} threads");
}

fn trainer(layers: usize, dim: usize, objective: Objective, threads: usize) -> Trainer<f32> {
    let decoder = Decoder {
        vocab: 41,
        positions: 6,
        settings: DecoderSettings {
            layers,
            heads: 2,
            dim,
            dropout: 0.1,
            ..DecoderSettings::default()
        },
    };
    let options = TrainerOptions {
        rule: Rule::AdamW(AdamW { betas: [0.9, 0.999], epsilon: 1e-8 }),
        rate: 1e-3,
        weight_decay: 0.01,
        decay_norms: true,
        clip: 0.0,
        init_seed: 0,
        noise_seed: 0,
        threads,
        schedule: LrSchedule::default(),
    };
    Trainer::new(&decoder, objective, &options)
}
