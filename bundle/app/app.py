"""Lays out and checks `CSM Studio.app`. bundle/mac calls it, on macOS and on Linux.

    app.py make APP --programs DIR --mlx DIR --torch DIR --version VERSION
    app.py check APP
    app.py linked PROGRAMS MLX TORCH
"""

import argparse
import hashlib
import plistlib
import re
import shutil
import struct
import sys
from pathlib import Path

from macholib.mach_o import LC_BUILD_VERSION, LC_CODE_SIGNATURE, LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB, LC_RPATH
from macholib.MachO import MachO
from macholib.SymbolTable import SymbolTable

NAME = "CSM Studio"
IDENTIFIER = "io.github.csm-studio.csm-studio"
MINIMUM = "14.0"
MAIN = "csm-studio"
PROGRAMS = [MAIN, "csm"]
LIBRARIES = ["libtorch.dylib", "libtorch_cpu.dylib", "libc10.dylib", "libomp.dylib"]
ROOT = Path(__file__).resolve().parent.parent.parent


def info(version: str) -> dict:
    """Info.plist. The app opens files that other programs own too: a take is a folder, tokens and tests are JSON."""
    folder = "CSM Studio opens and saves the takes, recordings and pages that you choose."
    return {
        "CFBundleIdentifier": IDENTIFIER,
        "CFBundleName": NAME,
        "CFBundleDisplayName": NAME,
        "CFBundleExecutable": MAIN,
        "CFBundleIconFile": "AppIcon",
        "CFBundlePackageType": "APPL",
        "CFBundleInfoDictionaryVersion": "6.0",
        "CFBundleDevelopmentRegion": "en",
        "CFBundleShortVersionString": version,
        "CFBundleVersion": version,
        "LSMinimumSystemVersion": MINIMUM,
        "LSArchitecturePriority": ["arm64"],
        "LSApplicationCategoryType": "public.app-category.developer-tools",
        "NSHighResolutionCapable": True,
        "NSSupportsAutomaticGraphicsSwitching": True,
        "NSMicrophoneUsageDescription": "CSM Studio records voice prompts when you press Record.",
        "NSDesktopFolderUsageDescription": folder,
        "NSDocumentsFolderUsageDescription": folder,
        "NSDownloadsFolderUsageDescription": folder,
        "NSHumanReadableCopyright": "Apache License 2.0. The speech is synthetic.",
        "CFBundleDocumentTypes": [
            {
                "CFBundleTypeName": "Recording, tokens, test or take",
                "CFBundleTypeRole": "Viewer",
                "LSItemContentTypes": ["com.microsoft.waveform-audio", "public.audio", "public.json", "public.folder"],
                "LSHandlerRank": "Alternate",
            },
        ],
    }  # fmt: skip


def make(app: Path, programs: Path, mlx: Path, torch: Path, version: str):
    """Copies everything into place. Paths inside the programs and signatures are the caller's."""
    if app.exists():
        shutil.rmtree(app)
    contents = app / "Contents"
    for folder in ("MacOS", "Frameworks", "Resources/Licences"):
        (contents / folder).mkdir(parents=True)
    for program in PROGRAMS:
        copy(programs / program, contents / "MacOS" / program)
    for library in mlx.glob("lib/*.dylib"):
        copy(library, contents / "Frameworks" / library.name)
    # A build without PyTorch has no hybrid mode, and no program of it names these.
    if torch_is_wanted(contents / "MacOS" / MAIN):
        for library in LIBRARIES:
            copy(torch / "lib" / library, contents / "Frameworks" / library)
    copy(mlx / "lib" / "mlx.metallib", contents / "Resources" / "mlx.metallib")
    copy(ROOT / "assets/icon/AppIcon.icns", contents / "Resources" / "AppIcon.icns")
    copy(ROOT / "LICENSE", contents / "Resources/Licences" / "CSM Studio.txt")
    copy(ROOT / "assets/licences.txt", contents / "Resources/Licences" / "Other works.txt")
    copy(ROOT / "assets/voice/LICENSE", contents / "Resources/Licences" / "Demo voice.txt")
    (contents / "Info.plist").write_bytes(plistlib.dumps(info(version)))
    (contents / "PkgInfo").write_text("APPL????")


