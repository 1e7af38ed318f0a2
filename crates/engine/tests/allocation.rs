//! A step allocates nothing, for every operation and every optimiser: a counting allocator checks
//! it.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use common::Example;
use retrodict_engine::{Isa, Lion, Muon, Rule, Sgd};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards every call to the system's allocator.
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

// One test only: allocations of others in this process would count too.
#[test]
fn a_step_allocates_nothing_but_the_first() {
    let muon = Rule::Muon(Muon { momentum: 0.95, betas: [0.9, 0.95], epsilon: 1e-8 });
    for rule in [muon, Rule::Lion(Lion { betas: [0.9, 0.99] }), Rule::Sgd(Sgd { momentum: 0.9 })] {
        for workers in [1, 2] {
            let mut example = Example::<f32>::new(Isa::detect(), workers, rule);
            example.step();
            let before = ALLOCATIONS.load(Ordering::Relaxed);
            (0..20).for_each(|_| example.step());
            let made = ALLOCATIONS.load(Ordering::Relaxed) - before;
            assert_eq!(made, 0, "{rule:?} on {workers} workers");
            let sound =
                example.loss().is_finite() && example.numbers().iter().all(|x| x.is_finite());
            assert!(sound, "{rule:?}: what was counted is no training");
        }
    }
}
