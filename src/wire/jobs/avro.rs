//! Avro's object container files, read a block at a time: each record as a line of JSON.
//!
//! <https://avro.apache.org/docs/1.12.0/specification/#object-container-files>. Members that are null are left out.

mod schema;

use std::io::Read;

use bytes::{Buf, BytesMut};
use flate2::read::DeflateDecoder;

use self::schema::{Kind, Schema};
use crate::wire::Malformed;

/// What such a file begins with.
const MAGIC: &[u8] = b"Obj\x01";

/// No block is longer, packed or not, nor what its records are in JSON; bytes.
const LONGEST: usize = 64 << 20;

/// No head is longer, bytes.
const LONGEST_HEAD: usize = 1 << 20;

/// Values are within each other no deeper.
const DEEPEST: usize = 64;

/// No block has more values, those that take no room counted.
const MOST: usize = 16 << 20;

/// As much of what a file says is repeated, characters.
const REPEATED: usize = 32;

/// What reads a file while it arrives. One that is no container is taken for lines of JSON, which pass as they are.
#[derive(Default)]
pub struct Reader {
    held: BytesMut,
    state: State,
}

#[derive(Default)]
enum State {
    #[default]
    Head,
    Blocks(Box<Blocks>),
    Lines,
}

struct Blocks {
    schema: Schema,
    packed: bool,
    /// Stands behind each block.
    mark: [u8; 16],
}

/// Why nothing can be read on.
enum Stop {
    /// It is not all there yet.
    Short,
    Broken(Malformed),
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Self {
        Stop::Broken(malformed)
    }
}

impl Reader {
    /// Take what arrived, and append the lines of the blocks that are whole now. Fails on what is no such file.
    pub fn push(&mut self, chunk: &[u8], out: &mut BytesMut) -> Result<(), Malformed> {
        self.held.extend_from_slice(chunk);
        loop {
            match &self.state {
                State::Head if self.held.len() < MAGIC.len() && MAGIC.starts_with(&self.held) => return Ok(()),
                State::Head if !self.held.starts_with(MAGIC) => self.state = State::Lines,
                State::Head => {
                    let mut rest = Input(&self.held[MAGIC.len()..]);
                    match head(&mut rest) {
                        Ok(blocks) => {
                            let read = self.held.len() - rest.0.len();
                            self.held.advance(read);
                            self.state = State::Blocks(Box::new(blocks));
                        }
                        Err(Stop::Short) if self.held.len() <= LONGEST_HEAD => return Ok(()),
                        Err(Stop::Short) => return Err(broken("its head is too long")),
                        Err(Stop::Broken(malformed)) => return Err(malformed),
                    }
                }
                State::Blocks(blocks) => {
                    let mut rest = Input(&self.held);
                    match blocks.block(&mut rest, out) {
                        Ok(()) => {
                            let read = self.held.len() - rest.0.len();
                            self.held.advance(read);
                        }
                        Err(Stop::Short) => return Ok(()),
                        Err(Stop::Broken(malformed)) => return Err(malformed),
                    }
                }
                State::Lines => {
                    out.extend_from_slice(&self.held);
                    self.held.clear();
                    return Ok(());
                }
            }
        }
    }

    /// It has ended. Fails if that was within a block or the head.
    pub fn end(&self) -> Result<(), Malformed> {
        if self.held.is_empty() { Ok(()) } else { Err(broken("it ends in the middle")) }
    }
}

fn broken(why: &str) -> Malformed {
    Malformed::new(format!("an Avro file can't be read: {why}"))
}

fn head(rest: &mut Input<'_>) -> Result<Blocks, Stop> {
    let (mut schema, mut codec) = (None, &b"null"[..]);
    loop {
        let mut count = rest.long()?;
        if count == 0 {
            break;
        }
        if count < 0 {
            rest.long()?;
            count = count.saturating_neg();
        }
        for _ in 0..count {
            let (name, value) = (rest.bytes()?, rest.bytes()?);
            match name {
                b"avro.schema" => schema = Some(value),
                b"avro.codec" => codec = value,
                _ => {}
            }
        }
    }
    let mark = rest.take(16)?;
    let mark = mark.try_into().map_err(|_| Stop::Short)?;
    let schema = Schema::read(schema.ok_or_else(|| broken("it has no schema"))?)?;
    let packed = match codec {
        b"null" | b"" => false,
        b"deflate" => true,
        other => {
            let codec: String = String::from_utf8_lossy(other).chars().take(REPEATED).collect();
            return Err(broken(&format!("the codec {codec} is not known")).into());
        }
    };
    Ok(Blocks { schema, packed, mark })
}

impl Blocks {
    fn block(&self, rest: &mut Input<'_>, out: &mut BytesMut) -> Result<(), Stop> {
        let (count, size) = (rest.long()?, rest.long()?);
        let size = usize::try_from(size).ok().filter(|size| *size <= LONGEST);
        let data = rest.take(size.ok_or_else(|| broken("a block is too long"))?)?;
        if rest.take(16)? != self.mark {
            return Err(broken("a block does not end where it should").into());
        }
        let mut unpacked = Vec::new();
        let data = match self.packed {
            false => data,
            true => {
                let read = DeflateDecoder::new(data).take(LONGEST as u64 + 1).read_to_end(&mut unpacked);
                read.map_err(|_| broken("a block can't be unpacked"))?;
                &unpacked[..]
            }
        };
        if data.len() > LONGEST {
            return Err(broken("a block is too long").into());
        }
        // all of the block is there: what is short now stays so
        let made = Vec::with_capacity(data.len());
        let mut writing = Writing { schema: &self.schema, rest: Input(data), out: made, left: MOST };
        for _ in 0..count {
            writing.value(0, 0).and_then(|()| writing.write(b"\n")).map_err(|stop| match stop {
                Stop::Short => broken("a record ends in the middle"),
                Stop::Broken(malformed) => malformed,
            })?;
        }
        // what is counted wrong is not left out in silence
        if count < 0 || !writing.rest.0.is_empty() {
            return Err(broken("a block has other records than it says").into());
        }
        out.extend_from_slice(&writing.out);
        Ok(())
    }
}

