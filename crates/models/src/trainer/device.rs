//! Training on a device: the same programs, lowered; parameters and moments stay on the device
//! until they are fetched.

use std::panic::resume_unwind;
use std::sync::Arc;

use retrodict_engine::lower::{
    DeviceError, Lowered, NotLowered, OnDevice, UpdateRule, read_state, write_state,
};
use retrodict_engine::{
    Graph, Mode, Noise, Optimizer, Parameters, ProductPrecision, Program, Rule, Scalar, Team,
};

use super::compiled::Described;
use super::{Batches, Trainer};
use crate::network::Network;
use crate::objective::{Example, Objective};
use crate::trainer::SentenceScore;

/// Where programs run.
#[derive(Clone, Copy)]
pub(super) enum Machine {
    /// By a team of so many workers.
    Here(usize),
    /// On a device, with this update.
    Device(UpdateRule),
}

/// A device with a model.
pub(super) struct Remote<T> {
    device: Box<dyn OnDevice<T>>,
    newest: Newest,
}

/// The memory that has the newest parameters and moments.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Newest {
    Here,
    Device,
    Both,
}

/// Compiles a graph for a machine; for a device, also its launches.
///
/// # Panics
/// If the device cannot run it: a trainer is only moved to one that can.
pub(super) fn compile<T: Scalar>(
    graph: &Graph<T>,
    batch: usize,
    mode: Mode,
    precision: ProductPrecision,
    machine: Machine,
) -> (Program<T>, Option<Arc<Lowered>>) {
    match machine {
        Machine::Here(workers) => (Program::compile(graph, batch, mode, precision, workers), None),
        Machine::Device(update) => {
            let update = (mode == Mode::Training).then_some(update);
            let lowered = Lowered::new(graph, batch, mode, precision, update);
            let lowered = lowered.unwrap_or_else(|error| panic!("{error}"));
            (Program::for_device(graph, batch, mode, precision), Some(Arc::new(lowered)))
        }
    }
}

/// Unwinds with an error of the device, which no caller but the one of the whole run can treat: the
/// payload is a [`DeviceError`]. Unlike a panic, it prints nothing.
fn unwind<R>(result: Result<R, DeviceError>) -> R {
    result.unwrap_or_else(|error| resume_unwind(Box::new(error)))
}

/// Runs a program forward, here or on the device.
pub(super) fn forward<T: Scalar>(
    program: &mut Program<T>,
    lowered: Option<&Arc<Lowered>>,
    (parameters, optimizer, team): (&Parameters<T>, &Optimizer<T>, &mut Team),
    remote: &mut Option<Remote<T>>,
) {
    let noise = Noise { seed: 0, step: 0 };
    match (remote, lowered) {
        (Some(remote), Some(lowered)) => {
            remote.write(parameters, optimizer);
            let mut record = Vec::with_capacity(lowered.record);
            program.record(noise, None, &mut record);
            program.load_outputs(&unwind(remote.device.run(lowered, &record)));
        }
        _ => program.forward(parameters, noise, team),
    }
}

impl<T: Scalar> Remote<T> {
    /// Copies the model to the device, unless it has it.
    fn write(&mut self, parameters: &Parameters<T>, optimizer: &Optimizer<T>) {
        if self.newest == Newest::Here {
            unwind(write_state(&mut *self.device, parameters, optimizer));
            self.newest = Newest::Both;
        }
    }

    /// Copies the model from the device, unless it is here.
    fn read(&mut self, parameters: &mut Parameters<T>, optimizer: &mut Optimizer<T>) {
        if self.newest == Newest::Device {
            unwind(read_state(&mut *self.device, parameters, optimizer));
            self.newest = Newest::Both;
        }
    }
}

impl<T: Scalar> Trainer<T> {
    pub(super) fn machine(&self) -> Machine {
        match self.remote {
            Some(_) => Machine::Device(self.update),
            None => Machine::Here(self.team.workers()),
        }
    }

    /// Moves training and evaluation to a device. It unwinds with a [`DeviceError`] if the device
    /// fails later.
    ///
    /// # Errors
    /// [`NotLowered`] names what the device cannot do.
    pub fn move_to(&mut self, device: Box<dyn OnDevice<T>>) -> Result<(), NotLowered> {
        check::<T>(&self.network, &self.objective, self.precision, self.update)?;
        self.remote = Some(Remote { device, newest: Newest::Here });
        self.forget_programs();
        Ok(())
    }

    /// Whether it trains on a device.
    pub fn is_on_device(&self) -> bool {
        self.remote.is_some()
    }

    /// Copies parameters and moments from the device, if it has newer ones.
    pub fn fetch(&mut self) {
        if let Some(remote) = &mut self.remote {
            remote.read(&mut self.parameters, &mut self.optimizer);
        }
    }

    /// Fetches the model and gives the device up.
    pub fn leave_device(&mut self) {
        self.fetch();
        if self.remote.take().is_some() {
            self.forget_programs();
        }
    }

    fn forget_programs(&mut self) {
        self.training.clear();
        self.evaluation.clear();
        self.next_token.clear();
    }

    /// Fetches the model, which is then changed here.
    pub(super) fn change_here(&mut self) {
        self.fetch();
        if let Some(remote) = &mut self.remote {
            remote.newest = Newest::Here;
        }
    }