def torch_is_wanted(program: Path) -> bool:
    """Whether the program loads PyTorch."""
    return any("libtorch" in name for name in loaded(commands(program)))


def copy(source: Path, target: Path):
    """A file with its permissions."""
    shutil.copy(source, target)
    target.chmod(0o755 if target.parent.name in ("MacOS", "Frameworks") else 0o644)


def commands(path: Path) -> list:
    """Load commands of the only architecture in the file."""
    headers = MachO(str(path)).headers
    if len(headers) != 1:
        raise ValueError("it has several architectures")
    return headers[0].commands


def loaded(load_commands: list) -> list[str]:
    """The libraries that a program or library names."""
    return [text(data) for lc, _, data in load_commands if lc.cmd in (LC_LOAD_DYLIB, LC_LOAD_WEAK_DYLIB)]


def text(data: bytes) -> str:
    """A string of a load command."""
    return data.rstrip(b"\0").decode()


def version(number: int) -> tuple[int, int]:
    """A system version as it is packed into load commands."""
    return number >> 16, number >> 8 & 0xFF


def check(app: Path) -> list[str]:
    """Everything that is wrong with the app."""
    contents = app / "Contents"
    wrong = check_info(contents)
    metallib = contents / "Resources/mlx.metallib"
    if not metallib.is_file() or metallib.read_bytes()[:4] != b"MTLB":
        wrong.append("Resources/mlx.metallib: MLX's kernels for the GPU are missing")
    binaries = [*sorted((contents / "MacOS").glob("*")), *sorted((contents / "Frameworks").glob("*"))]
    wrong += [f"MacOS/{program}: missing" for program in PROGRAMS if not (contents / "MacOS" / program).is_file()]
    for path in binaries:
        name = path.relative_to(contents)
        try:
            wrong += [f"{name}: {what}" for what in check_binary(path, contents)]
        except ValueError as e:
            wrong.append(f"{name}: {e}")
    return wrong


def check_info(contents: Path) -> list[str]:
    """What is wrong with Info.plist."""
    path = contents / "Info.plist"
    if not path.is_file():
        return ["Info.plist: missing"]
    there = plistlib.loads(path.read_bytes())
    wrong = [f"Info.plist: {key} is missing" for key in info("") if key not in there]
    if not re.fullmatch(r"\d+\.\d+\.\d+", str(there.get("CFBundleShortVersionString"))):
        wrong.append(f"Info.plist: the version is {there.get('CFBundleShortVersionString')!r}")
    icon = contents / "Resources" / f"{there.get('CFBundleIconFile')}.icns"
    if not icon.is_file() or icon.read_bytes()[:4] != b"icns":
        wrong.append(f"Info.plist: no icon {icon.name}")
    if not (contents / "MacOS" / str(there.get("CFBundleExecutable"))).is_file():
        wrong.append(f"Info.plist: no program {there.get('CFBundleExecutable')}")
    return wrong


def check_binary(path: Path, contents: Path) -> list[str]:
    """What is wrong with a program or library."""
    wrong, load_commands = [], commands(path)
    rpaths = [text(data) for lc, _, data in load_commands if lc.cmd == LC_RPATH]
    wrong += [f"rpath {rpath} lies outside the app" for rpath in rpaths if not rpath.startswith("@")]
    if path.parent.name == "MacOS" and "@executable_path/../Frameworks" not in rpaths:
        wrong.append("no rpath to the app's own libraries")
    for library in loaded(load_commands):
        if library.startswith(("/System/Library/", "/usr/lib/")):
            continue
        # The program's rpaths serve its libraries too: all libraries lie in one folder.
        found = contents / "Frameworks" / library.rpartition("/")[2]
        if not library.startswith("@") or not found.is_file():
            wrong.append(f"{library} is not in the app")
    minimum = [version(command.minos) for lc, command, _ in load_commands if lc.cmd == LC_BUILD_VERSION]
    allowed = tuple(int(part) for part in MINIMUM.split("."))
    wrong += [f"it needs macOS {major}.{minor}, the app promises {MINIMUM}" for major, minor in minimum if (major, minor) > allowed]
    signatures = [command for lc, command, _ in load_commands if lc.cmd == LC_CODE_SIGNATURE]
    if not signatures:
        return [*wrong, "it is not signed"]
    data = path.read_bytes()
    return wrong + check_signature(data, data[signatures[0].dataoff :][: signatures[0].datasize])


