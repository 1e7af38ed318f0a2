//! A step allocates nothing: an allocator that counts says so.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use retrodict_engine::Rule;
use retrodict_models::{Decoder, LossOn, Objective, PositionEncoding, Trainer, TrainerOptions};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: passes everything on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// One test only: others in this process would be counted too.
#[test]
fn a_training_step_allocates_nothing() {
    let decoder = Decoder {
        layers: 2,
        heads: 2,
        dim: 12,
        vocab: 41,
        positions: 6,
        position: PositionEncoding::Absolute,
        dropout: 0.1,
        tie_head: false,
        freeze_embeddings: false,
    };
    let rule = Rule::AdamW { betas: [0.9, 0.999], epsilon: 1e-8 };
    let sentences: Vec<Vec<u32>> = (0..30).map(|i| vec![i % 41, i % 2, 40 - i, 3, 4]).collect();
    for threads in [1, 2] {
        let options = TrainerOptions {
            rule,
            rate: 1e-3,
            weight_decay: 0.01,
            init_seed: 0,
            noise_seed: 0,
            threads,
        };
        let objective =
            Objective { sentence_length: 5, entity_length: 2, loss_on: LossOn::Sequence };
        let mut trainer = Trainer::<f32>::new(&decoder, objective, &options);
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
}
