"""``script/demo``: the story of an A/B disk, told with a time line while it happens."""

from __future__ import annotations

import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from image_builder.errors import BuildError
from image_builder.progress import progress_for
from qemu_tests.errors import LabError, OutputFolderError
from qemu_tests.harness.lab import Lab
from qemu_tests.harness.unpack import kernel_of
from qemu_tests.report.files import write_report
from qemu_tests.report.recorded import RecordedLab
from qemu_tests.report.recorder import Recorder
from qemu_tests.story import scenes
from qemu_tests.story import timeline as kinds
from qemu_tests.story.materials import GOOD, Materials, build_materials
from qemu_tests.story.reporting import report_to
from qemu_tests.story.stage import Stage
from qemu_tests.story.timeline import Timeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qemu_tests.harness.hardware import DirectKernel
    from qemu_tests.story.timeline import Moment

ROOT = Path(__file__).resolve().parents[2]
DEFINITION = ROOT / "examples" / "minimal.toml"
OUTPUT = Path("out/demo")
MADE = {"built", "kernel", "logs", "machines", "report.html", "report.json", "timeline.txt"}
"""What stands in the folder."""
REPORT = "report.html"
_STYLES = {
    kinds.SCENE: "bold",
    kinds.UP: "green",
    kinds.FAILED: "red",
    kinds.CUT: "red",
    kinds.DAMAGE: "red",
    kinds.DISK: "cyan",
}


@dataclass(frozen=True)
class Act:
    """One machine of the second half of the story. Each starts from a disk of its own."""

    name: str
    play: Callable[[Stage], None]


def _acts(materials: Materials, kernel: DirectKernel, *, everything: bool) -> list[Act]:
    media = materials.updates
    broken = scenes.BREAKAGES if everything else scenes.BREAKAGES[:1]
    return [
        *(
            Act(breakage.name, partial(scenes.broken_update, medium=media[breakage.name], breakage=breakage))
            for breakage in broken
        ),
        Act("power-cut", partial(scenes.cut_while_writing, medium=media["unhealthy"])),
        Act("damaged-gpt", partial(scenes.damaged_table, kernel=kernel)),
    ]


class Narrator:
    """Prints the moments: with colours on a terminal, as plain lines in a pipe, and into ``timeline.txt``."""

    def __init__(self, log: Path) -> None:
        self._log = log.open("w", encoding="utf-8")
        self._console = None
        if sys.stdout.isatty():
            from rich.console import Console

            self._console = Console(highlight=False, markup=False, soft_wrap=True)

    def tell(self, moment: Moment) -> None:
        """One line."""
        self._log.write(f"{moment}\n")
        self._log.flush()
        if self._console is not None:
            self._console.print(str(moment), style=_STYLES.get(moment.kind))
        else:
            sys.stdout.write(f"{moment}\n")
            sys.stdout.flush()


@click.command()
@click.option("--all", "everything", is_flag=True, help="All three ways in which an update can be broken.")
@click.option("--update", is_flag=True, help="In its place: a Debian that updates itself from a web server.")
@click.option(
    "--cluster", is_flag=True, help="In its place: four machines with etcd that update themselves one after the other."
)
@click.option("--output", type=click.Path(path_type=Path), default=OUTPUT, show_default=True, help="Folder, made anew.")
def main(output: Path, *, everything: bool, update: bool, cluster: bool) -> None:
    """Build an A/B disk image, boot it under UEFI, update it, break an update, cut the power, destroy a table.

    After every step Debian's cgpt and sgdisk and our own reader judge the disk and must agree.
    """
    if everything + update + cluster > 1:
        raise click.UsageError("--all, --update and --cluster are three stories; choose one")
    try:
        if update:
            play_update(output)
        elif cluster:
            play_cluster(output)
        else:
            play(output, everything=everything)
    except (BuildError, LabError) as error:
        sys.exit(f"demo: {error}")


def play(output: Path, *, everything: bool) -> None:
    """The whole story, in ``output``, which is made anew; the report is written however it ends.

    Raises OutputFolderError, BuildError and LabError.
    """
    began = time.monotonic()
    empty_folder(output)
    built = output / "built"
    click.echo(f"Building version 1 as a disk image, version 2 as an update, and broken updates, in {built}")
    materials = build_materials(DEFINITION, built, progress_for(sys.stdout))
    with _told(output, "The life of an A/B disk") as (lab, timeline):
        updated = _acts_of_all(lab, materials, timeline, everything=everything)
    _tell_where(output, materials.image, updated, time.monotonic() - began)


def play_update(output: Path) -> None:
    """The story of a machine that updates itself, in ``output``, as ``play``."""
    from qemu_tests.story.network import scenes as network
    from qemu_tests.story.network.pipeline import Pipeline
    from qemu_tests.story.network.system import agent_tarball
    from qemu_tests.story.network.web import Web

    began = time.monotonic()
    empty_folder(output)
    built = output / "built"
    click.echo("Making a Debian with systemd, a kernel and the agent; that takes some minutes, once")
    tarball = agent_tarball()
    (built / "repository").mkdir(parents=True)
    with Web(built / "repository") as web:
        click.echo(f"Building version 1.0 as a disk image, in {built}; the repository is {web.url} for the guest")
        pipeline = Pipeline(built.resolve(), web)
        image = pipeline.begin(tarball)
        with (
            _told(output, "A machine that updates itself") as (lab, timeline),
            lab.machine("network-update", image, hardware=network.HARDWARE) as machine,
        ):
            network.update_itself(Stage(machine, timeline), pipeline)
            updated = machine.disk.export(machine.folder / "updated.raw")
    _tell_where(output, image, updated, time.monotonic() - began)


