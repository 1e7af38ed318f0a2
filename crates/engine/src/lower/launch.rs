//! A launch of a kernel, as plain data.

use super::kernel::Kernel;
use crate::place::Place;

/// A buffer of device memory; there is one for each seed, except for the constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Region {
    /// The record of the present step: the [header](super::HEADER), then the inputs.
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
        Area { region, place: Place::row(start, len) }
    }

    fn address(&self) -> u64 {
        (self.region as u64) << REGION_SHIFT | self.place.start as u64
    }

    /// Its numbers.
    pub(super) fn span(&self) -> Span {
        let Place { start, rows, columns, stride } = self.place;
        Span { region: self.region, start, rows, columns, stride }
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

/// The use of a parameter's gradient.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

impl From<usize> for Size {
    fn from(size: usize) -> Size {
        Size(size)
    }
}

/// Numbers of a region that a launch reads or writes: `rows` times `columns` words, rows `stride`
/// apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    /// The region.
    pub region: Region,
    /// Its first word.
    pub start: usize,
    /// Rows.
    pub rows: usize,
    /// Words in a row.
    pub columns: usize,
    /// Words from one row to the next.
    pub stride: usize,
}

impl Span {
    /// Its words.
    pub fn words(&self) -> usize {
        self.rows * self.columns
    }

    /// The word after its last.
    pub fn end(&self) -> usize {
        match self.words() {
            0 => self.start,
            _ => self.start + (self.rows - 1) * self.stride + self.columns,
        }
    }

    /// Whether the two have a word in common; for different strides, whether they may have one.
    pub(super) fn overlaps(&self, other: &Span) -> bool {
        let near =
            self.region == other.region && self.start < other.end() && other.start < self.end();
        if !near || self.stride != other.stride || self.stride == 0 {
            return near;
        }
        // Row `r` of this one and row `r + ahead` of the other.
        let gap = other.start as i64 - self.start as i64;
        let nearest = (-gap).div_euclid(self.stride as i64);
        (nearest - 1..=nearest + 2).any(|ahead| {
            let apart = gap + ahead * self.stride as i64;
            let both = -(self.rows as i64) < ahead && ahead < other.rows as i64;
            both && apart < self.columns as i64 && -apart < other.columns as i64
        })
    }
}

/// One launch of a kernel; the third dimension of its grid is the seed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Launch {
    /// The kernel.
    pub kernel: Kernel,
    /// Blocks in the first two dimensions.
    pub grid: [u32; 2],
    /// Its arguments.
    pub words: Vec<u64>,
    /// The numbers that it reads.
    pub reads: Vec<Span>,
    /// The numbers that it writes.
    pub writes: Vec<Span>,
    /// Multiplications and additions of a product; 0 for other kernels.
    pub flops: u64,
}

impl Launch {
    pub(super) fn new(kernel: Kernel, grid: [usize; 2]) -> Launch {
        let grid = grid.map(|blocks| u32::try_from(blocks).expect("buffers are smaller"));
        let (words, reads, writes) = (Vec::new(), Vec::new(), Vec::new());
        Launch { kernel, grid, words, reads, writes, flops: 0 }
    }

    /// The bytes that it moves at least, for one seed.
    pub fn bytes(&self) -> u64 {
        self.reads.iter().chain(&self.writes).map(|span| 4 * span.words() as u64).sum()
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
            Store::Write => launch.writes.push(span(Region::Gradients)),
            Store::Add => {
                launch.reads.push(span(Region::Gradients));
                launch.writes.push(span(Region::Gradients));
            }
            Store::Step | Store::StepWithoutDecay => {
                for region in [Region::Parameters, Region::FirstMoments, Region::SecondMoments] {
                    launch.reads.push(span(region));
                    launch.writes.push(span(region));
                }
                launch.reads.push(super::record::header());
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
