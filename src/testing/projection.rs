//! Files in the layout of a projected volume of kubelet: `token → ..data/token`, `..data → ..<time>.<n>/`.
//!
//! kubelet writes a new folder and replaces the link `..data` by renaming, so a reader never sees a part of a file
//! ([atomic_writer.go]).
//!
//! [atomic_writer.go]: https://github.com/kubernetes/kubernetes/blob/master/pkg/volume/util/atomic_writer.go

use std::fs;
use std::io;
use std::path::Path;

#[cfg(unix)]
use crate::clock;

/// Replaces the file `name` in `folder`. `rotation` must be another number each time.
#[cfg(unix)]
pub(super) fn project(folder: &Path, name: &str, token: &str, rotation: u32) -> io::Result<()> {
    use std::os::unix::fs::symlink;

    let stamp = format!("..{}.{rotation}", clock::rfc3339(clock::system_now()).replace(['-', ':', 'T', 'Z'], "_"));
    let old = fs::read_link(folder.join("..data")).ok();
    fs::create_dir(folder.join(&stamp))?;
    fs::write(folder.join(&stamp).join(name), token)?;
    symlink(&stamp, folder.join("..data_tmp"))?;
    fs::rename(folder.join("..data_tmp"), folder.join("..data"))?;
    match old {
        Some(old) => fs::remove_dir_all(folder.join(old)),
        None => symlink(Path::new("..data").join(name), folder.join(name)),
    }
}

/// On Windows, symbolic links need a privilege, so the file itself is replaced.
#[cfg(not(unix))]
pub(super) fn project(folder: &Path, name: &str, token: &str, rotation: u32) -> io::Result<()> {
    let next = folder.join(format!("..{rotation}"));
    fs::write(&next, token)?;
    fs::rename(next, folder.join(name))
}