def play_cluster(output: Path) -> None:
    """The story of four machines that take turns, in ``output``, as ``play``."""
    from qemu_tests.harness.network.network import Network
    from qemu_tests.story import cluster
    from qemu_tests.story.cluster.machines import ADDRESSES, NAMES, hardware
    from qemu_tests.story.cluster.system import cluster_tarball, recipe
    from qemu_tests.story.network.pipeline import Pipeline
    from qemu_tests.story.network.web import Web

    began = time.monotonic()
    empty_folder(output)
    built = output / "built"
    click.echo("Making a Debian with systemd, a kernel, etcd and the agent; that takes some minutes, once")
    tarball = cluster_tarball()
    (built / "repository").mkdir(parents=True)
    with Web(built / "repository") as web, Network() as network, ExitStack() as machines:
        click.echo(f"Building version 1 as a disk image, in {built}; the repository is {web.url} for the guests")
        pipeline = Pipeline(built.resolve(), web, recipe(ADDRESSES))
        image = pipeline.begin(tarball, "1")
        with _told(output, "A cluster that updates itself") as (lab, timeline):
            made = {
                name: machines.enter_context(lab.machine(name, image, hardware=hardware(network))) for name in NAMES
            }
            cluster.play({name: Stage(machine, timeline) for name, machine in made.items()}, pipeline)
            updated = made[NAMES[-1]].disk.export(made[NAMES[-1]].folder / "updated.raw")
    _tell_where(output, image, updated, time.monotonic() - began)


@contextmanager
def _told(output: Path, title: str) -> Iterator[tuple[Lab, Timeline]]:
    """A lab, and a time line that is told while it happens; the report is written however it ends."""
    lab = Lab.open(output / "machines", output / "logs")
    accelerator = f"{lab.accelerator.name}: {lab.accelerator.reason}"
    click.echo(f"\nBooting with {accelerator}")
    click.echo("P/T/S: priority, tries, successful, as cgpt, sgdisk and gptlib read them from the disk\n")
    narrator, recorder = Narrator(output / "timeline.txt"), Recorder(title, [f"booted with {accelerator}"])
    page = output / REPORT
    try:
        yield RecordedLab.over(lab, recorder), Timeline(_both(narrator.tell, report_to(recorder)))
    except BaseException:
        write_report(recorder.run(), page)
        click.echo(f"\nIt did not go as promised. The report: {page}")
        raise
    write_report(recorder.run(), page)


def _both(first: Callable[[Moment], None], second: Callable[[Moment], None]) -> Callable[[Moment], None]:
    def tell(moment: Moment) -> None:
        first(moment)
        second(moment)

    return tell


def _acts_of_all(lab: Lab, materials: Materials, timeline: Timeline, *, everything: bool) -> Path:
    """Play all; the disk that took the good update."""
    updated = _updated_disk(lab, materials, timeline)
    kernel = kernel_of(materials.image, lab.folder.parent / "kernel")
    with ThreadPoolExecutor(max_workers=2) as pool:
        running = [
            pool.submit(_play_act, lab, act, updated, timeline)
            for act in _acts(materials, kernel, everything=everything)
        ]
        for act in running:
            act.result()
    return updated


def empty_folder(output: Path) -> None:
    """Make the folder, or empty that of an earlier demo. Raises OutputFolderError for any other, which stays as it is."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        foreign = sorted({path.name for path in output.iterdir()} - MADE)
        if foreign:
            raise OutputFolderError(output, f"{foreign[0]} in it was not made by the demo")
        for path in output.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        raise OutputFolderError(output, str(error.strerror)) from error


def _updated_disk(lab: Lab, materials: Materials, timeline: Timeline) -> Path:
    with lab.machine("good-update", materials.image) as machine:
        stage = Stage(machine, timeline)
        scenes.first_boot(stage, materials.updates[GOOD])
        scenes.update(stage)
        return machine.disk.export(machine.folder / "updated.raw")


def _play_act(lab: Lab, act: Act, disk: Path, timeline: Timeline) -> None:
    with lab.machine(act.name, disk) as machine:
        act.play(Stage(machine, timeline))


def _tell_where(output: Path, image: Path, updated: Path, seconds: float) -> None:
    click.echo(f"\nEverything was as promised, after {seconds:.0f} s. In {output}:")
    click.echo(f"  the report, a picture    {output / REPORT}")
    click.echo(f"  the image as built       {image}")
    click.echo(f"  after the good update    {os.path.relpath(updated)}")
    click.echo(f"  the time line            {output / 'timeline.txt'}")
    for log in sorted((output / "logs").glob("*.console.log")):
        click.echo(f"  console log              {log}")
    click.echo("\nBoot the image by hand (leave with Ctrl-A X):")
    click.echo(f"  .venv/bin/bootlab boot --snapshot {image}")


if __name__ == "__main__":
    main()
