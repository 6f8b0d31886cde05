//! The plan: the measurements, their durations and their repetitions.

use std::fmt;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// A kind of work. The programs below `bench/` use the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Work {
    Unary,
    OpenClose,
    Connect,
    Idle,
    Rows,
    Download,
    Upload,
    Wire,
    /// Cryptography, JSON and base64 alone.
    Alone,
    /// The time of the generator and of the compiler. No client measures it.
    Build,
}

/// The cores that the server and the client run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Cores {
    /// Each on its own half of the cores.
    Apart,
    /// Both on one core.
    One,
    /// Both on the same two cores.
    Two,
}

/// One measurement, taken for every peer that supports the work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cell {
    pub(super) work: Work,
    pub(super) in_flight: usize,
    pub(super) size: usize,
    /// The total that ends the work; 0 if the time ends it.
    pub(super) count: u64,
    pub(super) cores: Cores,
}

/// A cell, and how it is measured.
pub(super) struct Item {
    pub(super) cell: Cell,
    /// The time of each round, if no count ends it.
    pub(super) seconds: f64,
    /// The number of rounds. The peers take turns in each.
    pub(super) rounds: usize,
    /// The peers that take part; `None` for all that can.
    pub(super) peers: Option<&'static [&'static str]>,
}

/// The extent of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Extent {
    /// Everything, in less than 20 minutes.
    Full,
    /// Enough to see whether a change made something slower; takes about 3 minutes.
    Quick,
    /// Only a check that everything works.
    Smoke,
}

/// The numbers of unary calls in flight in a full run.
pub(super) const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];
/// The sizes of their messages.
pub(super) const SIZES: [usize; 3] = [100, KIB, 64 * KIB];
/// The sizes of the blocks of downloads and uploads in a full run.
pub(super) const BLOCKS: [usize; 2] = [64 * KIB, 1024 * KIB];

const KIB: usize = 1 << 10;
const MIB: u64 = 1 << 20;
const ROWS: u64 = 1_000_000;

impl Cell {
    fn new(work: Work, in_flight: usize, size: usize, count: u64) -> Self {
        Self { work, in_flight, size, count, cores: Cores::Apart }
    }
}

impl Item {
    fn timed(cell: Cell, seconds: f64, rounds: usize) -> Self {
        Self { cell, seconds, rounds, peers: None }
    }

    fn counted(cell: Cell, rounds: usize) -> Self {
        Self::timed(cell, 0.0, rounds)
    }

    fn by(mut self, peers: &'static [&'static str]) -> Self {
        self.peers = Some(peers);
        self
    }
}

impl Extent {
    /// The measurements of a run.
    pub(super) fn plan(self) -> Vec<Item> {
        match self {
            Self::Full => full(),
            Self::Quick => quick(),
            Self::Smoke => smoke(),
        }
    }

    /// The number of rows that the server has.
    pub(super) fn rows(self) -> u64 {
        match self {
            Self::Full => ROWS,
            Self::Quick => ROWS / 10,
            Self::Smoke => 1000,
        }
    }
}

fn full() -> Vec<Item> {
    let mut plan = Vec::new();
    for in_flight in IN_FLIGHT {
        for size in SIZES {
            plan.push(Item::timed(Cell::new(Work::Unary, in_flight, size, 0), 0.5, 5));
        }
    }
    plan.extend(cores(0.5, 5));
    plan.push(Item::timed(Cell::new(Work::OpenClose, 64, 0, 0), 0.5, 3));
    plan.push(Item::counted(Cell::new(Work::Connect, 16, 0, 400), 3));
    let idle = |rounds| Item::counted(Cell::new(Work::Idle, 1, 0, 10_000), rounds);
    plan.push(idle(3).by(&["sdk"]));
    plan.push(idle(1).by(&["rust-nodelay", "js", "wasm"]));
    for rows in [ROWS / 100, ROWS / 10] {
        plan.push(Item::counted(Cell::new(Work::Rows, 1, 0, rows), 3).by(&["sdk"]));
    }
    plan.push(Item::counted(Cell::new(Work::Rows, 1, 0, ROWS), 3));
    for size in BLOCKS {
        plan.push(Item::counted(Cell::new(Work::Download, 1, size, 256 * MIB), 3));
        plan.push(Item::counted(Cell::new(Work::Upload, 1, size, 128 * MIB), 3));
    }
    plan.push(Item::counted(Cell::new(Work::Download, 1, 64 * KIB, 1024 * MIB), 1).by(&["sdk"]));
    plan.push(Item::counted(Cell::new(Work::Wire, 1, KIB, 50_000), 3));
    plan.push(Item::counted(Cell::new(Work::Wire, 100, KIB, 1000), 3));
    plan.push(Item::timed(Cell::new(Work::Alone, 1, 0, 0), 0.1, 3));
    plan.push(Item::counted(Cell::new(Work::Build, 1, 0, 0), 3));
    plan
}

