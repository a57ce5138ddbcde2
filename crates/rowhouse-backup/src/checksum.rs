//! CRC-32C (Castagnoli), by which `backup_manifest` names what a file holds. It finds damage, not changes: those are found by
//! the store.

const POLYNOMIAL: u32 = 0x82F6_3B78;
const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let (mut value, mut bit) = (byte as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { value >> 1 ^ POLYNOMIAL } else { value >> 1 };
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut table = 1;
    while table < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[table - 1][byte];
            tables[table][byte] = before >> 8 ^ tables[0][(before & 0xFF) as usize];
            byte += 1;
        }
        table += 1;
    }
    tables
}

/// A checksum of what has been pushed so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crc32c(u32);

impl Crc32c {
    pub(crate) fn new() -> Self {
        Self(!0)
    }

    /// Eight bytes at a time ("slicing"), since every byte of a cluster passes here.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            let [a, b, c, d] =
                (self.0 ^ u32::from_le_bytes([word[0], word[1], word[2], word[3]])).to_le_bytes();
            let bytes = [a, b, c, d, word[4], word[5], word[6], word[7]];
            let parts = bytes.iter().zip(TABLES.iter().rev());
            self.0 = parts.fold(0, |sum, (byte, table)| sum ^ table[usize::from(*byte)]);
        }
        for byte in rest {
            self.0 = self.0 >> 8 ^ TABLES[0][usize::from(self.0.to_le_bytes()[0] ^ byte)];
        }
    }

    /// As PostgreSQL prints it: its bytes in memory order, in hexadecimal digits.
    pub(crate) fn hex(self) -> String {
        data_encoding::HEXLOWER.encode(&(!self.0).to_le_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::Crc32c;

    #[test]
    fn known_value_is_found_whatever_the_pieces() {
        // RFC 3720 appendix B.4: 32 bytes of zeros.
        for size in [1, 3, 8, 32] {
            let mut sum = Crc32c::new();
            [0; 32].chunks(size).for_each(|piece| sum.push(piece));
            assert_eq!(sum.hex(), "aa36918a", "{size}");
        }
        let mut sum = Crc32c::new();
        sum.push(b"123456789");
        assert_eq!(sum.hex(), "839206e3");
    }
}