/// What is still to be read.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Stop::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        self.take(N)?.try_into().map_err(|_| Stop::Short)
    }

    /// A number of up to ten bytes, its sign in the last bit.
    fn long(&mut self) -> Result<i64, Stop> {
        let mut number = 0u64;
        for shift in (0..70).step_by(7) {
            let [byte] = self.array()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
            if byte & 0x80 == 0 {
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err(broken("a number has too many bytes").into())
    }

    fn bytes(&mut self) -> Result<&'a [u8], Stop> {
        let length = usize::try_from(self.long()?).ok().filter(|length| *length <= LONGEST);
        self.take(length.ok_or_else(|| broken("a length is none"))?)
    }
}

/// Values on their way into JSON.
struct Writing<'a> {
    schema: &'a Schema,
    rest: Input<'a>,
    out: Vec<u8>,
    /// How many values there may still be.
    left: usize,
}

impl Writing<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if self.out.len() + bytes.len() > LONGEST {
            return Err(broken("the records of a block are too long").into());
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Stop> {
        let text = serde_json::to_vec(value).map_err(|_| broken("a value can't be said in JSON"))?;
        self.write(&text)
    }

    fn text(&mut self) -> Result<(), Stop> {
        let text = String::from_utf8_lossy(self.rest.bytes()?);
        self.json(&text)
    }

    /// The kind that a value really has: of a union, the one that it names.
    fn chosen(&mut self, mut at: usize) -> Result<usize, Stop> {
        self.left = self.left.checked_sub(1).ok_or_else(|| broken("a block has too many values"))?;
        while let Kind::Union(kinds) = self.schema.kind(at) {
            let index = usize::try_from(self.rest.long()?).ok();
            at = index.and_then(|index| kinds.get(index).copied()).ok_or_else(|| broken("a union has no such kind"))?;
        }
        Ok(at)
    }

    fn value(&mut self, at: usize, depth: usize) -> Result<(), Stop> {
        if depth > DEEPEST {
            return Err(broken("its values are too deep within each other").into());
        }
        let at = self.chosen(at)?;
        match self.schema.kind(at) {
            Kind::Null => self.write(b"null"),
            Kind::Boolean => {
                let [byte] = self.rest.array()?;
                self.write(if byte == 0 { b"false" } else { b"true" })
            }
            Kind::Long => {
                let number = self.rest.long()?;
                self.json(&number)
            }
            Kind::Float => {
                let number = f32::from_le_bytes(self.rest.array()?);
                self.json(&number)
            }
            Kind::Double => {
                let number = f64::from_le_bytes(self.rest.array()?);
                self.json(&number)
            }
            Kind::Text => self.text(),
            Kind::Bytes => {
                let bytes = self.rest.bytes()?;
                self.latin(bytes)
            }
            Kind::Fixed(size) => {
                let bytes = self.rest.take(*size)?;
                self.latin(bytes)
            }
            Kind::Enum(symbols) => {
                let index = usize::try_from(self.rest.long()?).ok();
                let symbol = index.and_then(|index| symbols.get(index));
                self.json(symbol.ok_or_else(|| broken("an enum has no such symbol"))?)
            }
            Kind::Record(fields) => {
                self.write(b"{")?;
                let mut first = true;
                for (name, kind) in fields {
                    let kind = self.chosen(*kind)?;
                    if matches!(self.schema.kind(kind), Kind::Null) {
                        continue;
                    }
                    self.write(if first { b"" } else { b"," })?;
                    first = false;
                    self.json(name)?;
                    self.write(b":")?;
                    self.value(kind, depth + 1)?;
                }
                self.write(b"}")
            }
            Kind::Array(items) => self.items(b"[", b"]", |writing| writing.value(*items, depth + 1)),
            Kind::Map(values) => self.items(b"{", b"}", |writing| {
                writing.text()?;
                writing.write(b":")?;
                writing.value(*values, depth + 1)
            }),
            Kind::Union(_) => Err(broken("a union within a union").into()),
        }
    }

    /// Blocks of items, each with how many it has; the last has none.
    fn items(
        &mut self,
        begin: &[u8],
        end: &[u8],
        mut item: impl FnMut(&mut Self) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        self.write(begin)?;
        let mut first = true;
        loop {
            let mut count = self.rest.long()?;
            if count == 0 {
                return self.write(end);
            }
            if count < 0 {
                // how many bytes it has, for who skips it
                self.rest.long()?;
                count = count.saturating_neg();
            }
            for _ in 0..count {
                self.write(if first { b"" } else { b"," })?;
                first = false;
                item(self)?;
            }
        }
    }

    /// Bytes as text of as many letters, which is how Avro says them in JSON.
    fn latin(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        let text: String = bytes.iter().copied().map(char::from).collect();
        self.json(&text)
    }
}

#[cfg(test)]
mod tests;