    /// Makes a training step on each batch, on the device all without a pause. `each` receives the
    /// scores of each batch, those before its update.
    pub fn steps(&mut self, batches: &[Vec<Example<'_>>], mut each: impl FnMut(&[SentenceScore])) {
        if self.remote.is_none() {
            for batch in batches {
                each(self.step(batch.iter().copied()));
            }
            return;
        }
        let mut rest = batches;
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|batch| batch.len() == first.len()).count();
            let (now, later) = rest.split_at(same);
            self.equal_steps(now, &mut each);
            rest = later;
        }
    }

    /// Steps on batches of one size, on the device.
    fn equal_steps(
        &mut self,
        batches: &[Vec<Example<'_>>],
        each: &mut impl FnMut(&[SentenceScore]),
    ) {
        self.head_is_fresh = false;
        let machine = self.machine();
        let Some(remote) = &mut self.remote else { return };
        remote.write(&self.parameters, &self.optimizer);
        let (seed, before) = (self.noise_seed, self.optimizer.steps());
        let mut records = Vec::new();
        let mut lowered = None;
        for batch in batches {
            let step = self.optimizer.steps();
            let compiled = Self::prepare(
                &mut self.training,
                (&self.network, &self.objective),
                batch.iter().copied(),
                (seed, step),
                (self.precision, machine),
            );
            let highest = self.optimizer.rate;
            self.optimizer.rate *= self.schedule.factor(step);
            compiled.program.record(Noise { seed, step }, Some(&mut self.optimizer), &mut records);
            self.optimizer.rate = highest;
            lowered = lowered.or_else(|| compiled.lowered.clone());
        }
        let Some(lowered) = lowered else { return };
        remote.newest = Newest::Device;
        let outputs = unwind(remote.device.run(&lowered, &records));
        let outputs = outputs.chunks_exact(lowered.outputs);
        for (step, (batch, outputs)) in (before..).zip(batches.iter().zip(outputs)) {
            // The places of its sentences again.
            let compiled = Self::prepare(
                &mut self.training,
                (&self.network, &self.objective),
                batch.iter().copied(),
                (seed, step),
                (self.precision, machine),
            );
            compiled.program.load_outputs(outputs);
            self.scores.clear();
            compiled.score(&mut self.scores);
            each(&self.scores);
        }
    }

    /// The multiplications and additions of a training step on so many sentences, without memory
    /// for one.
    pub fn planned_step_flops(&self, sentences: usize) -> u64 {
        let described = Described::<T>::training(&self.network, &self.objective);
        let batch = sentences.div_ceil(self.objective.pack);
        Program::for_device(&described.graph, batch, Mode::Training, self.precision).flops()
    }

    /// The launches of a training step on a batch, and its record, for a device.
    ///
    /// # Errors
    /// [`NotLowered`] names what the device cannot do.
    pub fn lowered_step(
        &mut self,
        batch: &[Example<'_>],
    ) -> Result<(Arc<Lowered>, Vec<u32>), NotLowered> {
        check::<T>(&self.network, &self.objective, self.precision, self.update)?;
        let machine = Machine::Device(self.update);
        let mut programs = Vec::new();
        let compiled = Self::prepare(
            &mut programs,
            (&self.network, &self.objective),
            batch.iter().copied(),
            (self.noise_seed, 0),
            (self.precision, machine),
        );
        let mut record = Vec::new();
        let noise = Noise { seed: self.noise_seed, step: 0 };
        let steps = self.optimizer.steps();
        compiled.program.record(noise, Some(&mut self.optimizer), &mut record);
        self.optimizer.set_steps(steps);
        let lowered = compiled.lowered.clone();
        Ok((lowered.expect("it was compiled for a device"), record))
    }
}

/// Checks that a device can train and score a network.
fn check<T: Scalar>(
    network: &Network,
    objective: &Objective,
    precision: ProductPrecision,
    update: UpdateRule,
) -> Result<(), NotLowered> {
    if objective.joint_embedding {
        return Err(NotLowered::new("joint-embedding prediction"));
    }
    let training = Described::<T>::training(network, objective);
    Lowered::new(&training.graph, 1, Mode::Training, precision, Some(update))?;
    let scoring = Described::<T>::scoring(network, objective);
    Lowered::new(&scoring.graph, 1, Mode::Inference, precision, None)?;
    Ok(())
}

/// The memory of one seed on a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceBytes {
    /// Parameters, gradients and moments, activations and tables.
    pub seed: u64,
    /// Launches of a training step.
    pub launches: usize,
}

impl DeviceBytes {
    /// The prediction for training with these batches.
    ///
    /// # Errors
    /// [`NotLowered`] names what a device cannot do.
    pub fn predict<T: Scalar>(
        network: &Network,
        objective: &Objective,
        (rule, decays_vectors, clip): (Rule, bool, f64),
        precision: ProductPrecision,
        batches: &Batches,
    ) -> Result<DeviceBytes, NotLowered> {
        /// Bytes of the tables of a session.
        const TABLES: u64 = 16 << 20;
        let update = UpdateRule { rule, decays_vectors, clip };
        check::<T>(network, objective, precision, update)?;
        let training = Described::<T>::training(network, objective);
        let mut seed = 0;
        let mut launches = 0;
        for sentences in &batches.training {
            let batch = sentences.div_ceil(objective.pack);
            let lowered =
                Lowered::new(&training.graph, batch, Mode::Training, precision, Some(update))?;
            seed = seed.max(lowered.bytes(1).max(TABLES) + lowered.state_bytes());
            launches = launches.max(lowered.launches.len());
        }
        Ok(DeviceBytes { seed, launches })
    }
}
