"""A private message bus for tests, with our policy, and the tools of others to speak on it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.documentation import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = ROOT / "update_agent/integration/dbus/com.coreos.update1.conf"
NAME, PATH, MANAGER = "com.coreos.update1", "/com/coreos/update1", "com.coreos.update1.Manager"
# That of Debian's system.conf: nobody owns a name, nobody calls a method, unless a service says so.
CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Introspectable"/>
  </policy>
  {policy}
</busconfig>
"""


class PrivateBus:
    """A dbus-daemon on a socket of its own; it can be ended, and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self.socket, self._config = folder / "bus", folder / "bus.conf"
        self._config.write_text(CONFIG.format(socket=self.socket, policy=f"<include>{POLICY}</include>"))
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"unix:path={self.socket}"

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": self.address, "LC_ALL": "C"}

    def start(self) -> None:
        argv = ["dbus-daemon", f"--config-file={self._config}", "--nofork", "--print-address=1", "--nopidfile"]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline().startswith(b"unix:path=")

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None
        self.socket.unlink(missing_ok=True)

    def run(self, *argv: str, user: str = "") -> subprocess.CompletedProcess[str]:
        """Run a tool that speaks to the system bus, as this user."""
        become = ["setpriv", f"--reuid={user}", "--clear-groups", "--inh-caps=-all"] if user else []
        return subprocess.run([*become, *argv], env=self.environment, capture_output=True, text=True, timeout=60)

    def busctl(self, member: str, user: str = "") -> subprocess.CompletedProcess[str]:
        return self.run("busctl", "--system", "call", NAME, PATH, MANAGER, member, user=user)


@contextmanager
def private_bus() -> Iterator[PrivateBus]:
    # Not pytest's folder, which others may not enter.
    with tempfile.TemporaryDirectory(prefix="slotboot-bus-") as folder:
        Path(folder).chmod(0o755)
        bus = PrivateBus(Path(folder))
        bus.start()
        try:
            yield bus
        finally:
            bus.end()
