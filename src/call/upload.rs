//! What a request carries, and bodies that are kept aside so that they can be sent more than once.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

use crate::wire::Object;
use crate::wire::multipart::Form;

/// What a request carries.
#[derive(Clone, Debug, Default)]
pub enum Body {
    /// Nothing.
    #[default]
    None,
    /// A JSON object: indexed, not decoded.
    Json(Object),
    /// Anything else.
    Upload(Arc<Upload>),
}

impl Body {
    /// Its size in bytes.
    pub fn size(&self) -> usize {
        match self {
            Body::None => 0,
            Body::Json(object) => object.size(),
            Body::Upload(upload) => usize::try_from(upload.stored.length()).unwrap_or(usize::MAX),
        }
    }

    /// The object, if it is one.
    pub fn json(&self) -> Option<&Object> {
        match self {
            Body::Json(object) => Some(object),
            Body::None | Body::Upload(_) => None,
        }
    }

    /// The form, if it is one that was read.
    pub fn form(&self) -> Option<&Form> {
        match self {
            Body::Upload(upload) => upload.form.as_ref(),
            Body::None | Body::Json(_) => None,
        }
    }
}

/// A body that is passed on as it came, but for fields of a form.
#[derive(Debug)]
pub struct Upload {
    /// Its content type, as the caller says.
    pub content_type: Option<HeaderValue>,
    /// Where its fields stand, if it is a form.
    pub form: Option<Form>,
    /// Its bytes.
    pub stored: Stored,
}

/// Bytes that can be read as often as needed.
#[derive(Clone, Debug)]
pub enum Stored {
    /// Few of them.
    Memory(Bytes),
    /// In a file without a name, which is gone with its last reader.
    Disk(Arc<File>, u64),
}

impl Stored {
    /// How many.
    pub fn length(&self) -> u64 {
        match self {
            Stored::Memory(bytes) => bytes.len() as u64,
            Stored::Disk(_, length) => *length,
        }
    }
}

/// Fill a buffer from a place in a file, without moving anybody else's place in it. Blocks; fails at the file's end.
pub fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    #[cfg(unix)]
    return std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset);
    #[cfg(windows)]
    {
        let mut read = 0;
        while read < buffer.len() {
            match std::os::windows::fs::FileExt::seek_read(file, &mut buffer[read..], offset + read as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => read += more,
            }
        }
        Ok(())
    }
}

/// A request that is passed on as it is: what of it is not its body.
#[derive(Clone, Debug)]
pub struct Passage {
    /// Its method.
    pub method: Method,
    /// What of its path is below the operation's, with the query: `/file-1/content`, `?limit=2`, or nothing.
    pub below: String,
    /// Its headers, but for those that are the gateway's or the caller's own affair.
    pub headers: HeaderMap,
    /// The target or provider that the caller names.
    pub to: Option<Arc<str>>,
    /// Whether the connection shall become a WebSocket.
    pub upgrades: bool,
}