fn quick() -> Vec<Item> {
    let mut plan = Vec::new();
    for (in_flight, size) in [(1, KIB), (64, KIB), (64, 64 * KIB)] {
        plan.push(Item::timed(Cell::new(Work::Unary, in_flight, size, 0), 0.3, 3));
    }
    plan.extend(cores(0.3, 3));
    plan.push(Item::timed(Cell::new(Work::OpenClose, 64, 0, 0), 0.3, 1));
    plan.push(Item::counted(Cell::new(Work::Connect, 16, 0, 100), 1));
    plan.push(Item::counted(Cell::new(Work::Idle, 1, 0, 10_000), 1).by(&["sdk"]));
    plan.push(Item::counted(Cell::new(Work::Rows, 1, 0, ROWS / 10), 2));
    plan.push(Item::counted(Cell::new(Work::Download, 1, 64 * KIB, 128 * MIB), 2));
    plan.push(Item::counted(Cell::new(Work::Upload, 1, 64 * KIB, 32 * MIB), 2));
    plan.push(Item::counted(Cell::new(Work::Wire, 1, KIB, 10_000), 1));
    plan.push(Item::counted(Cell::new(Work::Wire, 100, KIB, 200), 1));
    plan.push(Item::timed(Cell::new(Work::Alone, 1, 0, 0), 0.05, 1));
    plan
}

/// A little of each kind of work, for this repository's own programs.
fn smoke() -> Vec<Item> {
    let timed = |cell| Item::timed(cell, 0.05, 1);
    let counted =
        |work, in_flight, size, count| Item::counted(Cell::new(work, in_flight, size, count), 1);
    let plan = [
        timed(Cell::new(Work::Unary, 4, KIB, 0)),
        timed(Cell::new(Work::OpenClose, 4, 0, 0)),
        counted(Work::Connect, 2, 0, 4),
        counted(Work::Idle, 1, 0, 20),
        counted(Work::Rows, 1, 0, 1000),
        counted(Work::Download, 1, 64 * KIB, MIB),
        counted(Work::Upload, 1, 64 * KIB, MIB),
        counted(Work::Wire, 2, KIB, 20),
        Item::timed(Cell::new(Work::Alone, 1, 0, 0), 0.005, 1),
    ];
    plan.into_iter().map(|item| item.by(&["sdk", "sdk-ahead", "sdk-grpc", "floor"])).collect()
}

/// Shows how throughput grows with the number of cores.
fn cores(seconds: f64, rounds: usize) -> impl Iterator<Item = Item> {
    [Cores::One, Cores::Two].into_iter().map(move |cores| {
        let cell = Cell { cores, ..Cell::new(Work::Unary, 64, 64 * KIB, 0) };
        Item::timed(cell, seconds, rounds).by(&["sdk", "sdk-grpc", "tonic"])
    })
}

impl Work {
    /// Its name on the command line.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Unary => "unary",
            Self::OpenClose => "open-close",
            Self::Connect => "connect",
            Self::Idle => "idle",
            Self::Rows => "rows",
            Self::Download => "download",
            Self::Upload => "upload",
            Self::Wire => "wire",
            Self::Alone => "alone",
            Self::Build => "build",
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.work.name())?;
        if self.in_flight > 1 {
            write!(f, " ×{}", self.in_flight)?;
        }
        if self.size > 0 {
            write!(f, " {}", size(self.size as u64))?;
        }
        match self.count {
            0 => {}
            bytes if matches!(self.work, Work::Download | Work::Upload) => {
                write!(f, " of {}", size(bytes))?;
            }
            count => write!(f, " {count}")?,
        }
        match self.cores {
            Cores::Apart => Ok(()),
            Cores::One => f.write_str(" on one core"),
            Cores::Two => f.write_str(" on two cores"),
        }
    }
}

/// A number of bytes with a unit.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = UNITS.into_iter().find(|(shift, _)| bytes >> shift > 0);
    match unit {
        Some((shift, unit)) if bytes.trailing_zeros() >= u32::try_from(shift).unwrap_or(0) => {
            format!("{} {unit}", bytes >> shift)
        }
        _ => format!("{bytes} B"),
    }
}
