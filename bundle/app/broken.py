"""Breaks an app in six ways and expects app.py to say so: bundle/mac --broken APP."""

import plistlib
import shutil
import struct
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import app as checker
from macholib.mach_o import LC_BUILD_VERSION, LC_CODE_SIGNATURE, LC_SOURCE_VERSION

HEADER = 32  # of a 64-bit Mach-O


def command_at(data: bytes, wanted: int) -> int:
    """Where the load command of this kind lies."""
    at, (count,) = HEADER, struct.unpack_from("<I", data, 16)
    for _ in range(count):
        kind, size = struct.unpack_from("<II", data, at)
        if kind == wanted:
            return at
        at += size
    raise ValueError(f"no load command {wanted:#x}")


def rewrite(path: Path, change: Callable[[bytearray], None]):
    """Replaces a file, which is a link to the original, by a changed copy."""
    data = bytearray(path.read_bytes())
    change(data)
    path.unlink()
    path.write_bytes(data)


def rpath(contents: Path):
    """A program that looks for its libraries on the machine that made it."""

    def change(data: bytearray):
        ours = b"@executable_path/../Frameworks"
        at = data.index(ours)
        data[at : at + len(ours)] = b"/Users/somebody/.local/lib/mlx".ljust(len(ours), b"\0")

    rewrite(contents / "MacOS/csm-studio", change)


def metallib(contents: Path):
    """An app without the kernels."""
    (contents / "Resources/mlx.metallib").unlink()


def minimum(contents: Path):
    """A library for a newer system than the app promises."""
    rewrite(contents / "Frameworks/libc10.dylib", lambda d: struct.pack_into("<I", d, command_at(d, LC_BUILD_VERSION) + 12, 26 << 16))


def unsigned(contents: Path):
    """A library without a signature."""
    rewrite(contents / "Frameworks/libmlx.dylib", lambda d: struct.pack_into("<I", d, command_at(d, LC_CODE_SIGNATURE), LC_SOURCE_VERSION))


def changed(contents: Path):
    """A library that was changed after it was signed."""

    def change(data: bytearray):
        data[len(data) // 2] ^= 1

    rewrite(contents / "Frameworks/libomp.dylib", change)


def key(contents: Path):
    """No reason given for the microphone: macOS would kill the program."""
    path = contents / "Info.plist"
    info = plistlib.loads(path.read_bytes())
    del info["NSMicrophoneUsageDescription"]
    path.unlink()
    path.write_bytes(plistlib.dumps(info))


BREAKS = [
    (rpath, "rpath /Users/somebody"),
    (metallib, "mlx.metallib"),
    (minimum, "it needs macOS 26.0"),
    (unsigned, "it is not signed"),
    (changed, "changed after it was signed"),
    (key, "NSMicrophoneUsageDescription is missing"),
]


def main():
    """Fails unless the whole app passes and each broken one is found out."""
    app, failed = Path(sys.argv[1]), checker.check(Path(sys.argv[1]))
    with tempfile.TemporaryDirectory(dir=app.parent) as folder:
        for break_it, expected in BREAKS:
            copy = Path(folder) / f"{break_it.__name__}.app"
            shutil.copytree(app, copy, copy_function=lambda a, b: Path(b).hardlink_to(a))
            break_it(copy / "Contents")
            found = checker.check(copy)
            if not any(expected in what for what in found):
                failed.append(f"{break_it.__name__}: expected '{expected}', found {found}")
            print(f"{break_it.__name__}: {'; '.join(found)}")
    print(*failed, sep="\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
