//! Checks of updates that others send, before the Yjs library reads them.
//!
//! That library allocates as much as an update announces, recurses as deep as its values are nested, and
//! computes with numbers that may overflow. The checks read an update as the library would, without
//! keeping it.

use std::collections::{HashMap, HashSet};

use super::columns::{Bytes, Differences, Flags, Malformed, Numbers, Texts};

/// The maximum nesting of plain values in shared types.
const MAX_VALUE_NESTING: u32 = 100;
/// Up to as many shared types, their number counts as their nesting.
const FEW_TYPES: u32 = 50;
/// The largest clock. Larger ones overflow.
const MAX_CLOCK: u32 = i32::MAX as u32;

/// Ids of clients have 53 bits. The library cuts larger ones off.
const CLIENTS: u64 = 1 << 53;

/// The estimated memory for one of each, in bytes.
const BLOCK: u64 = 256;
const SUBDOCUMENT: u64 = 2048;
const VALUE: u64 = 64;
const CLIENT: u64 = 128;
const RANGE: u64 = 32;

/// The resources that a checked update needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The estimated memory, in bytes.
    pub cost: u64,
    /// The levels by which the update may deepen the nesting of shared types.
    pub nesting: u32,
}

/// Why an update is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is not an update, or has numbers that are out of range.
    Malformed,
    /// It needs more memory than is permitted.
    TooLarge,
    /// It nests its values or the document's shared types too deeply.
    TooDeep,
}

type Result<T, E = Unfit> = std::result::Result<T, E>;

impl From<Malformed> for Unfit {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Checks an update, which may need `max_cost` bytes of memory, as estimated here.
///
/// # Errors
///
/// Fails if the library cannot read the update safely.
pub fn check(update: &[u8], max_cost: u64) -> Result<Summary> {
    let mut walk = Walk::new(update, max_cost)?;
    walk.update()?;
    Ok(Summary { cost: walk.cost, nesting: walk.types.nesting() })
}

/// Returns the blocks of a checked update, by client and in their order.
pub(super) fn blocks(update: &[u8]) -> Result<HashMap<u64, Vec<Block>>> {
    let mut walk = Walk::new(update, u64::MAX)?;
    walk.update()?;
    Ok(walk.types.clients)
}

/// Checks a state vector.
///
/// # Errors
///
/// Fails if the library cannot read the update safely.
pub fn check_state_vector(state_vector: &[u8]) -> Result<()> {
    let mut bytes = Bytes::new(state_vector);
    let clients = bytes.length()?;
    if clients > bytes.len() / 2 {
        return Err(Unfit::Malformed);
    }
    for _ in 0..clients {
        client(bytes.number()?)?;
        bytes.small()?;
    }
    Ok(())
}

/// Checks the id of a client.
fn client(id: u64) -> Result<u64> {
    if id < CLIENTS { Ok(id) } else { Err(Unfit::Malformed) }
}

/// The position of a block: its client and its clock.
type Id = (u64, u32);

/// Reads through an update.
struct Walk<'a> {
    rest: Bytes<'a>,
    key_clocks: Differences<'a>,
    clients: Numbers<'a>,
    left_clocks: Differences<'a>,
    right_clocks: Differences<'a>,
    infos: Flags<'a>,
    texts: Texts<'a>,
    parent_infos: Flags<'a>,
    type_refs: Numbers<'a>,
    lengths: Numbers<'a>,
    keys: usize,
    cost: u64,
    max_cost: u64,
    types: Types,
}

impl<'a> Walk<'a> {
    fn new(update: &'a [u8], max_cost: u64) -> Result<Self> {
        let mut rest = Bytes::new(update);
        // A version, which is not used.
        rest.byte()?;
        Ok(Self {
            key_clocks: Differences::new(rest.sized()?),
            clients: Numbers::new(rest.sized()?),
            left_clocks: Differences::new(rest.sized()?),
            right_clocks: Differences::new(rest.sized()?),
            infos: Flags::new(rest.sized()?),
            texts: Texts::new(rest.sized()?)?,
            parent_infos: Flags::new(rest.sized()?),
            type_refs: Numbers::new(rest.sized()?),
            lengths: Numbers::new(rest.sized()?),
            rest,
            keys: 0,
            cost: update.len() as u64,
            max_cost,
            types: Types::default(),
        })
    }

