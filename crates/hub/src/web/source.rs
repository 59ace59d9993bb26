//! Reading a file that the browser holds, outside WebAssembly's memory.

use js_sys::Uint8Array;
use std::io::{self, ErrorKind};
use tiller_formats::ByteSource;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::Blob;

/// A blob: a file of the private file system, or memory. Read in slices; needs no lock.
#[derive(Clone, Debug)]
pub struct BlobSource(Blob);

impl BlobSource {
    pub fn new(blob: Blob) -> BlobSource {
        BlobSource(blob)
    }
}

impl ByteSource for BlobSource {
    fn len(&self) -> u64 {
        self.0.size() as u64
    }

    async fn read_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.len()) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let failed = |_| io::Error::other("the browser no longer has the file");
        let slice = self.0.slice_with_f64_and_f64(offset as f64, (offset + len as u64) as f64).map_err(failed)?;
        let buffer = JsFuture::from(slice.array_buffer()).await.map_err(failed)?;
        let bytes = Uint8Array::new(buffer.unchecked_ref()).to_vec();
        if bytes.len() == len { Ok(bytes) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }
}
