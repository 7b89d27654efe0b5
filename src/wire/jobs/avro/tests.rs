//! The reader of Avro's files, given what fastavro 1.13 wrote.

use bytes::BytesMut;
use proptest::prelude::*;

use super::Reader;

const PLAIN: &[u8] = include_bytes!("../../../../tests/wire/avro/null.avro");
const PACKED: &[u8] = include_bytes!("../../../../tests/wire/avro/deflate.avro");

const LINES: &str = concat!(
    r#"{"custom_id":"a","body":{"id":"c-1","finish_reason":"COMPLETE","message":{"role":"assistant","content":"#,
    r#"[{"type":"text","text":"Take \"Brest\" é 🚢.","inner":{"type":"t"}}]},"usage":{"input_tokens":7.0},"#,
    r#""vectors":[[0.5,-1.0],[]],"raw":"\u0000ÿ","mark":"ab","again":"MAX_TOKENS","ok":true}}"#,
    "\n",
    r#"{"custom_id":"b","error":"bad request"}"#,
    "\n",
);

fn read(file: &[u8], cut: usize) -> Result<String, String> {
    let (mut reader, mut out) = (Reader::default(), BytesMut::new());
    for chunk in file.chunks(cut.max(1)) {
        reader.push(chunk, &mut out).map_err(|error| error.why().to_owned())?;
    }
    reader.end().map_err(|error| error.why().to_owned())?;
    Ok(String::from_utf8_lossy(&out).into_owned())
}

#[test]
fn records_are_lines_of_json_wherever_the_file_is_cut() {
    for file in [PLAIN, PACKED] {
        for cut in [1, 2, 7, 100, file.len()] {
            assert_eq!(read(file, cut).as_deref(), Ok(LINES), "cut {cut}");
        }
    }
}

#[test]
fn what_is_no_container_passes_as_it_is() {
    assert_eq!(read(b"{\"custom_id\":\"a\"}\n", 3).as_deref(), Ok("{\"custom_id\":\"a\"}\n"));
    assert_eq!(read(b"", 1).as_deref(), Ok(""));
    assert_eq!(read(b"Obj{}", 1).as_deref(), Ok("Obj{}"));
}

#[test]
fn what_is_broken_says_so() {
    let says = |file: &[u8], why: &str| {
        let said = read(file, 1000).expect_err("it is broken");
        assert!(said.contains(why), "{said}");
    };
    says(&PLAIN[..PLAIN.len() - 1], "ends in the middle");
    says(b"Obj\x01", "ends in the middle");
    let replaced = |from: &[u8], to: &[u8]| {
        let at = PLAIN.windows(from.len()).position(|window| window == from).expect("it is there");
        [&PLAIN[..at], to, &PLAIN[at + from.len()..]].concat()
    };
    says(&replaced(b"avro.codec\x08null", b"avro.codec\x08zstd"), "the codec zstd is not known");
    says(&replaced(b"avro.schema", b"avro.schemb"), "no schema");
    let mut marked = PLAIN.to_vec();
    let last = marked.len() - 1;
    marked[last] ^= 1;
    says(&marked, "does not end where it should");
}

#[test]
fn few_bytes_do_not_become_many() {
    // a block that says it has as many nulls as it likes
    let mut file = b"Obj\x01\x02\x16avro.schema\x0c\"null\"\x00".to_vec();
    file.extend([7; 16]);
    file.extend([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0]);
    file.extend([7; 16]);
    assert!(read(&file, 1000).expect_err("it is too long").contains("too long"));
}

/// A file of one block with these bytes, said to be so many records (as Avro writes numbers).
fn file(schema: &str, count: &[u8], data: &[u8]) -> Vec<u8> {
    let number = |length: usize| {
        let mut rest = length << 1;
        let mut out = Vec::new();
        while rest >= 0x80 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
        out
    };
    let mut file = b"Obj\x01\x02\x16avro.schema".to_vec();
    file.extend([number(schema.len()), schema.as_bytes().to_vec(), vec![0], vec![7; 16]].concat());
    file.extend([count.to_vec(), number(data.len()), data.to_vec(), vec![7; 16]].concat());
    file
}

#[test]
fn records_that_are_not_counted_are_not_left_out_in_silence() {
    let two = [2, b'a', 2, b'b'];
    assert_eq!(read(&file("\"string\"", &[4], &two), 1000).as_deref(), Ok("\"a\"\n\"b\"\n"));
    // one, none, and one less than none
    for count in [2, 0, 1] {
        let said = read(&file("\"string\"", &[count], &two), 1000).expect_err("there are two");
        assert!(said.contains("other records than it says"), "{said}");
    }
}

#[test]
fn values_without_room_do_not_take_for_ever() {
    let nulls = vec![r#"{"name":"n","type":"null"}"#; 9_000].join(",");
    let schema = format!(r#"{{"type":"record","name":"R","fields":[{nulls}]}}"#);
    let said = read(&file(&schema, &[0xfe, 0xff, 0xff, 0xff, 0x0f], &[]), 1 << 20).expect_err("there are too many");
    assert!(said.contains("too many values"), "{said}");
}

#[test]
fn a_long_codec_is_not_repeated_whole() {
    let mut file = b"Obj\x01\x04\x16avro.schema\x0c\"null\"\x14avro.codec\xc0\x3e".to_vec();
    file.extend([vec![b'z'; 4_000], vec![0], vec![7; 16]].concat());
    let said = read(&file, 1000).expect_err("it is not known");
    assert!(said.contains("zzz is not known") && said.len() < 200, "{said}");
}

proptest! {
    #[test]
    fn no_file_panics(at in 0..PLAIN.len(), byte: u8, packed: bool) {
        let mut file = if packed { PACKED.to_vec() } else { PLAIN.to_vec() };
        let at = at % file.len();
        file[at] = byte;
        let _ = read(&file, 50);
    }
}
