"""Debian's etcd on loopback: one member or three, which tests kill, freeze and thaw."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.update_agent.lock.network import Door, Network
from update_agent.lock.etcd import Access, Etcd

if TYPE_CHECKING:
    from collections.abc import Iterator

MEMORY = Path("/dev", "shm")
STARTED = 60.0
"""Seconds in which a cluster has to be there."""


def free_ports(number: int) -> list[int]:
    """Ports that nobody listens on now."""
    sockets = [socket.socket() for _ in range(number)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@dataclass(frozen=True)
class Ports:
    """Those of a member: for clients, for peers, and the one that peers are told; the ``door`` is for clients whose way may be cut."""

    client: int
    peer: int
    told: int
    door: int


class Member:
    """One etcd."""

    def __init__(self, folder: Path, name: str, ports: Ports, initial: str, options: tuple[str, ...]) -> None:
        self.name, self.folder, self._options = name, folder / name, options
        scheme = "https" if "--cert-file" in options else "http"
        self.endpoint = f"{scheme}://127.0.0.1:{ports.client}"
        self._peer, self._told = f"http://127.0.0.1:{ports.peer}", f"http://127.0.0.1:{ports.told}"
        self._initial = initial
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        # It ends with the tests, however these do.
        argv = [
            "setpriv",
            "--pdeathsig",
            "KILL",
            "etcd",
            "--name",
            self.name,
            "--data-dir",
            str(self.folder),
            "--log-level",
            "error",
        ]
        argv += ["--listen-client-urls", self.endpoint, "--advertise-client-urls", self.endpoint]
        argv += ["--listen-peer-urls", self._peer, "--initial-advertise-peer-urls", self._told]
        argv += ["--initial-cluster", self._initial, "--initial-cluster-state", "new"]
        argv += ["--heartbeat-interval", "50", "--election-timeout", "500", *self._options]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(argv, stdout=log, stderr=log)

    def send(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def freeze(self) -> None:
        self.send(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def dead(self) -> bool:
        return self._process is None

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")[-3000:]


class Cluster:
    """Members that know each other."""

    def __init__(self, folder: Path, number: int, options: tuple[str, ...] = (), *, cuttable: bool = False) -> None:
        ports = [_ports(some, cuttable=cuttable) for some in _fours(free_ports(4 * number))]
        names = [f"m{index}" for index in range(number)]
        initial = ",".join(f"{name}=http://127.0.0.1:{one.told}" for name, one in zip(names, ports, strict=True))
        doors = [Door(one.told, one.peer, name) for name, one in zip(names, ports, strict=True)]
        doors += [Door(one.door, one.client, name) for name, one in zip(names, ports, strict=True)]
        self.network = Network(doors) if cuttable else None
        self.faces = tuple(f"http://127.0.0.1:{one.door}" for one in ports)
        """Endpoints for clients whose ways may be cut."""
        self.members = [Member(folder, name, one, initial, options) for name, one in zip(names, ports, strict=True)]
        for member in self.members:
            member.start()

    @property
    def endpoints(self) -> tuple[str, ...]:
        return tuple(member.endpoint for member in self.members)

    def client(self, **options: float) -> Etcd:
        return Etcd(Access(self.endpoints), **options)  # type: ignore[arg-type]

    def etcdctl(self, *words: str, timeout: float = 60) -> str:
        argv = ["etcdctl", "--endpoints", ",".join(self.endpoints), *words]
        environment = {"PATH": os.environ["PATH"], "ETCDCTL_API": "3"}
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, timeout=timeout, check=False)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def watcher(self, prefix: str, revision: int, output: Path) -> subprocess.Popen[bytes]:
        """etcd's own history of these keys from a revision on, into a file; etcdctl ends where its member loses the others."""
        argv = ["setpriv", "--pdeathsig", "KILL", "etcdctl", "--endpoints", ",".join(self.endpoints)]
        argv += ["watch", "--prefix", prefix, f"--rev={revision}", "-w", "json"]
        with output.open("wb") as file:
            return subprocess.Popen(
                argv, stdout=file, stderr=subprocess.DEVNULL, env={**os.environ, "ETCDCTL_API": "3"}
            )

    def leader(self) -> Member:
        told = json.loads(self.etcdctl("endpoint", "status", "-w", "json"))
        for one in told:
            if one["Status"]["leader"] == one["Status"]["header"]["member_id"]:
                return next(member for member in self.members if member.endpoint == one["Endpoint"])
        raise AssertionError(f"no leader: {told}")

    def wait(self, *options: str) -> None:
        end = time.monotonic() + STARTED
        argv = ["etcdctl", "--endpoints", ",".join(self.endpoints), *options, "endpoint", "health"]
        environment = {"PATH": os.environ["PATH"], "ETCDCTL_API": "3"}
        while True:
            done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
            if done.returncode == 0:
                return
            assert time.monotonic() < end, f"{done.stderr}\n{self.members[0].log}"
            time.sleep(0.1)

    def close(self) -> None:
        for member in self.members:
            with suppress(AssertionError, OSError):
                member.thaw()
            member.kill()
        if self.network is not None:
            self.network.close()

    def name_peers(self) -> None:
        """Tell the network what the members call themselves."""
        assert self.network is not None
        told = json.loads(self.etcdctl("member", "list", "-w", "json"))["members"]
        self.network.name({f"{one['ID']:x}": one["name"] for one in told})


def _fours(some: list[int]) -> list[list[int]]:
    return [some[index : index + 4] for index in range(0, len(some), 4)]


def _ports(some: list[int], *, cuttable: bool) -> Ports:
    client, peer, told, door = some
    return Ports(client, peer, told if cuttable else peer, door)


@contextmanager
def running(number: int, *options: str, health: tuple[str, ...] = (), cuttable: bool = False) -> Iterator[Cluster]:
    """A cluster of its own, with its data in memory where there is any."""
    folder = Path(tempfile.mkdtemp(prefix="slotboot-etcd-", dir=MEMORY if MEMORY.is_dir() else None))
    cluster = Cluster(folder, number, options, cuttable=cuttable)
    try:
        cluster.wait(*health)
        if cuttable:
            cluster.name_peers()
        yield cluster
    finally:
        cluster.close()
        shutil.rmtree(folder, ignore_errors=True)
