//! The memory of a group of seeds, and the programs that run in it.

use std::sync::Arc;

use retrodict_engine::lower::{DeviceError, Launch, Lowered, Region};

use crate::buffer::Buffer;
use crate::driver::{Event, Graph, Node, Stream};
use crate::gpu::Loaded;

/// Bytes of the tables of one seed, at most, unless one step needs more.
const TABLES: usize = 16 << 20;

/// Several seeds, a slot each, with the same programs.
pub(crate) struct Session {
    gpu: Arc<Loaded>,
    slots: usize,
    /// By [`Region`]; constants are those of the programs.
    regions: [Buffer; Region::COUNT],
    /// The slots of the present launch.
    order: Buffer,
    programs: Vec<Ready>,
    stream: Stream,
}

/// A program with its constants, and its graph for each number of seeds.
struct Ready {
    program: Arc<Lowered>,
    constants: Buffer,
    graphs: Vec<(usize, Graph)>,
}

/// The work of one seed: its slot, and the records of its steps.
pub(crate) type Work<'a> = (usize, &'a [u32]);

impl Session {
    pub(crate) fn new(gpu: &Arc<Loaded>, slots: usize) -> Result<Session, DeviceError> {
        gpu.context.enter()?;
        Ok(Session {
            gpu: Arc::clone(gpu),
            slots,
            regions: Default::default(),
            order: Buffer::zeros(1, slots)?,
            programs: Vec::new(),
            stream: Stream::new()?,
        })
    }

    /// Makes a region hold so many words for each seed. What was there is lost.
    fn hold(&mut self, region: Region, words: usize) -> Result<(), DeviceError> {
        if self.regions[region as usize].holds(words) {
            return Ok(());
        }
        self.stream.wait()?;
        // Graphs have the addresses.
        self.programs.iter_mut().for_each(|ready| ready.graphs.clear());
        // First the old memory is freed.
        self.regions[region as usize] = Buffer::default();
        self.regions[region as usize] = Buffer::zeros(self.slots, words)?;
        Ok(())
    }

    pub(crate) fn write(
        &mut self,
        slot: usize,
        parameters: &[f32],
        moments: [&[f32]; 2],
    ) -> Result<(), DeviceError> {
        self.gpu.context.enter()?;
        let [first, second] = moments;
        for (region, numbers) in [
            (Region::Parameters, parameters),
            (Region::FirstMoments, first),
            (Region::SecondMoments, second),
        ] {
            self.hold(region, numbers.len())?;
            self.regions[region as usize].write(slot, numbers)?;
        }
        Ok(())
    }

    pub(crate) fn read(
        &self,
        slot: usize,
        parameters: &mut [f32],
        moments: [&mut [f32]; 2],
    ) -> Result<(), DeviceError> {
        self.gpu.context.enter()?;
        let [first, second] = moments;
        for (region, numbers) in [
            (Region::Parameters, parameters),
            (Region::FirstMoments, first),
            (Region::SecondMoments, second),
        ] {
            self.regions[region as usize].read(slot, numbers)?;
        }
        Ok(())
    }

