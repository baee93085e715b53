"""The set of old files as one archive: times to the nanosecond, links, and no absolute paths."""

import os
import tarfile
from io import BytesIO
from pathlib import Path, PurePath

ARCHIVE = Path(__file__).with_name("old_files.tar.xz")
PLACEHOLDER = b"@ROOT@"
_TIME = "mtime"
# pictures that nothing reads
_LEFT_OUT = ("progress.png", "reconstructions.png", "loss.png")


def pack(root: Path, archive: Path = ARCHIVE) -> None:
    """Write an archive of all that lies in a folder.

    Raises
    ------
    ValueError
        If a binary file holds the folder's path, which has another length elsewhere.
    """
    with tarfile.open(archive, "w:xz", format=tarfile.PAX_FORMAT, preset=9) as tar:
        for path in sorted(root.rglob("*")):
            if path.name in _LEFT_OUT or not (path.is_symlink() or path.is_dir() or path.is_file()):
                continue
            member = tar.gettarinfo(path, str(path.relative_to(root)))
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            seconds, nanoseconds = divmod(path.lstat().st_mtime_ns, 10**9)
            member.pax_headers = {_TIME: f"{seconds}.{nanoseconds:09d}"}
            if not member.isreg():
                tar.addfile(member)
                continue
            content = path.read_bytes()
            if os.fsencode(root) in content:
                if b"\0" in content:
                    raise ValueError(f"{path} is a binary file that holds {root}")
                content = content.replace(os.fsencode(root), PLACEHOLDER)
            member.size = len(content)
            tar.addfile(member, BytesIO(content))


def unpack(
    root: Path, archive: Path = ARCHIVE, *, only: str = "", leave_out: str | None = None
) -> None:
    """Put the files of an archive into an empty folder, as if they had been made there.

    Parameters
    ----------
    root
        The folder.
    archive
        The archive.
    only, leave_out
        Folders, by their paths in the archive, that are wanted alone and not wanted.
    """
    times: list[tuple[Path, int]] = []
    with tarfile.open(archive) as tar:
        for member in tar:
            path = PurePath(member.name)
            if not path.is_relative_to(only) or (leave_out and path.is_relative_to(leave_out)):
                continue
            tar.extract(member, root, filter="data")
            file = root / member.name
            seconds, _, nanoseconds = member.pax_headers[_TIME].partition(".")
            times.append((file, int(seconds) * 10**9 + int(nanoseconds)))
            if member.isreg() and PLACEHOLDER in (content := file.read_bytes()):
                file.write_bytes(content.replace(PLACEHOLDER, os.fsencode(root)))
    for file, time in reversed(times):
        os.utime(file, ns=(time, time), follow_symlinks=False)
