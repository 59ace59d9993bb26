//! Where bytes are read from.

use std::io::{self, ErrorKind};

/// Bytes at offsets, wherever they lie: a file, a browser's private file system, memory.
///
/// Reading is asynchronous because a browser's is. Futures need not be `Send`: a source is used by one thread.
#[allow(async_fn_in_trait)]
pub trait ByteSource {
    /// Bytes in all.
    fn len(&self) -> u64;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Exactly `len` bytes from `offset` on; [`ErrorKind::UnexpectedEof`] where the source ends before.
    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>>;
}

impl<S: ByteSource + ?Sized> ByteSource for &S {
    fn len(&self) -> u64 {
        (**self).len()
    }

    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        (**self).read_at(offset, len).await
    }
}

impl ByteSource for [u8] {
    fn len(&self) -> u64 {
        self.len() as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let bytes = usize::try_from(offset).ok().and_then(|start| self.get(start..start.checked_add(len)?));
        bytes.map(<[u8]>::to_vec).ok_or_else(|| past_the_end(offset, len, self.len() as u64))
    }
}

impl ByteSource for Vec<u8> {
    fn len(&self) -> u64 {
        self.len() as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        self.as_slice().read_at(offset, len).await
    }
}

/// A file on disk, read at positions.
#[cfg(not(target_arch = "wasm32"))]
#[derive(Debug)]
pub struct FileSource {
    file: std::fs::File,
    len: u64,
}

#[cfg(not(target_arch = "wasm32"))]
impl FileSource {
    pub fn open(path: impl AsRef<std::path::Path>) -> io::Result<FileSource> {
        let file = std::fs::File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "not a file"));
        }
        Ok(FileSource { file, len: metadata.len() })
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl ByteSource for FileSource {
    fn len(&self) -> u64 {
        self.len
    }

    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        // Asked before the buffer is made: a damaged header may name any length.
        if offset.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(past_the_end(offset, len, self.len));
        }
        let mut bytes = vec![0; len];
        #[cfg(unix)]
        std::os::unix::fs::FileExt::read_exact_at(&self.file, &mut bytes, offset)?;
        #[cfg(windows)]
        {
            let mut filled = 0;
            while filled < len {
                let read =
                    std::os::windows::fs::FileExt::seek_read(&self.file, &mut bytes[filled..], offset + filled as u64)?;
                if read == 0 {
                    return Err(past_the_end(offset, len, self.len));
                }
                filled += read;
            }
        }
        Ok(bytes)
    }
}

fn past_the_end(offset: u64, len: usize, end: u64) -> io::Error {
    io::Error::new(ErrorKind::UnexpectedEof, format!("{len} bytes at {offset} lie beyond the end at {end}"))
}
