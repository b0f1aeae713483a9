"""The boot chain can have a kernel of the user's own: the one in a slot's system, or one that is given with its modules."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from image_builder.api import build_initrd
from image_builder.distribution.kernel import target_kernel
from tests.support import run_tool

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.distribution.kernel import Kernel
    from image_builder.distribution.packages import TargetPackages

DEFINITION = """
[image]
name = "own"

[boot]
kind = "uki"
{boot}

[slot.own]
kind = "{kind}"
source = "{source}"

[[partition]]
label = "EFI-SYSTEM"
type = "esp"
size = "64M"
content = "esp"

[[partition]]
label = "USR-A"
type = "coreos-usr"
size = "auto"
content = "slot.own"
"""
RELEASE = "9.9.9-own"


@pytest.fixture(scope="module")
def kernel(target: TargetPackages) -> Kernel:
    return target_kernel(target)


@pytest.fixture
def tree(tmp_path: Path, kernel: Kernel) -> Path:
    """A system with the distribution's modules under another release, packed, and a kernel that is none."""
    root = tmp_path / "tree"
    modules = root / "usr/lib/modules" / RELEASE
    modules.parent.mkdir(parents=True)
    subprocess.run(["cp", "-r", kernel.modules, modules], check=True)
    (root / "lib").symlink_to("usr/lib")
    (root / "boot").mkdir()
    (root / "boot" / f"vmlinuz-{RELEASE}").write_bytes(b"a kernel of ours")
    packed = [str(path) for name in ("erofs", "virtio_blk") for path in modules.rglob(f"{name}.ko")]
    subprocess.run(["xz", *packed], check=True)
    return root


def built(tmp_path: Path, boot: str, kind: str, source: str) -> tuple[bytes, list[str]]:
    """The kernel that is booted, and the modules in the initramfs."""
    (tmp_path / "own.toml").write_text(DEFINITION.format(boot=boot, kind=kind, source=source))
    chain = build_initrd(tmp_path / "own.toml", tmp_path / "out")
    archive = tmp_path / "initramfs.cpio"
    archive.write_bytes(subprocess.run(["lz4", "-dc", chain.initramfs], check=True, capture_output=True).stdout)
    names = run_tool("cpio", "--list", "--quiet", f"--file={archive}").splitlines()
    return chain.kernel.read_bytes(), [name for name in names if name.endswith(".ko")]


def in_the_initramfs(names: list[str], folder: str) -> None:
    assert all(name.startswith(f"lib/modules/{folder}/kernel/") for name in names)
    assert {"erofs.ko", "virtio_blk.ko"} <= {name.rpartition("/")[2] for name in names}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["tree", "tar"])
def test_the_kernel_of_the_slot_boots_it(tmp_path: Path, tree: Path, kind: str) -> None:
    source = "tree"
    if kind == "tar":
        source = "tree.tar"
        run_tool("tar", "-C", tree, "-cf", tmp_path / source, ".")
    image, modules = built(tmp_path, 'kernel = "slot.own"', kind, source)
    assert image == b"a kernel of ours"
    in_the_initramfs(modules, RELEASE)


def test_a_kernel_that_is_given_comes_with_its_modules(tmp_path: Path, tree: Path) -> None:
    boot = f'kernel = "tree/boot/vmlinuz-{RELEASE}"\nmodules = "tree/lib/modules/{RELEASE}"'
    image, modules = built(tmp_path, boot, "tree", "tree")
    assert tree.is_dir()
    assert image == b"a kernel of ours"
    in_the_initramfs(modules, RELEASE)


def test_without_a_word_it_is_the_distribution_s(tmp_path: Path, tree: Path, kernel: Kernel) -> None:
    image, modules = built(tmp_path, "", "tree", tree.name)
    assert image == kernel.image.read_bytes()
    in_the_initramfs(modules, kernel.release)
