//! What is asked of the objects that are there: which, how large, and whether their bytes are right.

use super::{Result, Share, blob_key, parse_name};
use crate::digest::Blake3;
use crate::fs;

/// The object of a blob, as the bucket lists it.
#[derive(Debug, Clone)]
pub struct Object {
    /// The blob.
    pub blake3: Blake3,
    /// The end of its key.
    pub generation: String,
    /// Its size in bytes.
    pub size: u64,
}

impl Share {
    /// Returns all objects of blobs with their sizes.
    pub fn objects(&self) -> Result<Vec<Object>> {
        let object = |(name, size): (String, u64)| {
            let (blake3, generation) = parse_name(&name)?;
            Some(Object { blake3, generation, size })
        };
        Ok(self.bucket.sizes("blobs")?.into_iter().filter_map(object).collect())
    }

    /// Returns the key of a blob's object.
    pub fn object_key(&self, blake3: &Blake3, generation: &str) -> String {
        blob_key(blake3, generation)
    }

    /// Returns the size of a blob's object; `None`: it isn't there.
    pub fn blob_size(&self, blake3: &Blake3, generation: &str) -> Result<Option<u64>> {
        self.bucket.size(&blob_key(blake3, generation))
    }

    /// Tells whether the bucket has a blob's object, of this size.
    pub fn has_blob(&self, blake3: &Blake3, generation: &str, size: u64) -> Result<bool> {
        Ok(self.blob_size(blake3, generation)? == Some(size))
    }

    /// Reads a blob's object, which `took` is told of part by part, and returns the digest of its bytes; `None`: it isn't there.
    pub fn digest_blob(&self, blake3: &Blake3, generation: &str, took: &dyn Fn(usize)) -> Result<Option<Blake3>> {
        let mut hasher = blake3::Hasher::new();
        let is_there = self.read_blob(blake3, generation, &mut |part| -> fs::Result<()> {
            hasher.update(part);
            took(part.len());
            Ok(())
        })?;
        Ok(is_there.then(|| Blake3::from_bytes(hasher.finalize().into())))
    }
}
