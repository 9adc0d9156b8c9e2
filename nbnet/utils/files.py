"""Files that scripts ask for by an address: local ones are found, nothing is downloaded."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import zipfile
from os import PathLike
from pathlib import Path
from urllib.parse import unquote, urlparse

from nbnet.base.regular_file import check_regular
from nbnet.base.validation import check_choice

FilePath = str | PathLike[str]


def get_file(
    fname: FilePath | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str = "auto",
    cache_dir: FilePath | None = None,
    force_download: bool = False,
) -> str:
    """Return the path of a file that a script asks for by its address.

    A ``file://`` address or a path is copied to the cache; a file of that name in the cache is used. Nothing is
    downloaded: what is not there has to be put there.

    Parameters
    ----------
    fname
        Name of the file in the cache; by default the last part of ``origin``.
    origin
        Address of the file: ``file://``, a path, or ``https://`` for a file that is in the cache already.
    untar, extract
        If True, unpack the archive beside it, and return the path of the folder with its content.
    cache_dir, cache_subdir
        The cache is this folder in that one, by default ``datasets`` in ``~/.keras`` (or ``KERAS_HOME``).
    file_hash, hash_algorithm, md5_hash
        The file's SHA-256 or MD5 in hexadecimal digits; ``"auto"`` tells them apart by their length.
    force_download
        If True, a file on this machine is copied again.
    archive_format
        Accepted as in Keras.

    Raises
    ------
    FileNotFoundError
        If the file is neither in the cache nor on this machine; the message says where to put it.
    ValueError
        If there is neither a name nor an address, the file has another hash, or an archive holds paths outside its
        folder.

    Examples
    --------
    >>> import nbnet as nb
    >>> nb.utils.get_file("data.csv", "https://example.org/data.csv", cache_dir="/nowhere")
    Traceback (most recent call last):
        ...
    FileNotFoundError: /nowhere/datasets/data.csv: nothing is downloaded: get https://example.org/data.csv and put ...
    """
    address = origin or ""
    name = os.fspath(fname) if fname is not None else Path(unquote(urlparse(address).path)).name
    if not name:
        raise ValueError("fname: expected the name of a file, or an origin that ends in one")
    home = Path(cache_dir) if cache_dir is not None else Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    cached = Path(name) if Path(name).is_absolute() else home / cache_subdir / name
    unpacked = untar or extract
    if unpacked and cached.is_dir():
        return str(cached)
    packed, local = _packed(cached) if unpacked else cached, _local(address)
    wanted = file_hash or md5_hash
    fresh = packed.exists() and (wanted is None or _hash(packed, wanted, hash_algorithm) == wanted.lower())
    if not fresh or (force_download and local is not None):
        if local is None and packed.exists():
            raise ValueError(f"file_hash: expected a file of hash {wanted}, {packed} has another one")
        if local is None:
            raise FileNotFoundError(
                f"{packed}: nothing is downloaded: get {address or 'the file'} and put it there, or give its path"
            )
        packed.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(local, packed)
        if wanted is not None and (found := _hash(packed, wanted, hash_algorithm)) != wanted.lower():
            raise ValueError(f"file_hash: expected a file of hash {wanted}, {local} has {found}")
    return str(_unpack(packed, cached)) if unpacked else str(cached)


def _hash(path: Path, wanted: str, algorithm: str) -> str:
    """Return the hash of a file, of the kind of another one."""
    check_choice(algorithm, "hash_algorithm", ["auto", "sha256", "md5"])
    kind = ("md5" if len(wanted) == 32 else "sha256") if algorithm == "auto" else algorithm
    check_regular(path, path.stat().st_mode)
    with path.open("rb") as file:
        return hashlib.file_digest(file, kind).hexdigest()


def _packed(cached: Path) -> Path:
    """Return where an archive is: a file of that name, or with an ending of archives."""
    endings = ("", ".tar.gz", ".tgz", ".zip", ".tar", ".tar.bz2")
    return next((p for end in endings if (p := Path(f"{cached}{end}")).is_file()), cached)


def _local(address: str) -> Path | None:
    parts = urlparse(address)
    path = Path(unquote(parts.path)) if parts.scheme == "file" else Path(address) if not parts.netloc else None
    return path if path is not None and address and path.is_file() else None


def _unpack(packed: Path, cached: Path) -> Path:
    folder = cached.parent / f"{cached.name}_extracted" if packed == cached else cached.parent
    if packed == cached and folder.is_dir():
        return folder
    check_regular(packed, packed.stat().st_mode)
    if tarfile.is_tarfile(packed):
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
    elif zipfile.is_zipfile(packed):
        with zipfile.ZipFile(packed) as files:
            for name in files.namelist():
                if not (folder / name).resolve().is_relative_to(folder.resolve()):
                    raise ValueError(f"{packed}: {name!r} lies outside its folder")
            files.extractall(folder)
    else:
        raise ValueError(f"{packed}: expected a tar or zip archive")
    return cached if cached.is_dir() else folder


def paths_by_folder(directory: FilePath, endings: tuple[str, ...]) -> dict[str, list[Path]]:
    """Return the files with one of some endings, sorted, by the name of the folder in ``directory`` they are in."""
    root = Path(directory)
    if not root.is_dir():
        raise FileNotFoundError(f"directory: {root} is not a folder")
    folders = sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    return {folder.name: files_in(folder, endings) for folder in folders}


def files_in(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """Return the files below a folder with one of some endings, sorted."""
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix.lower() in endings)