    /// Runs a program for some seeds, each with equally many records; returns their outputs.
    pub(crate) fn run(
        &mut self,
        program: &Arc<Lowered>,
        work: &[Work<'_>],
    ) -> Result<Vec<Vec<f32>>, DeviceError> {
        self.gpu.context.enter()?;
        let steps = work.first().map_or(0, |(_, records)| records.len() / program.record);
        let mut outputs: Vec<Vec<f32>> = work.iter().map(|_| Vec::new()).collect();
        outputs.iter_mut().for_each(|of| of.reserve_exact(steps * program.outputs));
        let words = program.record + program.outputs;
        let at_once = (TABLES / 4 / words).clamp(1, steps.max(1));
        let ready = self.prepare(program, work, at_once)?;
        for first in (0..steps).step_by(at_once) {
            let count = at_once.min(steps - first);
            for (slot, records) in work {
                let part = first * program.record..(first + count) * program.record;
                self.regions[Region::Table as usize].write(*slot, &records[part])?;
            }
            self.rewind(work)?;
            self.launch(ready, work.len(), count)?;
            self.stream.wait()?;
            for ((slot, _), outputs) in work.iter().zip(&mut outputs) {
                let before = outputs.len();
                outputs.resize(before + count * program.outputs, 0.0);
                self.regions[Region::Outputs as usize].read(*slot, &mut outputs[before..])?;
            }
        }
        Ok(outputs)
    }

    /// Memory for so many steps of a program at once, and its graph for these seeds: its index.
    fn prepare(
        &mut self,
        program: &Arc<Lowered>,
        work: &[Work<'_>],
        steps: usize,
    ) -> Result<usize, DeviceError> {
        for region in [Region::Parameters, Region::Gradients, Region::Arena, Region::Record] {
            if program.uses(region) {
                self.hold(region, program.words(region))?;
            }
        }
        self.hold(Region::Counter, program.words(Region::Counter))?;
        self.hold(Region::Table, steps * program.record)?;
        self.hold(Region::Outputs, steps * program.outputs)?;
        let slots: Vec<u32> = work.iter().map(|(slot, _)| *slot as u32).collect();
        self.order.write(0, &slots)?;
        self.ready(program, work.len())
    }

    /// Begins the tables anew.
    pub(crate) fn rewind(&self, work: &[Work<'_>]) -> Result<(), DeviceError> {
        let counter = &self.regions[Region::Counter as usize];
        work.iter().try_for_each(|(slot, _)| counter.write(*slot, &[0_u32]))
    }

    /// Launches so many steps.
    fn launch(&self, ready: usize, seeds: usize, steps: usize) -> Result<(), DeviceError> {
        let graphs = &self.programs[ready].graphs;
        let (_, graph) = graphs.iter().find(|(of, _)| *of == seeds).expect("it was built");
        (0..steps).try_for_each(|_| graph.launch(&self.stream))
    }

    /// Seconds that the device takes for all steps of some work.
    pub(crate) fn time(
        &mut self,
        program: &Arc<Lowered>,
        work: &[Work<'_>],
    ) -> Result<f64, DeviceError> {
        self.gpu.context.enter()?;
        let steps = work.first().map_or(0, |(_, records)| records.len() / program.record);
        let ready = self.prepare(program, work, steps)?;
        for (slot, records) in work {
            self.regions[Region::Table as usize].write(*slot, records)?;
        }
        self.rewind(work)?;
        let (begin, end) = (Event::new()?, Event::new()?);
        begin.record(&self.stream)?;
        self.launch(ready, work.len(), steps)?;
        end.record(&self.stream)?;
        self.stream.wait()?;
        end.since(&begin)
    }

    /// Bytes a second of a copy between the moments, read and written.
    pub(crate) fn copy_rate(&self) -> Result<f64, DeviceError> {
        let [from, to] = [Region::FirstMoments, Region::SecondMoments];
        let (begin, end) = (Event::new()?, Event::new()?);
        let copy =
            || self.regions[to as usize].copy_from(&self.regions[from as usize], &self.stream);
        copy()?;
        begin.record(&self.stream)?;
        copy()?;
        end.record(&self.stream)?;
        self.stream.wait()?;
        let bytes = 2 * self.regions[to as usize].bytes();
        Ok(bytes as f64 / end.since(&begin)?)
    }

    /// The index of a program whose graph for so many seeds is built.
    fn ready(&mut self, program: &Arc<Lowered>, seeds: usize) -> Result<usize, DeviceError> {
        let same =
            |ready: &Ready| Arc::ptr_eq(&ready.program, program) || ready.program == *program;
        let at = match self.programs.iter().position(same) {
            Some(at) => at,
            None => {
                let constants = Buffer::zeros(1, program.constants.len())?;
                constants.write(0, &program.constants)?;
                let program = Arc::clone(program);
                self.programs.push(Ready { program, constants, graphs: Vec::new() });
                self.programs.len() - 1
            }
        };
        if !self.programs[at].graphs.iter().any(|(of, _)| *of == seeds) {
            let graph = Graph::new(&mut self.nodes(&self.programs[at], seeds))?;
            self.programs[at].graphs.push((seeds, graph));
        }
        Ok(at)
    }

    fn nodes(&self, Ready { program, constants, .. }: &Ready, seeds: usize) -> Vec<Node> {
        let regions = self.regions_of(constants);
        let node = |(launch, after): (&Launch, &Vec<usize>)| Node {
            function: self.gpu.function(launch.kernel),
            grid: [launch.grid[0], launch.grid[1], seeds as u32],
            block: launch.kernel.block(),
            parameters: [regions.clone(), launch.words.clone()],
            after: after.clone(),
        };
        program.launches.iter().zip(&program.edges).map(node).collect()
    }

    /// The words of the struct `Regions` of the kernels.
    fn regions_of(&self, constants: &Buffer) -> Vec<u64> {
        let of = |region: usize| match region == Region::Constants as usize {
            true => (constants.address(), 0),
            false => (self.regions[region].address(), self.regions[region].stride() as u64),
        };
        let (bases, strides): (Vec<u64>, Vec<u64>) = (0..Region::COUNT).map(of).unzip();
        bases.into_iter().chain(strides).chain([self.order.address()]).collect()
    }

    /// The launches of a program, to be launched one by one.
    pub(crate) fn launches(
        &mut self,
        program: &Arc<Lowered>,
        seeds: usize,
    ) -> Result<Vec<Node>, DeviceError> {
        let at = self.ready(program, seeds)?;
        Ok(self.nodes(&self.programs[at], seeds))
    }

    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Memory is freed in this thread, once nothing uses it.
        let _ = self.gpu.context.enter();
        let _ = self.stream.wait();
    }
}
