"""Kernel modules are found with what they need, in the order in which a kernel can load them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from image_builder.distribution.kernel import (
    Kernel,
    given_kernel,
    kernel_in,
    kernel_of_system,
    read_module,
    target_kernel,
)
from image_builder.distribution.packages import Package
from image_builder.errors import KernelModuleError, PackageContentError

if TYPE_CHECKING:
    from pathlib import Path

    from image_builder.distribution.packages import TargetPackages


@pytest.fixture(scope="module")
def kernel(target: TargetPackages) -> Kernel:
    return target_kernel(target)


@pytest.fixture
def package(tmp_path: Path) -> Package:
    """A kernel package whose modules are ELF files made by objcopy."""
    root = tmp_path / "root"
    modules = root / "lib/modules/6.1.0-test"
    (modules / "kernel").mkdir(parents=True)
    (root / "boot").mkdir()
    (root / "boot/vmlinuz-6.1.0-test").touch()
    (modules / "modules.builtin").write_text("kernel/fs/ext4/ext4.ko\nkernel/crypto/crc32c_generic.ko\n")
    (modules / "modules.builtin.modinfo").write_bytes(b"ext4.license=GPL\0crc32c_generic.alias=crc32c\0")
    return Package("linux-image", "linux-image_6.1_amd64", root)


def add_module(package: Package, name: str, *modinfo: str) -> Path:
    folder = package.root / "lib/modules/6.1.0-test/kernel"
    strings = folder.parent / "strings"
    strings.write_bytes(b"".join(f"{line}\0".encode() for line in modinfo))
    file = folder / f"{name}.ko"
    command = ["objcopy", "-I", "binary", "-O", "elf64-x86-64", "--rename-section", ".data=.modinfo"]
    subprocess.run([*command, str(strings), str(file)], check=True)
    return file


def names(files: list[Path]) -> list[str]:
    return [file.stem for file in files]


def modinfo_by_objcopy(file: Path, key: str) -> str:
    command = ["objcopy", "-O", "binary", "--only-section=.modinfo", str(file), "/dev/stdout"]
    strings = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return next((text.partition("=")[2] for text in strings if text.startswith(f"{key}=")), "")


def test_the_real_kernel_s_modules_come_after_what_they_depend_on(kernel: Kernel) -> None:
    files = kernel.module_files(["virtio_pci", "virtio_blk", "erofs", "virtio_console", "virtio_net", "dm-verity"])
    loaded: list[str] = []
    for file in files:
        needed = [name.replace("-", "_") for name in modinfo_by_objcopy(file, "depends").split(",") if name]
        assert set(needed) <= set(loaded), file
        loaded.append(file.stem.replace("-", "_"))
    assert {"virtio", "virtio_ring", "libcrc32c", "dm_bufio"} <= set(loaded)


def test_what_is_built_into_the_real_kernel_needs_no_file(kernel: Kernel) -> None:
    assert kernel.module_files(["nvme", "ext4"]) == []


def test_the_real_kernel_is_a_bzimage_of_the_named_release(kernel: Kernel) -> None:
    data = kernel.image.read_bytes()
    # Documentation/x86/boot.rst: "HdrS" at 0x202, the offset of the version string less 0x200 at 0x20e.
    assert data[0x202:0x206] == b"HdrS"
    begin = int.from_bytes(data[0x20E:0x210], "little") + 0x200
    assert data[begin:].startswith(kernel.release.encode() + b" ")


def test_dependencies_of_dependencies_come_first_and_each_only_once(package: Package) -> None:
    add_module(package, "top", "depends=middle,base", "name=top")
    add_module(package, "middle", "depends=base")
    add_module(package, "base", "depends=")
    assert names(kernel_in(package).module_files(["top", "base"])) == ["base", "middle", "top"]


def test_a_soft_dependency_that_comes_before_is_taken_along(package: Package) -> None:
    add_module(package, "lib", "softdep=pre: crc32c fast post: later", "depends=")
    add_module(package, "fast", "depends=")
    assert names(kernel_in(package).module_files(["lib"])) == ["fast", "lib"]


def test_a_name_with_hyphens_and_one_with_underscores_are_the_same(package: Package) -> None:
    add_module(package, "dm-verity", "depends=dm-mod")
    add_module(package, "dm_mod", "depends=ext4")
    assert names(kernel_in(package).module_files(["dm_verity", "dm-verity"])) == ["dm_mod", "dm-verity"]


def test_a_module_that_does_not_exist_is_named(package: Package) -> None:
    with pytest.raises(KernelModuleError, match=r"kernel module erofz: not in the package of kernel 6.1.0-test"):
        kernel_in(package).module_files(["erofz"])


def test_a_missing_dependency_says_who_needs_it(package: Package) -> None:
    add_module(package, "erofs", "depends=libcrc32c")
    with pytest.raises(KernelModuleError, match=r"kernel module libcrc32c \(needed by erofs\)"):
        kernel_in(package).module_files(["erofs"])


def test_modules_that_need_each_other_do_not_hang_the_build(package: Package) -> None:
    add_module(package, "chicken", "depends=egg")
    add_module(package, "egg", "depends=chicken")
    with pytest.raises(PackageContentError, match=r"chicken.ko: .* each other"):
        kernel_in(package).module_files(["chicken"])


@pytest.mark.parametrize("length", [0, 3, 20, 70, -30])
def test_a_damaged_module_is_named(package: Package, length: int) -> None:
    file = add_module(package, "base", "depends=")
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(PackageContentError, match=r"base.ko: it is not a kernel module"):
        kernel_in(package).module_files(["base"])


def test_a_package_without_a_kernel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageContentError, match="boot: expected one vmlinuz-RELEASE, found 0"):
        kernel_in(Package("linux-image", "linux-image_1_amd64", tmp_path))


def test_a_package_without_modules_is_refused(package: Package) -> None:
    (package.root / "lib/modules/6.1.0-test/modules.builtin").unlink()
    with pytest.raises(PackageContentError, match="expected the kernel's modules here"):
        kernel_in(package)


@pytest.mark.parametrize("packer", ["gzip", "xz", "zstd"])
def test_packed_modules_go_into_an_image_unpacked_as_insmod_wants_them(package: Package, packer: str) -> None:
    file = add_module(package, "one", "depends=two")
    plain = file.read_bytes()
    add_module(package, "two", "license=GPL")
    subprocess.run([packer, "-q", "--force", str(file)], check=True)
    file.unlink(missing_ok=True)
    kernel = kernel_in(package)
    found = kernel.module_files(["one"])
    assert [kernel.place(path) for path in found] == [
        "lib/modules/6.1.0-test/kernel/two.ko",
        "lib/modules/6.1.0-test/kernel/one.ko",
    ]
    assert read_module(found[1]) == plain


def test_a_packed_module_that_is_damaged_is_told(package: Package) -> None:
    file = add_module(package, "one", "license=GPL").with_name("one.ko.xz")
    file.write_bytes(b"\xfd7zXZ\0and no more")
    with pytest.raises(PackageContentError, match=r"one\.ko\.xz: it cannot be unpacked"):
        read_module(file)


def test_the_kernel_of_a_system_is_found_in_boot_or_beside_its_modules(package: Package) -> None:
    add_module(package, "one", "license=GPL")
    kernel = kernel_of_system(package.root)
    assert (kernel.release, kernel.image) == ("6.1.0-test", package.root / "boot/vmlinuz-6.1.0-test")
    beside = kernel.image.rename(kernel.modules / "vmlinuz")
    assert kernel_of_system(package.root).image == beside
    assert names(kernel_of_system(package.root).module_files(["one"])) == ["one"]


def test_a_system_with_two_kernels_does_not_say_which_is_meant(package: Package) -> None:
    other = package.root / "lib/modules/6.2.0-test"
    other.mkdir()
    (other / "modules.builtin").touch()
    with pytest.raises(PackageContentError, match="expected the modules of one kernel, found 2"):
        kernel_of_system(package.root)


def test_a_kernel_of_the_user_is_another_whenever_its_modules_are(package: Package) -> None:
    image, modules = package.root / "boot/vmlinuz-6.1.0-test", package.root / "lib/modules/6.1.0-test"
    before = given_kernel(image, modules).identity
    assert given_kernel(image, modules).identity == before
    add_module(package, "new", "license=GPL")
    assert given_kernel(image, modules).identity != before
    (modules / "modules.builtin").unlink()
    with pytest.raises(PackageContentError, match=r"there is no modules\.builtin in it"):
        given_kernel(image, modules)