    fn update(&mut self) -> Result<()> {
        let mut clients = HashSet::new();
        for _ in 0..self.rest.small()? {
            self.spend(CLIENT)?;
            // The library would take the blocks of both for successive ones.
            if !clients.insert(self.changes_of_client()?) {
                return Err(Unfit::Malformed);
            }
        }
        for _ in 0..self.rest.small()? {
            self.spend(CLIENT)?;
            self.deletions_of_client()?;
        }
        Ok(())
    }

    /// Counts memory, so that an update that announces too much is rejected early.
    fn spend(&mut self, bytes: u64) -> Result<()> {
        self.cost += bytes;
        if self.cost > self.max_cost { Err(Unfit::TooLarge) } else { Ok(()) }
    }

    /// Reads the blocks of a client. Returns its id.
    fn changes_of_client(&mut self) -> Result<u64> {
        let blocks = self.rest.small()?;
        let client = client(self.clients.next()?)?;
        let mut clock = self.rest.small()?;
        for _ in 0..blocks {
            self.spend(BLOCK)?;
            let length = self.block((client, clock))?;
            clock = clock
                .checked_add(length)
                .filter(|end| *end <= MAX_CLOCK)
                .ok_or(Unfit::Malformed)?;
        }
        Ok(client)
    }

    /// Reads a block. Returns its length.
    fn block(&mut self, id: Id) -> Result<u32> {
        let info = self.infos.next()?;
        match info {
            0 => {
                let length = self.lengths.next_small()?;
                self.types.add(id.0, Block::collected(id.1, length), false);
                return Ok(length);
            }
            10 => return Ok(self.rest.small()?),
            _ => {}
        }
        let (has_left, has_right) = (info & 0x80 != 0, info & 0x40 != 0);
        let left = has_left.then(|| self.left()).transpose()?;
        let right = has_right.then(|| self.right()).transpose()?;
        let place = match left.or(right) {
            Some(neighbour) => Place::Beside(neighbour),
            None if self.parent_infos.next()? == 1 => {
                self.texts.skip()?;
                Place::Root
            }
            None => Place::In(self.left()?),
        };
        if !has_left && !has_right && info & 0x20 != 0 {
            self.texts.skip()?;
        }
        let length = self.content(info & 0x0f)?;
        let follows =
            left.is_some_and(|left| Some(left) == id.1.checked_sub(1).map(|last| (id.0, last)));
        let block = Block { clock: id.1, length, place, is_item: true, follows };
        self.types.add(id.0, block, info & 0x0f == 7);
        Ok(length)
    }

    fn left(&mut self) -> Result<Id> {
        Ok((client(self.clients.next()?)?, self.left_clocks.next()?))
    }

    fn right(&mut self) -> Result<Id> {
        Ok((client(self.clients.next()?)?, self.right_clocks.next()?))
    }

    /// Reads the content of a block. Returns its length.
    fn content(&mut self, kind: u8) -> Result<u32> {
        match kind {
            // Deleted.
            1 => Ok(self.lengths.next_small()?),
            // Texts with JSON. The library reads one more than announced.
            2 => {
                let count = self.lengths.next_small()?;
                for _ in 0..=count {
                    self.spend(VALUE)?;
                    self.texts.skip()?;
                }
                count.checked_add(1).ok_or(Unfit::Malformed)
            }
            3 => {
                self.rest.sized()?;
                Ok(1)
            }
            4 => u32::try_from(self.texts.skip()?).map_err(|_| Unfit::Malformed),
            // An embedded value.
            5 => self.value(0).map(|()| 1),
            // Formatting.
            6 => {
                self.key()?;
                self.value(0).map(|()| 1)
            }
            7 => {
                // Elements of XML have a name.
                if self.type_refs.next()? == 3 {
                    self.key()?;
                }
                Ok(1)
            }
            8 => {
                let count = self.lengths.next_small()?;
                for _ in 0..count {
                    self.value(0)?;
                }
                Ok(count)
            }
            9 => {
                self.spend(SUBDOCUMENT)?;
                self.texts.skip()?;
                self.value(0).map(|()| 1)
            }
            _ => Err(Unfit::Malformed),
        }
    }

    /// Reads a name, which is written only the first time.
    fn key(&mut self) -> Result<()> {
        let key = self.key_clocks.next()?;
        if key as usize >= self.keys {
            self.spend(VALUE)?;
            self.texts.skip()?;
            self.keys += 1;
        }
        Ok(())
    }

