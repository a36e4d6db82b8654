//! An input as a tape: what a target reads off it, it reads once.

/// Bytes, and zeros after their end: zero is what is right, wherever there is something to choose.
#[derive(Clone, Debug)]
pub struct Tape {
    bytes: Vec<u8>,
    at: usize,
}

impl Tape {
    /// The tape of this input.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self { bytes: bytes.to_vec(), at: 0 }
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.at).copied().unwrap_or(0);
        self.at += 1;
        byte
    }

    /// The next two, as a number.
    pub fn number(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// The next `count` bytes, or as many as there are.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let taken = rest[..count.min(rest.len())].to_vec();
        self.at += count;
        taken
    }

    /// A length in one byte, and that many bytes, or as many as there are.
    pub fn prefixed(&mut self) -> Vec<u8> {
        let count = self.byte();
        self.bytes(count.into())
    }

    /// All that is left.
    pub fn rest(&mut self) -> Vec<u8> {
        self.bytes(usize::MAX / 2)
    }
}
