//! The functions that the page calls in the WebAssembly module. Each leaves its numbers in one
//! buffer, which the page reads at [`numbers`], and returns how many there are.

use std::cell::RefCell;

use retrodict_facts::Query;

use crate::{Lesson, Measures, Remedy, Settings, Standing};

thread_local! {
    static LESSON: RefCell<Option<Lesson>> = const { RefCell::new(None) };
    static NUMBERS: RefCell<Vec<f64>> = const { RefCell::new(Vec::new()) };
}

/// Leaves what `of` makes of the lesson in the buffer. Without a lesson there is nothing in it.
fn fill<I: IntoIterator<Item = f64>>(of: impl FnOnce(&mut Lesson) -> I) -> usize {
    NUMBERS.with_borrow_mut(|numbers| {
        numbers.clear();
        LESSON.with_borrow_mut(|lesson| {
            if let Some(lesson) = lesson {
                numbers.extend(of(lesson));
            }
        });
        numbers.len()
    })
}

/// Where the buffer begins.
#[unsafe(no_mangle)]
extern "C" fn numbers() -> *const f64 {
    NUMBERS.with_borrow(|numbers| numbers.as_ptr())
}

/// Begins a lesson with the remedy of that place in [`Remedy::ALL`]; leaves `[epochs]`, or nothing
/// if there is no such lesson.
#[unsafe(no_mangle)]
extern "C" fn begin(pairs: usize, tie_head: u32, remedy: usize, seed: u32) -> usize {
    let remedy = Remedy::ALL.get(remedy).copied();
    let lesson = remedy.and_then(|remedy| {
        Lesson::new(Settings { pairs, tie_head: tie_head != 0, remedy, seed }).ok()
    });
    LESSON.with_borrow_mut(|present| *present = lesson);
    fill(|_| [f64::from(crate::EPOCHS)])
}

/// Trains one epoch; leaves its NLL.
#[unsafe(no_mangle)]
extern "C" fn train_epoch() -> usize {
    fill(|lesson| [lesson.train_epoch()])
}

/// Leaves `[source, relation, answer]` of every pair told in both directions.
#[unsafe(no_mangle)]
extern "C" fn told_both_ways() -> usize {
    fill(|lesson| tokens(lesson.told_both_ways()))
}

/// Leaves the same of every pair told in one direction.
#[unsafe(no_mangle)]
extern "C" fn told_one_way() -> usize {
    fill(|lesson| tokens(lesson.told_one_way()[0]))
}

fn tokens(queries: &[Query]) -> Vec<f64> {
    queries.iter().flat_map(Query::sentence).map(f64::from).collect()
}

/// Leaves NLL, right answers and margin, taught and reversed. A margin without rivals is NaN.
#[unsafe(no_mangle)]
extern "C" fn measures() -> usize {
    fill(|lesson| {
        let Measures { taught, reversed } = lesson.measures();
        [taught, reversed].into_iter().flat_map(|Standing { nll, right, margin }| {
            [nll, right as f64, margin.unwrap_or(f64::NAN)]
        })
    })
}

/// Leaves the effective weights.
#[unsafe(no_mangle)]
extern "C" fn weights() -> usize {
    fill(|lesson| lesson.weights().into_iter().map(f64::from))
}

/// Leaves the logits after a question about a pair told in one direction.
#[unsafe(no_mangle)]
extern "C" fn answers(pair: usize, reversed: usize) -> usize {
    fill(|lesson| {
        let queries = lesson.told_one_way().get(reversed).and_then(|queries| queries.get(pair));
        let query = queries.cloned();
        let logits = query.map(|query| lesson.answers(&query)).unwrap_or_default();
        logits.into_iter().map(f64::from)
    })
}

/// Leaves every parameter.
#[unsafe(no_mangle)]
extern "C" fn parameters() -> usize {
    fill(|lesson| lesson.parameters().into_iter().map(f64::from))
}
