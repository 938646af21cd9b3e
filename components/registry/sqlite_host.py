"""An SQLite store is for one machine: locks of its file do not hold across a network file system.

Whether another machine can have the file open is told by the kind of its file system. Where it can, a record beside the
file says which machine uses it.
"""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path

from data import atomic
from data.errors import UserError

_ON_DISKS = {
    "bcachefs",
    "btrfs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "jfs",
    "ntfs",
    "ntfs3",
    "vfat",
    "xfs",
}
_OF_THE_HOST = {"9p", "fakeowner", "fuse.grpcfuse", "vboxsf", "virtiofs"}
"""What a virtual machine has of its own host's disk."""
LOCAL = _ON_DISKS | _OF_THE_HOST | {"fuseblk", "overlay", "ramfs", "tmpfs", "zfs"}
"""File systems that one machine alone has at a time. What is on them came here with a disk or a copy."""

_MOUNTS = Path("/proc/self/mountinfo")
_BOOT, _MACHINE = Path("/proc/sys/kernel/random/boot_id"), Path("/etc/machine-id")


def claim(file: Path) -> None:
    """See that this machine may use the SQLite store ``file``, and record it where others reach it, too.

    Raises:
        UserError: another machine uses it.
    """
    kind = kind_of_file_system(file)
    if kind in LOCAL:
        return
    record, us = file.with_name(f"{file.name}.host"), _this_machine()
    record.parent.mkdir(parents=True, exist_ok=True)
    try:
        with record.open("x") as made:  # which one of two machines can, also on a network file system
            made.write(json.dumps(us))
        return
    except FileExistsError:
        them = _read(record)
    if not _is_same(us, them):
        who = them.get("host", "another machine")
        raise UserError(
            f"{file}: {who} uses this SQLite store too, on a shared file system ({kind or 'of an unknown kind'}). "
            "Two machines would damage it: share a registry on PostgreSQL or a tracking server "
            f"(MLFLOW_TRACKING_URI). If {who} is not to use it any more, delete {record}"
        )
    if us != them:
        atomic.write_text(record, json.dumps(us))


def kind_of_file_system(path: Path) -> str:
    """Return the kind of file system that ``path`` is or will be on, as the kernel calls it; empty where unknown."""
    if not _MOUNTS.exists():
        return ""
    real, best, kind = path.absolute().resolve(), -1, ""
    for line in _MOUNTS.read_text().splitlines():
        mount, _, source = line.partition(" - ")
        point = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), mount.split()[4]))
        if (
            real.is_relative_to(point) and len(point.parts) >= best
        ):  # of two at one place the later one counts
            best, kind = len(point.parts), source.split()[0]
    return kind


def _this_machine() -> dict[str, str]:
    """Return what tells this machine from others: containers on it differ in the host name alone."""
    return {"host": platform.node(), "boot": _line(_BOOT), "machine": _line(_MACHINE)}


def _is_same(us: dict[str, str], them: dict[str, str]) -> bool:
    if us["boot"] and us["boot"] == them.get("boot"):
        return True
    return (us["host"], us["machine"]) == (them.get("host"), them.get("machine"))


def _read(record: Path) -> dict[str, str]:
    try:
        return json.loads(record.read_text())
    except json.JSONDecodeError:  # its writer was killed on the way, or is at it
        return {}


def _line(file: Path) -> str:
    return file.read_text().strip() if file.exists() else ""