def check_signature(data: bytes, blob: bytes) -> list[str]:
    """Whether the pages of the file have the hashes that its signature's first code directory lists (xnu, `cs_blobs.h`)."""
    magic, _, count = struct.unpack_from(">III", blob)
    if magic != 0xFADE0CC0:
        return ["its signature is damaged"]
    slots = [struct.unpack_from(">II", blob, 12 + 8 * n) for n in range(count)]
    directories = [offset for kind, offset in slots if kind == 0]
    if not directories:
        return ["its signature has no code directory"]
    directory = blob[directories[0] :]
    hashes, _, special, pages, limit = struct.unpack_from(">IIIII", directory, 16)
    size, kind, _, page_bits = struct.unpack_from(">BBBB", directory, 36)
    if kind != 2:
        return [f"its signature has hashes of kind {kind}, not SHA-256"]
    page = 1 << page_bits
    for n in range(pages):
        part = data[n * page : min((n + 1) * page, limit)]
        if hashlib.sha256(part).digest()[:size] != directory[hashes + n * size :][:size]:
            return [f"it was changed after it was signed (page {n})"]
    return []


# Of programs that were linked without Apple's SDK: names that macOS' own frameworks have.
SYSTEM = re.compile(
    r"_(OBJC_(CLASS|METACLASS|EHTYPE)_\$_(NS|CA|MTL|AV)|objc_|sel_|class_|object_|method_|protocol_|ivar_|_NSConcrete|_Block|NS|k?CF|__CF|"
    r"k?CG|k?CT|k?CA[A-Z]|k?CV|MTL|k?Audio|AX|k?IO|k?TIS|LM|UC|iconv)"
)
# Of names that no library had when the program was linked: zig writes the first, Apple's linker the second.
DYNAMIC_LOOKUP = (0, 0xFE)


def linked(programs: Path, mlx: Path, torch: Path) -> list[str]:
    """What is wrong with programs that were linked on Linux: names that nobody has, libraries that are not there, the target system."""
    wrong = []
    there = {path.name for folder in (mlx, torch) for path in (folder / "lib").glob("*.dylib")}
    for program in [*PROGRAMS, "csm-generate-mlx"]:
        macho = MachO(str(programs / program))
        table = SymbolTable(macho)
        unresolved = [name.decode() for entry, name in table.undefsyms if entry.n_desc >> 8 in DYNAMIC_LOOKUP]
        foreign = [name for name in unresolved if not SYSTEM.match(name)]
        wrong += [f"{program}: nothing has {name}" for name in foreign]
        load_commands = macho.headers[0].commands
        for library in loaded(load_commands):
            if library.startswith("@rpath/") and library.rpartition("/")[2] not in there:
                wrong.append(f"{program}: no {library}")
        ours = sum(1 for entry, _ in table.undefsyms) - len(unresolved)
        print(f"{program}: {ours} names found in libraries, {len(unresolved)} left to macOS' frameworks, {len(foreign)} unresolved")
    return wrong


def main():
    """Makes or checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("app", type=Path)
    for name in ("programs", "mlx", "torch"):
        making.add_argument(f"--{name}", type=Path, required=True)
    making.add_argument("--version", required=True)
    commands.add_parser("check").add_argument("app", type=Path)
    linking = commands.add_parser("linked")
    for name in ("programs", "mlx", "torch"):
        linking.add_argument(name, type=Path)
    args = parser.parse_args()
    if args.command == "make":
        make(args.app, args.programs, args.mlx, args.torch, args.version)
        return
    if args.command == "linked":
        wrong = linked(args.programs, args.mlx, args.torch)
    else:
        wrong = check(args.app)
        print(f"{args.app}: {len(wrong) or 'nothing'} wrong")
    print(*wrong, sep="\n")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
