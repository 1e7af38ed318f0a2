//! The kinds of numbers in checkpoints, decoded to single precision.

/// A kind of numbers: plain ones, or blocks of 32 that share a scale (GGML's formats).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    F32,
    F16,
    Bf16,
    /// Half-precision scale d, 32 bytes q: `d q`.
    Q8_0,
    /// Half-precision scale d, 32 half bytes q: `d (q − 8)`.
    Q4_0,
    /// Half-precision scale d and offset m, 32 half bytes q: `d q + m`.
    Q4_1,
}

/// Numbers of a block that share a scale.
const BLOCK: usize = 32;

impl Kind {
    /// The numbers of a block, and its bytes.
    pub(crate) fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q8_0 => (BLOCK, 2 + BLOCK),
            Self::Q4_0 => (BLOCK, 2 + BLOCK / 2),
            Self::Q4_1 => (BLOCK, 4 + BLOCK / 2),
        }
    }

    /// The bytes of so many numbers; `None` if they do not fill whole blocks, or are too many.
    pub(crate) fn bytes(self, count: u64) -> Option<u64> {
        let (numbers, bytes) = self.block();
        let blocks = count.is_multiple_of(numbers as u64).then(|| count / numbers as u64)?;
        blocks.checked_mul(bytes as u64)
    }

    /// Appends the numbers of whole blocks.
    pub(crate) fn decode(self, bytes: &[u8], out: &mut Vec<f32>) {
        let half = |bytes: &[u8], at: usize| f16(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        for block in bytes.chunks_exact(self.block().1) {
            match self {
                Self::F32 => out.push(f32::from_le_bytes([block[0], block[1], block[2], block[3]])),
                Self::F16 => out.push(half(block, 0)),
                Self::Bf16 => {
                    let bits = u16::from_le_bytes([block[0], block[1]]);
                    out.push(f32::from_bits(u32::from(bits) << 16));
                }
                Self::Q8_0 => {
                    let d = half(block, 0);
                    out.extend(block[2..].iter().map(|q| d * f32::from(q.cast_signed())));
                }
                Self::Q4_0 => {
                    let d = half(block, 0);
                    let value = |q: u8| d * (f32::from(q) - 8.0);
                    nibbles(&block[2..], value, out);
                }
                Self::Q4_1 => {
                    let (d, m) = (half(block, 0), half(block, 2));
                    nibbles(&block[4..], |q| d * f32::from(q) + m, out);
                }
            }
        }
    }
}

/// The low halves of all bytes come first, then the high ones.
fn nibbles(bytes: &[u8], value: impl Fn(u8) -> f32, out: &mut Vec<f32>) {
    out.extend(bytes.iter().map(|byte| value(byte & 15)));
    out.extend(bytes.iter().map(|byte| value(byte >> 4)));
}

/// A number in half precision.
fn f16(bits: u16) -> f32 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f32::from(bits & 1023));
    let magnitude = match exponent {
        0 => fraction * 2.0_f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1024.0 + fraction) * 2.0_f32.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_95),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_5e-8),
            (0x03ff, 6.097_555e-5),
            (0x0400, 6.103_515_6e-5),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(f16(bits), value, "{bits:04x}");
        }
        assert!(f16(0x7e00).is_nan());
    }

    #[test]
    fn blocks() {
        let decoded = |kind: Kind, bytes: &[u8]| {
            let mut out = Vec::new();
            kind.decode(bytes, &mut out);
            out
        };
        assert_eq!(decoded(Kind::Bf16, &[0x80, 0x3f, 0x00, 0xc0]), [1.0, -2.0]);
        // d = 2, q = 0, 1, … 31 but for the last, −1.
        let mut block = vec![0x00, 0x40];
        block.extend(0..31_u8);
        block.push(0xff);
        let expected: Vec<f32> = (0..31).map(|q| 2.0 * q as f32).chain([-2.0]).collect();
        assert_eq!(decoded(Kind::Q8_0, &block), expected);
        // d = 2, m = 1; each byte has i below and 15 − i above.
        let halves: Vec<u8> = (0..16).map(|i| i | (15 - i) << 4).collect();
        let order = (0..16).chain((0..16).rev());
        let block = [&[0x00, 0x40], &halves[..]].concat();
        let expected: Vec<f32> = order.clone().map(|q| 2.0 * (q as f32 - 8.0)).collect();
        assert_eq!(decoded(Kind::Q4_0, &block), expected);
        let block = [&[0x00, 0x40, 0x00, 0x3c], &halves[..]].concat();
        let expected: Vec<f32> = order.map(|q| 2.0 * q as f32 + 1.0).collect();
        assert_eq!(decoded(Kind::Q4_1, &block), expected);
    }

    #[test]
    fn sizes() {
        assert_eq!(Kind::Q4_1.bytes(64), Some(40));
        assert_eq!(Kind::Q4_0.bytes(33), None);
        assert_eq!(Kind::F32.bytes(u64::MAX), None);
    }
}
