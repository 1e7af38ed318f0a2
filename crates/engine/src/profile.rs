//! A profile: the time of a step, operation by operation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::place::{NodePlan, Operand};

/// The steps that a program has run since [`Program::keep_profile`](crate::Program::keep_profile).
#[derive(Clone, Debug)]
pub struct Profile {
    /// Steps measured.
    pub steps: u64,
    /// Passes in the order in which a step makes them first; those of one kind are one entry.
    pub passes: Vec<Pass>,
}

/// All forward or all backward passes of one kind of operation, or the optimiser's update.
#[derive(Clone, Debug)]
pub struct Pass {
    /// The operation, such as `Linear forward`.
    pub name: String,
    /// The number of these passes in a step.
    pub count: usize,
    /// Their time in a step, with the wait at the barrier after each.
    pub time: Duration,
    /// Multiplications and additions in a step.
    pub flops: u64,
    /// Bytes of their operands, each counted once; all rows of a table.
    pub bytes: u64,
}

/// The times that the calling worker has measured so far.
pub(crate) struct Clock {
    steps: AtomicU64,
    /// Nanoseconds of each node, forward and backward.
    nodes: Vec<[AtomicU64; 2]>,
    update: AtomicU64,
}

#[derive(Clone, Copy)]
pub(crate) enum Direction {
    Forward = 0,
    Backward = 1,
}

/// A lap of the clock, on the calling worker only.
pub(crate) struct Lap<'a> {
    clock: &'a Clock,
    since: Instant,
}

impl Clock {
    pub(crate) fn new(nodes: usize) -> Clock {
        Clock {
            steps: AtomicU64::new(0),
            nodes: (0..nodes).map(|_| [AtomicU64::new(0), AtomicU64::new(0)]).collect(),
            update: AtomicU64::new(0),
        }
    }

    pub(crate) fn start(&self) -> Lap<'_> {
        self.steps.fetch_add(1, Ordering::Relaxed);
        Lap { clock: self, since: Instant::now() }
    }

    /// Sums the measured times. A step updates `trainable` numbers, each with its gradient and
    /// `moments`.
    pub(crate) fn read(
        &self,
        nodes: &[NodePlan],
        names: &[&'static str],
        bytes_each: usize,
        trainable: usize,
        moments: usize,
    ) -> Profile {
        let steps = self.steps.load(Ordering::Relaxed);
        let mean =
            |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed) / steps.max(1));
        let mut passes: Vec<Pass> = Vec::new();
        let mut add = |name: String, time, flops, numbers: usize| {
            let bytes = (numbers * bytes_each) as u64;
            match passes.iter_mut().find(|pass| pass.name == name) {
                Some(pass) => {
                    pass.count += 1;
                    pass.time += time;
                    pass.flops += flops;
                    pass.bytes += bytes;
                }
                None => passes.push(Pass { name, count: 1, time, flops, bytes }),
            }
        };
        for (at, node) in nodes.iter().enumerate() {
            let time = mean(&self.nodes[at][Direction::Forward as usize]);
            let numbers = node.numbers_forward();
            add(format!("{} forward", names[node.node]), time, node.flops, numbers);
        }
        for (at, node) in nodes.iter().enumerate().rev().filter(|(_, node)| node.runs_backward) {
            let time = mean(&self.nodes[at][Direction::Backward as usize]);
            let numbers = node.numbers_backward();
            add(format!("{} backward", names[node.node]), time, 2 * node.flops, numbers);
        }
        // Parameters and moments are read and written, gradients read; about 15 operations each.
        let numbers = trainable * (2 * (1 + moments) + 1);
        add("update".to_owned(), mean(&self.update), 15 * trainable as u64, numbers);
        Profile { steps, passes }
    }
}

impl Lap<'_> {
    /// Ends the lap of node number `at` of the plan.
    pub(crate) fn node(&mut self, at: usize, direction: Direction) {
        self.clock.nodes[at][direction as usize].fetch_add(self.nanos(), Ordering::Relaxed);
    }

    /// Ends the lap of the update.
    pub(crate) fn update(&mut self) {
        self.clock.update.fetch_add(self.nanos(), Ordering::Relaxed);
    }

    fn nanos(&mut self) -> u64 {
        let now = Instant::now();
        let nanos = now.duration_since(self.since).as_nanos() as u64;
        self.since = now;
        nanos
    }
}

impl NodePlan {
    /// Elements that the forward pass reads or writes.
    fn numbers_forward(&self) -> usize {
        let inputs: usize = self.inputs.iter().map(|input| input.value.len()).sum();
        inputs + self.output.value.len() + self.parameter_numbers() + self.saved.len()
    }

    /// Elements that the backward pass reads or writes.
    fn numbers_backward(&self) -> usize {
        let gradient =
            |operand: &Operand| operand.gradient.map_or(0, |gradient| gradient.place.len());
        let inputs: usize = self.inputs.iter().map(gradient).sum();
        let parameters = 2 * self.parameter_numbers(); // and their gradients
        inputs + gradient(&self.output) + parameters + self.saved.len()
    }

    fn parameter_numbers(&self) -> usize {
        self.parameters.iter().map(|p| p.value.len()).sum()
    }
}
