//! A package of a registry as files: a wheel, the folder it was unpacked to, or one file of it.

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::{DeflateDecoder, GzDecoder};

/// No file in a package that we read is larger, bytes.
const LARGEST: u64 = 256 << 20;

/// The files of a package that were asked for.
pub(super) struct Package {
    files: Vec<(String, Vec<u8>)>,
}

impl Package {
    /// Reads the files whose names, with `/` between folders, are `wanted`.
    ///
    /// # Errors
    /// What cannot be read.
    pub(super) fn open(path: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Self, String> {
        let shown = path.display();
        let mut files = Vec::new();
        if path.is_dir() {
            walk(path, "", wanted, &mut files, 0).map_err(|error| format!("{shown}: {error}"))?;
            return Ok(Self { files });
        }
        let bytes = fs::read(path).map_err(|error| format!("{shown}: {error}"))?;
        if bytes.starts_with(b"PK\x03\x04") {
            files = unzip(&bytes, wanted).ok_or_else(|| format!("{shown}: is no zip archive we can read"))?;
        } else if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
            files.push((name.to_owned(), bytes));
        }
        Ok(Self { files })
    }

    /// The text of the file whose name ends so.
    pub(super) fn text(&self, end: &str) -> Option<&str> {
        let (_, bytes) = self.files.iter().find(|(name, _)| name.ends_with(end))?;
        std::str::from_utf8(bytes).ok()
    }

    /// The text of the packed file whose name ends so.
    pub(super) fn unpacked(&self, end: &str) -> Option<String> {
        let (_, bytes) = self.files.iter().find(|(name, _)| name.ends_with(end))?;
        let mut text = String::new();
        GzDecoder::new(bytes.as_slice()).take(LARGEST).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Name and version, as the package's own metadata have them.
    pub(super) fn identity(&self) -> Option<(&str, &str)> {
        let metadata = self.text(".dist-info/METADATA")?;
        let field = |name: &str| metadata.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Some((field("Name:")?, field("Version:")?))
    }
}

fn walk(
    folder: &Path,
    prefix: &str,
    wanted: &dyn Fn(&str) -> bool,
    files: &mut Vec<(String, Vec<u8>)>,
    depth: usize,
) -> std::io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() && depth < 8 {
            walk(&entry.path(), &format!("{name}/"), wanted, files, depth + 1)?;
        } else if kind.is_file() && wanted(&name) {
            files.push((name, fs::read(entry.path())?));
        }
    }
    Ok(())
}

/// The wanted files of a zip archive, found by its directory at the end. Archives of more than 4 GiB are none of ours.
fn unzip(bytes: &[u8], wanted: &dyn Fn(&str) -> bool) -> Option<Vec<(String, Vec<u8>)>> {
    let short = |at: usize| Some(usize::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let long = |at: usize| usize::try_from(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?)).ok();
    let end = bytes.windows(4).rposition(|window| window == b"PK\x05\x06")?;
    let (count, mut at) = (short(end + 10)?, long(end + 16)?);
    let mut files = Vec::new();
    for _ in 0..count {
        if bytes.get(at..at + 4)? != b"PK\x01\x02" {
            return None;
        }
        let (method, packed, size) = (short(at + 10)?, long(at + 20)?, long(at + 24)?);
        let (name_length, local) = (short(at + 28)?, long(at + 42)?);
        let name = String::from_utf8_lossy(bytes.get(at + 46..at + 46 + name_length)?).into_owned();
        at += 46 + name_length + short(at + 30)? + short(at + 32)?;
        if !wanted(&name) {
            continue;
        }
        let from = local + 30 + short(local + 26)? + short(local + 28)?;
        let packed = bytes.get(from..from.checked_add(packed)?)?;
        let file = match method {
            0 => packed.to_vec(),
            8 if size as u64 <= LARGEST => {
                let mut file = Vec::new();
                DeflateDecoder::new(packed).take(LARGEST).read_to_end(&mut file).ok()?;
                file
            }
            _ => return None,
        };
        if file.len() != size {
            return None;
        }
        files.push((name, file));
    }
    Some(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_archive_panics(mut bytes in proptest::collection::vec(0_u8.., 0..200), at in 0_usize..200) {
            let _whatever = unzip(&bytes, &|_| true);
            let end = b"PK\x05\x06\0\0\0\0\x01\0\x01\0";
            let at = at.min(bytes.len());
            bytes.splice(at..at, end.iter().copied());
            let _whatever = unzip(&bytes, &|_| true);
        }
    }
}