    /// Reads a plain value.
    fn value(&mut self, depth: u32) -> Result<()> {
        self.spend(VALUE)?;
        if depth > MAX_VALUE_NESTING {
            return Err(Unfit::TooDeep);
        }
        match self.rest.byte()? {
            120 | 121 | 126 | 127 => {}
            122 | 123 => drop(self.rest.take(8)?),
            124 => drop(self.rest.take(4)?),
            125 => drop(self.rest.signed()?),
            119 => drop(self.rest.text()?),
            116 => drop(self.rest.sized()?),
            117 => {
                for _ in 0..self.count(1)? {
                    self.value(depth + 1)?;
                }
            }
            118 => {
                for _ in 0..self.count(2)? {
                    self.rest.text()?;
                    self.value(depth + 1)?;
                }
            }
            _ => return Err(Unfit::Malformed),
        }
        Ok(())
    }

    /// Reads a count of things that need at least this many bytes each.
    fn count(&mut self, bytes: usize) -> Result<usize> {
        let count = self.rest.length()?;
        if count > self.rest.len() / bytes { Err(Unfit::Malformed) } else { Ok(count) }
    }

    fn deletions_of_client(&mut self) -> Result<()> {
        client(self.rest.number()?)?;
        let mut clock = 0u32;
        for _ in 0..self.rest.small()? {
            self.spend(RANGE)?;
            let (skipped, length) = (self.rest.small()?, self.rest.small()?);
            let next = clock.checked_add(skipped).and_then(|start| start.checked_add(length));
            clock = next.filter(|last| *last < MAX_CLOCK).ok_or(Unfit::Malformed)? + 1;
        }
        Ok(())
    }
}

/// The place of a block.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In a root of the document.
    Root,
    /// In the shared type of this block.
    In(Id),
    /// In the same place as this block.
    Beside(Id),
}

/// A block of an update.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) clock: u32,
    length: u32,
    place: Place,
    /// False for a block whose content was collected.
    pub(super) is_item: bool,
    /// Set if the block was inserted after the client's change just before it.
    pub(super) follows: bool,
}

impl Block {
    fn collected(clock: u32, length: u32) -> Self {
        Self { clock, length, place: Place::Root, is_item: false, follows: false }
    }

    /// Returns the clock after the block.
    pub(super) fn end(&self) -> u32 {
        self.clock.saturating_add(self.length)
    }
}

/// The blocks of an update, to determine how deeply its shared types are nested.
#[derive(Debug, Default)]
struct Types {
    clients: HashMap<u64, Vec<Block>>,
    count: u32,
}

impl Types {
    fn add(&mut self, client: u64, block: Block, is_type: bool) {
        self.count = self.count.saturating_add(u32::from(is_type));
        self.clients.entry(client).or_default().push(block);
    }

    /// Returns the deepest nesting, counted from roots and from blocks that the update lacks.
    fn nesting(mut self) -> u32 {
        // A few types cannot be nested too deeply.
        if self.count <= FEW_TYPES {
            return self.count;
        }
        for blocks in self.clients.values_mut() {
            blocks.sort_by_key(|block| block.clock);
        }
        let mut depths: HashMap<Id, u32> = HashMap::new();
        let mut deepest = 0;
        for (client, blocks) in &self.clients {
            for block in blocks {
                deepest = deepest.max(self.depth((*client, block.clock), &mut depths));
            }
        }
        // The deepest block may be a type, whose contents are one level deeper.
        deepest.saturating_add(1)
    }

    fn find(&self, (client, clock): Id) -> Option<(Id, Place)> {
        let blocks = self.clients.get(&client)?;
        let after = blocks.partition_point(|block| block.clock <= clock);
        let block = blocks.get(after.checked_sub(1)?)?;
        (clock - block.clock < block.length.max(1)).then_some(((client, block.clock), block.place))
    }

    /// Returns the depth of a block. Hostile updates may contain cycles, whose blocks count as
    /// already visited.
    fn depth(&self, start: Id, depths: &mut HashMap<Id, u32>) -> u32 {
        let mut path = Vec::new();
        let mut next = Some(start);
        let mut depth = 0;
        while let Some((id, place)) = next.take().and_then(|id| self.find(id)) {
            if let Some(known) = depths.get(&id) {
                depth = *known;
                break;
            }
            depths.insert(id, 0);
            let below = match place {
                Place::Root => None,
                Place::In(parent) => Some((parent, 1)),
                Place::Beside(neighbour) => Some((neighbour, 0)),
            };
            path.push((id, below.map_or(0, |(_, step)| step)));
            next = below.map(|(id, _)| id);
        }
        for (id, step) in path.into_iter().rev() {
            depth = depth.saturating_add(step);
            depths.insert(id, depth);
        }
        depth
    }
}
