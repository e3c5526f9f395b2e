"""Bad input: containers of arrays, headers with data elsewhere, and videos."""

from __future__ import annotations

import io
import pickle
import zipfile

import h5py
import numpy as np
from bad_entry import Accepted, Refused, Site, bad, changed
from bad_files import cut
from bad_kits import DEEP_MAP, HDF5, META, NPZ, NRRD, VIDEO, VOLUME, save

HERE = "Names with a folder in them are not followed; put the data beside their header."


class _Trap:
    """Unpickling it would write a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (open, (self.path, "w"))


@bad("arrays and videos", "an npz with a pickled object instead of an array", NPZ,
     Refused("no_array"), "Objects are never unpickled: that would run their code.")  # fmt: skip
def pickled(site: Site) -> None:
    trap = np.empty(1, object)
    trap[0] = _Trap(str(site.outside / "written"))
    np.savez(site.image, imgs=trap, gts=DEEP_MAP)


@bad("arrays and videos", "an npz whose member is a bare pickle", NPZ, Refused("unreadable_file"),
     "Objects are never unpickled: that would run their code.")  # fmt: skip
def bare_pickle(site: Site) -> None:
    with zipfile.ZipFile(site.image, "w") as archive:
        archive.writestr("imgs.npy", pickle.dumps(_Trap(str(site.outside / "written"))))


@bad("arrays and videos", "a member of an npz named `../imgs.npy`", NPZ, Refused("no_array"),
     "Members are read in memory; nothing is unpacked.")  # fmt: skip
def climbing_member(site: Site) -> None:
    held = io.BytesIO()
    np.save(held, VOLUME)
    with zipfile.ZipFile(site.image, "w") as archive:
        archive.writestr("../imgs.npy", held.getvalue())


@bad("arrays and videos", "an npz bomb: a header that claims 10^12 values", NPZ,
     Refused("too_large"), "Sizes are checked before memory is taken.")  # fmt: skip
def npz_bomb(site: Site) -> None:
    held = io.BytesIO()
    head = {"descr": "<i2", "fortran_order": False, "shape": (10**4, 10**4, 10**4)}
    np.lib.format.write_array_header_1_0(held, head)  # type: ignore[arg-type]
    with zipfile.ZipFile(site.image, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("imgs.npy", held.getvalue() + bytes(2**20))


@bad("arrays and videos", "an npz without the array the recipe names", NPZ, Refused("no_array"),
     "The message lists what there is.")  # fmt: skip
def other_array(site: Site) -> None:
    np.savez(site.image, image=VOLUME, gts=DEEP_MAP)


@bad("arrays and videos", "an array with more axes than the recipe says", NPZ,
     Refused("unsupported_layout"), "Correct `axes`.")  # fmt: skip
def more_axes(site: Site) -> None:
    np.savez(site.image, imgs=VOLUME[np.newaxis], gts=DEEP_MAP)


@bad("arrays and videos", "an npz with text instead of numbers", NPZ, Refused("no_array"),
     "The message lists what there is.")  # fmt: skip
def text_array(site: Site) -> None:
    np.savez(site.image, imgs=np.full(VOLUME.shape, "x"), gts=DEEP_MAP)


def _hdf5(site: Site, link: object) -> None:
    with h5py.File(site.image, "w") as file:
        file["imgs"] = link
        file["gts"] = DEEP_MAP


@bad("arrays and videos", "an HDF5 link to another file", HDF5, Refused("no_array"),
     "Links are not followed; store the array itself.")  # fmt: skip
def external_link(site: Site) -> None:
    with h5py.File(site.raw.parent / "outside" / "secret.h5", "w") as file:
        file["x"] = VOLUME
    _hdf5(site, h5py.ExternalLink(str(site.outside / "secret.h5"), "x"))


@bad("arrays and videos", "an HDF5 soft link to itself", HDF5, Refused("no_array"),
     "Links are not followed; store the array itself.")  # fmt: skip
def soft_link(site: Site) -> None:
    _hdf5(site, h5py.SoftLink("/imgs"))


@bad("arrays and videos", "an HDF5 virtual data set over another file", HDF5,
     Refused("unsafe_path"), "Store the array itself.")  # fmt: skip
def virtual_set(site: Site) -> None:
    with h5py.File(site.outside / "secret.h5", "w") as file:
        file["x"] = VOLUME
    layout = h5py.VirtualLayout(VOLUME.shape, VOLUME.dtype)
    layout[:] = h5py.VirtualSource(str(site.outside / "secret.h5"), "x", VOLUME.shape)
    with h5py.File(site.image, "w") as file:
        file.create_virtual_dataset("imgs", layout)
        file["gts"] = DEEP_MAP


@bad("arrays and videos", "an HDF5 data set stored in an external raw file", HDF5,
     Refused("unsafe_path"), "Store the array itself.")  # fmt: skip
def external_storage(site: Site) -> None:
    with h5py.File(site.image, "w") as file:
        place = [(str(site.outside / "secret.raw"), 0, VOLUME.nbytes)]
        file.create_dataset("imgs", VOLUME.shape, VOLUME.dtype, external=place)
        file["gts"] = DEEP_MAP


@bad("arrays and videos", "an HDF5 bomb: 1 TiB of fill values", HDF5, Refused("too_large"),
     "Sizes are checked before memory is taken.")  # fmt: skip
def hdf5_bomb(site: Site) -> None:
    with h5py.File(site.image, "w") as file:
        file.create_dataset("imgs", (2**10, 2**15, 2**14), "i2", chunks=(1, 2**10, 2**10))
        file["gts"] = DEEP_MAP


@bad("arrays and videos", "a group that holds itself", HDF5, Accepted(),
     "Every group is visited once.")  # fmt: skip
def hdf5_ring(site: Site) -> None:
    with h5py.File(site.image, "a") as file:
        file.create_group("g")["again"] = file["/"]


@bad("arrays and videos", "an HDF5 file cut off", HDF5, Refused("unreadable_file"),
     "Fetch the file again.")  # fmt: skip
def half_hdf5(site: Site) -> None:
    cut(site.image, 0.5)


def _data_file(site: Site, name: str) -> None:
    text = site.image.read_text()
    site.image.write_text(text.replace("ElementDataFile = bad.raw", f"ElementDataFile = {name}"))


@bad("arrays and videos", "an MHD that points to `/etc/passwd`", META, Refused("unsafe_path"), HERE)
def passwd(site: Site) -> None:
    _data_file(site, "/etc/passwd")


@bad("arrays and videos", "an MHD that points to `../../outside/secret.raw`", META,
     Refused("unsafe_path"), HERE)  # fmt: skip
def climbing_raw(site: Site) -> None:
    _data_file(site, "../../outside/secret.raw")


@bad("arrays and videos", "an MHD that points to itself", META, Refused("truncated_file"),
     "Repair the header.")  # fmt: skip
def own_raw(site: Site) -> None:
    _data_file(site, "bad.mhd")


@bad("arrays and videos", "an MHD with a list of files", META, Refused("unsupported_layout"),
     "Save the image again in one file.")  # fmt: skip
def listed_raw(site: Site) -> None:
    _data_file(site, "LIST\n/etc/passwd\n../x.raw")


@bad("arrays and videos", "an NRRD header that points to a file outside",
     changed(NRRD, images="images/{case}.nrrd"), Refused("unsafe_path"), HERE)  # fmt: skip
def climbing_nrrd(site: Site) -> None:
    head = (
        site.image.read_bytes().partition(b"\n\n")[0].replace(b"encoding: gzip", b"encoding: raw")
    )
    site.image.write_bytes(head + b"\ndata file: ../../outside/secret.raw\n\n")


@bad("arrays and videos", "a video cut off half way", VIDEO, Refused("truncated_file"),
     "Fetch the file again.", )  # fmt: skip
def half_video(site: Site) -> None:
    cut(site.image, 0.6)


@bad("arrays and videos", "a playlist named `.avi` that points to a file", VIDEO,
     Refused("unreadable_file"), "Only videos are decoded, and nothing they point at.")  # fmt: skip
def playlist(site: Site) -> None:
    secret = site.outside / "secret.png"
    site.image.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{secret}\n")


@bad("arrays and videos", "a concat script named `.avi`", VIDEO, Refused("unreadable_file"),
     "Only videos are decoded, and nothing they point at.")  # fmt: skip
def concat(site: Site) -> None:
    site.image.write_text(f"ffconcat version 1.0\nfile {site.outside}/secret.png\n")


@bad("arrays and videos", "a video with a label of another size", VIDEO,
     Refused("shape_mismatch"), "Pair it with the label that was drawn on it.")  # fmt: skip
def video_label(site: Site) -> None:
    save(site.label, np.ones((40, 48), np.uint8))
