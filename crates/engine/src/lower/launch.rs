//! A launch of a kernel, as plain data.

use super::kernel::Kernel;
use crate::place::Place;

/// A buffer of device memory; there is one for each seed, except for the constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Region {
    /// The record of the present step: [rates and seeds](super::record), then the inputs.
    Record,
    /// Values, their gradients, and what operations keep.
    Arena,
    /// Parameters, in the layout of [`Parameters`](crate::Parameters).
    Parameters,
    /// Gradients of those that are trained, in the same layout.
    Gradients,
    /// First moments, in the same layout.
    FirstMoments,
    /// Second moments, in the same layout.
    SecondMoments,
    /// The records of the steps to come.
    Table,
    /// The outputs of the steps done.
    Outputs,
    /// The number of steps done of the table: one word.
    Counter,
    /// Constants of the program, shared by all seeds.
    Constants,
}

impl Region {
    /// How many there are.
    pub const COUNT: usize = 10;
}

/// The address of nothing.
pub const NOWHERE: u64 = u64::MAX;

/// The bit at which the region of an address begins; below it is the offset in 4-byte words.
pub const REGION_SHIFT: u32 = 56;

/// `[rows, columns]` numbers of a region, rows `stride` apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    pub(crate) region: Region,
    pub(crate) place: Place,
}

impl Area {
    /// A row of numbers.
    pub(crate) fn row(region: Region, start: usize, len: usize) -> Area {
        Area { region, place: Place { start, rows: 1, columns: len, stride: len } }
    }

    fn address(&self) -> u64 {
        (self.region as u64) << REGION_SHIFT | self.place.start as u64
    }

    /// From the first number to the last, those between rows included.
    fn span(&self) -> Span {
        let Place { start, rows, columns, stride } = self.place;
        let len = if rows == 0 { 0 } else { (rows - 1) * stride + columns };
        Span { region: self.region, start, end: start + len }
    }
}

/// A destination, and whether to add to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Put {
    pub(crate) area: Area,
    pub(crate) add: bool,
}

impl Put {
    /// Overwrites.
    pub(crate) fn over(area: Area) -> Put {
        Put { area, add: false }
    }
}

/// What becomes of a parameter's gradient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// It overwrites the buffer of gradients.
    Write = 0,
    /// It is added to the buffer of gradients.
    Add = 1,
    /// AdamW's step is made with it, and it is not stored.
    Step = 2,
    /// The same without weight decay.
    StepWithoutDecay = 3,
}

/// Part of a parameter whose gradient is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Its place in the layout of parameters.
    pub(crate) place: Place,
    pub(crate) store: Store,
}

/// A size or another whole number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size(pub(crate) usize);

impl From<usize> for Size {
    fn from(size: usize) -> Size {
        Size(size)
    }
}

/// A range of a region that a launch reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The region.
    pub region: Region,
    /// Its first word.
    pub start: usize,
    /// The word after its last.
    pub end: usize,
}

impl Span {
    /// Whether the two have a word in common.
    pub(super) fn overlaps(&self, other: &Span) -> bool {
        self.region == other.region && self.start < other.end && other.start < self.end
    }
}

/// One launch of a kernel; the third dimension of its grid is the seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The kernel.
    pub kernel: Kernel,
    /// Blocks in the first two dimensions.
    pub grid: [u32; 2],
    /// Its arguments.
    pub words: Vec<u64>,
    /// What it reads.
    pub reads: Vec<Span>,
    /// What it writes.
    pub writes: Vec<Span>,
}

impl Launch {
    pub(super) fn new(kernel: Kernel, grid: [usize; 2]) -> Launch {
        let grid = grid.map(|blocks| u32::try_from(blocks).expect("buffers are smaller"));
        Launch { kernel, grid, words: Vec::new(), reads: Vec::new(), writes: Vec::new() }
    }

    /// Whether it must come after `earlier`, which was before it.
    pub(super) fn depends_on(&self, earlier: &Launch) -> bool {
        let meets = |ours: &[Span], theirs: &[Span]| {
            ours.iter().any(|span| theirs.iter().any(|other| span.overlaps(other)))
        };
        meets(&self.reads, &earlier.writes)
            || meets(&self.writes, &earlier.writes)
            || meets(&self.writes, &earlier.reads)
    }
}

/// An argument of a kernel.
pub(super) trait Words {
    /// Its type in device code.
    const C_TYPE: &'static str;

    /// Appends its words, and notes what is read and written.
    fn push(&self, launch: &mut Launch);
}

impl Words for Area {
    const C_TYPE: &'static str = "Matrix";

    fn push(&self, launch: &mut Launch) {
        launch.words.extend([self.address(), self.place.stride as u64]);
        launch.reads.push(self.span());
    }
}

impl Words for Option<Area> {
    const C_TYPE: &'static str = "Matrix";

    fn push(&self, launch: &mut Launch) {
        match self {
            Some(area) => area.push(launch),
            None => launch.words.extend([NOWHERE, 0]),
        }
    }
}

impl Words for [Option<Area>; 3] {
    const C_TYPE: &'static str = "Matrices";

    fn push(&self, launch: &mut Launch) {
        self.iter().for_each(|area| area.push(launch));
    }
}

impl Words for Put {
    const C_TYPE: &'static str = "Put";

    fn push(&self, launch: &mut Launch) {
        let words = [self.area.address(), self.area.place.stride as u64, u64::from(self.add)];
        launch.words.extend(words);
        launch.writes.push(self.area.span());
        if self.add {
            launch.reads.push(self.area.span());
        }
    }
}

impl Words for Option<Put> {
    const C_TYPE: &'static str = "Put";

    fn push(&self, launch: &mut Launch) {
        match self {
            Some(put) => put.push(launch),
            None => launch.words.extend([NOWHERE, 0, 0]),
        }
    }
}

impl Words for [Option<Put>; 3] {
    const C_TYPE: &'static str = "Puts";

    fn push(&self, launch: &mut Launch) {
        self.iter().for_each(|put| put.push(launch));
    }
}

impl Words for Target {
    const C_TYPE: &'static str = "Target";

    fn push(&self, launch: &mut Launch) {
        let Place { start, stride, .. } = self.place;
        launch.words.extend([start as u64, stride as u64, self.store as u64]);
        let span = |region| Area { region, place: self.place }.span();
        match self.store {
            Store::Write | Store::Add => launch.writes.push(span(Region::Gradients)),
            Store::Step | Store::StepWithoutDecay => {
                launch.writes.push(span(Region::Parameters));
                launch.writes.push(span(Region::FirstMoments));
                launch.writes.push(span(Region::SecondMoments));
                let record = Area::row(Region::Record, 0, super::record::HEADER);
                launch.reads.push(record.span());
            }
        }
    }
}

impl Words for Option<Target> {
    const C_TYPE: &'static str = "Target";

    fn push(&self, launch: &mut Launch) {
        match self {
            Some(target) => target.push(launch),
            None => launch.words.extend([NOWHERE, 0, 0]),
        }
    }
}

impl Words for Size {
    const C_TYPE: &'static str = "i64";

    fn push(&self, launch: &mut Launch) {
        launch.words.push(self.0 as u64);
    }
}

impl Words for f64 {
    const C_TYPE: &'static str = "double";

    fn push(&self, launch: &mut Launch) {
        launch.words.push(self.to_bits());
    }
}
