//! Operations without weights: their record in a file is the struct itself.

/// Implements `Record` for types with serde and `fn check(&self) -> Result<()>`, which sees what a file says
/// before anything else does.
macro_rules! plain_record {
    ($($operation:ty),+) => {$(
        impl $crate::archive::Record for $operation {
            fn save(&self, archive: &mut $crate::archive::ArchiveWriter, path: &str) -> $crate::Result<()> {
                archive.put(path, self)
            }

            fn load(archive: &$crate::archive::Archive, path: &str) -> $crate::Result<Self> {
                let operation: Self = archive.get(path)?;
                operation
                    .check()
                    .map_err(|error| archive.error(format!("record `{path}`: {error}")))?;
                Ok(operation)
            }
        }
    )+};
}
pub(super) use plain_record;
