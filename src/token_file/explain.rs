//! Explains why a token file could not be read.

use std::io;
use std::path::Path;

use crate::error::Error;
use crate::error::problem::token::{BadToken, What};

/// Converts an I/O error to an error with the reason. It accesses the file again, so it must run on a blocking thread.
pub(super) fn explain(file: &Path, error: io::Error) -> Error {
    let what = match error.kind() {
        io::ErrorKind::NotFound => What::Missing,
        io::ErrorKind::PermissionDenied => What::Denied { ownership: ownership(file) },
        io::ErrorKind::InvalidInput => What::NotAFile,
        io::ErrorKind::NotADirectory => What::ThroughAFile,
        _ if is_loop(&error) => What::Loop,
        // The pod's configuration cannot correct other errors, and they may be transient.
        _ => What::Io,
    };
    Error::caused_by(BadToken { origin: file.display().to_string(), what }, error)
}

/// Whether the error is `ELOOP`, which is 40 on Linux. `io::ErrorKind::FilesystemLoop` is not stable yet.
fn is_loop(error: &io::Error) -> bool {
    cfg!(target_os = "linux") && error.raw_os_error() == Some(40)
}

/// The uid of this process, and the mode and owner of the file.
#[cfg(unix)]
fn ownership(path: &Path) -> String {
    use std::fs;
    use std::os::unix::fs::MetadataExt as _;

    // On Linux, the owner of /proc/self is the effective user. `geteuid` would need `unsafe` code or another dependency.
    let me = fs::metadata("/proc/self").map_or("unknown".to_owned(), |m| m.uid().to_string());
    match fs::metadata(path) {
        Ok(m) => format!("uid {me}; the file has mode {:04o}, owner {}:{}", m.mode() & 0o7777, m.uid(), m.gid()),
        Err(_) => format!("uid {me}; this process may not enter a folder of its path"),
    }
}

/// Only Unix has a mode and an owner of a file.
#[cfg(not(unix))]
fn ownership(path: &Path) -> String {
    format!("{} denies it access", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// Includes errors that do not occur for root, which may read every file. The numbers are `ELOOP` and `EIO` on Linux.
    #[cfg(target_os = "linux")]
    #[test]
    fn token_file_error_has_a_kind_and_a_remedy() {
        use ErrorKind::{TokenFile, Unavailable};
        let file = tempfile::NamedTempFile::new().unwrap();
        for (error, kind, said) in [
            (io::ErrorKind::NotFound.into(), TokenFile, "check that the pod mounts"),
            (io::ErrorKind::PermissionDenied.into(), TokenFile, "set fsGroup"),
            (io::ErrorKind::PermissionDenied.into(), TokenFile, "the file has mode 0600, owner "),
            (io::ErrorKind::InvalidInput.into(), TokenFile, "is not a regular file"),
            (io::ErrorKind::NotADirectory.into(), TokenFile, "is a file and not a directory"),
            (io::Error::from_raw_os_error(40), TokenFile, "a loop of symbolic links"),
            (io::Error::from_raw_os_error(5), Unavailable, "could not be read; the file is read again"),
        ] {
            let explained = explain(file.path(), error);
            assert_eq!(explained.kind(), kind, "{explained}");
            assert!(explained.to_string().contains(said), "{explained}");
        }
    }
}
