use super::{BadArchive, Entry, EntryKind, Reader, Sink};

#[derive(Default)]
struct Collected(Vec<(Entry, Vec<u8>, bool)>);

impl Sink for Collected {
    type Error = BadArchive;

    fn begin(&mut self, entry: &Entry) -> Result<(), BadArchive> {
        self.0.push((entry.clone(), Vec::new(), false));
        Ok(())
    }

    fn data(&mut self, bytes: &[u8]) -> Result<(), BadArchive> {
        self.0.last_mut().unwrap().1.extend_from_slice(bytes);
        Ok(())
    }

    fn end(&mut self) -> Result<(), BadArchive> {
        self.0.last_mut().unwrap().2 = true;
        Ok(())
    }
}

fn header(path: &str, kind: u8, size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    block[..path.len()].copy_from_slice(path.as_bytes());
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[148..156].copy_from_slice(b"        ");
    block[156] = kind;
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn archive() -> Vec<u8> {
    let mut bytes = header("base/", b'5', 0);
    bytes.extend(header("base/1", b'0', 700));
    bytes.extend([7; 700]);
    bytes.extend([0; 324]);
    bytes.extend(header("empty", b'0', 0));
    bytes.extend([0; 1024]);
    bytes
}

#[test]
fn archive_is_read_in_pieces_of_any_size() {
    for size in [1, 7, 512, 513, 10_000] {
        let (mut reader, mut found) = (Reader::default(), Collected::default());
        archive().chunks(size).for_each(|piece| reader.push(piece, &mut found).unwrap());
        reader.finish().unwrap();
        let shown: Vec<_> = found
            .0
            .iter()
            .map(|(entry, bytes, end)| (entry.path.as_str(), entry.kind, bytes.len(), *end))
            .collect();
        assert_eq!(
            shown,
            [
                ("base", EntryKind::Folder, 0, false),
                ("base/1", EntryKind::File, 700, true),
                ("empty", EntryKind::File, 0, true)
            ],
            "{size}"
        );
    }
}

#[test]
fn archive_that_ends_early_and_one_that_is_none_are_refused() {
    let (mut reader, mut found) = (Reader::default(), Collected::default());
    reader.push(&archive()[..1200], &mut found).unwrap();
    assert!(reader.finish().is_err());
    assert!(Reader::default().push(&[b'x'; 512], &mut found).is_err());
    assert!(Reader::default().push(&header("../x", b'0', 0), &mut found).is_err());
    assert!(Reader::default().push(&header("/x", b'0', 0), &mut found).is_err());
}
