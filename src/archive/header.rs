//! One header block of a tar archive: POSIX.1-1988 (`ustar`), its GNU and older forms. Pure; it does not know what comes
//! before or after. Not the crate `tar`: it does not say whether an archive ended with its end marker, and that tells a whole one
//! from one that is still being written.

/// Bytes of a header; contents are padded to a multiple of it.
pub(super) const BLOCK: u64 = 512;
/// The same, for arrays.
pub(super) const LENGTH: usize = 512;

/// What a header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    File,
    Directory,
    /// Hard or symbolic.
    Link,
    /// Device or pipe.
    Device,
    /// `x`: overrides for the next entry.
    Pax,
    /// `g`: overrides for all that follow.
    PaxGlobal,
    /// `L`: the name of the next entry.
    LongName,
    /// `K`: the link target of the next entry.
    LongLink,
    /// `S`.
    Sparse,
    Unknown(u8),
}

/// A header as it stands there, before overrides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// As bytes, without the padding.
    pub name: Vec<u8>,
    /// Bytes of content that follow; 0 for what has none, whatever the field says, as Go's reader has it.
    pub size: u64,
    pub kind: Type,
}

/// Reads a block that is not all zeros.
pub(super) fn parse(block: &[u8; LENGTH]) -> Result<Header, &'static str> {
    let claimed = number(&block[148..156])?;
    if claimed != sum(block, u64::from) && claimed != sum(block, signed) {
        return Err("a header's checksum is wrong");
    }
    let mut name = text(&block[..100]).to_vec();
    // Only POSIX has a prefix there; GNU keeps times in its place.
    if &block[257..263] == b"ustar\0" && block[345] != 0 {
        name = [text(&block[345..500]), b"/", &name].concat();
    }
    let kind = match block[156] {
        0 if name.ends_with(b"/") => Type::Directory,
        0 | b'0' | b'7' => Type::File,
        b'1' | b'2' => Type::Link,
        b'3' | b'4' | b'6' => Type::Device,
        b'5' => Type::Directory,
        b'x' => Type::Pax,
        b'g' => Type::PaxGlobal,
        b'L' => Type::LongName,
        b'K' => Type::LongLink,
        b'S' => Type::Sparse,
        other => Type::Unknown(other),
    };
    let size = number(&block[124..136])?;
    let empty = matches!(kind, Type::Directory | Type::Link | Type::Device);
    Ok(Header { name, size: if empty { 0 } else { size }, kind })
}

/// Of all bytes, with blanks in place of the checksum itself.
fn sum(block: &[u8; LENGTH], value: impl Fn(u8) -> u64) -> u64 {
    let byte = |(at, &byte): (usize, &u8)| value(if (148..156).contains(&at) { b' ' } else { byte });
    block.iter().enumerate().map(byte).fold(0, u64::wrapping_add)
}

/// Some old programs took bytes for signed.
fn signed(byte: u8) -> u64 {
    i64::from(byte.cast_signed()).cast_unsigned()
}

fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// Octal digits among blanks and NULs, or GNU's base-256 where the first bit is set.
fn number(field: &[u8]) -> Result<u64, &'static str> {
    const NONE: &str = "a header's number is none";
    let (first, rest) = field.split_first().ok_or(NONE)?;
    if first & 0x80 != 0 {
        if first & 0x40 != 0 {
            return Err("a header's number is negative");
        }
        let join = |value: u64, byte: u8| value.checked_mul(256)?.checked_add(u64::from(byte));
        let value = rest.iter().try_fold(u64::from(first & 0x3f), |value, byte| join(value, *byte));
        return value.ok_or("a header's number is beyond any disk");
    }
    let blank = |byte: &u8| matches!(*byte, b' ' | 0);
    let start = field.iter().position(|byte| !blank(byte)).unwrap_or(field.len());
    let end = field.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    // Eleven digits fit easily.
    field[start..end].iter().try_fold(0, |value: u64, byte| match byte {
        b'0'..=b'7' => Ok(value * 8 + u64::from(byte - b'0')),
        _ => Err(NONE),
    })
}
