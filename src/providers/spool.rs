//! What is kept aside to be read again: in memory while it is small, in a file without a name beyond.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;

use crate::call::Stored;

/// Up to here it is kept in memory, bytes.
pub const SMALL: u64 = 1 << 20;

/// How much is written at once, bytes.
const WRITTEN: usize = 256 << 10;

/// What is being kept.
#[derive(Debug, Default)]
pub struct Spool {
    held: BytesMut,
    file: Option<tokio::fs::File>,
    length: u64,
    /// Whether it is known to become larger than what stays in memory.
    is_large: bool,
}

impl Spool {
    /// For as many bytes as are announced, if any are.
    pub fn new(announced: Option<u64>) -> Self {
        Self { is_large: announced.is_some_and(|length| length > SMALL), ..Self::default() }
    }

    /// How much there is, bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Take more. Fails where it can't be written.
    pub async fn push(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.length += chunk.len() as u64;
        match &mut self.file {
            Some(file) => file.write_all(chunk).await,
            None if self.length <= SMALL && !self.is_large => {
                self.held.extend_from_slice(chunk);
                Ok(())
            }
            None => {
                let opened = tokio::task::spawn_blocking(tempfile::tempfile).await;
                let opened = opened.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()));
                let mut file = tokio::fs::File::from_std(opened.inspect_err(told)?);
                file.set_max_buf_size(WRITTEN);
                for part in [&std::mem::take(&mut self.held)[..], chunk] {
                    file.write_all(part).await?;
                }
                self.file = Some(file);
                Ok(())
            }
        }
        .inspect_err(told)
    }

    /// All of it. Fails where the last of it can't be written.
    pub async fn end(self) -> io::Result<Stored> {
        match self.file {
            None => Ok(Stored::Memory(self.held.freeze())),
            Some(mut file) => {
                file.flush().await.inspect_err(told)?;
                Ok(Stored::Disk(Arc::new(file.into_std().await), self.length))
            }
        }
    }
}

/// Tells the operator, who alone can mend it.
fn told(error: &io::Error) {
    tracing::error!(%error, "an upload cannot be stored: is the folder for temporary files (TMPDIR) writable, and not full?");
}
