# ruff: noqa: RUF009  (setting() makes a field of the class, and is called once for each)
"""Every setting of the agent: its name, kind, default, the names that CoreOS has for it, and what it does, in one table.

Files, environment, ``updatectl config`` and docs/update-settings.md know a setting by being here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from update_agent.config import kinds
from update_agent.config.kinds import DISABLED
from update_agent.config.periods import parse_length, parse_start

if TYPE_CHECKING:
    from collections.abc import Mapping

    from update_agent.config.kinds import Kind, T

ENVIRONMENT = "SLOTBOOT_"
STRATEGIES = ("best-effort", "etcd-lock", "fleet-lock", "reboot", "off")
_WORD = kinds.text(r"[A-Za-z0-9._-]{1,64}", "1 to 64 letters, digits, '.', '_' and '-'")
_TEXT = kinds.text(r".*", "a text on one line")


@dataclass(frozen=True)
class Row:
    """One setting: ``key`` in our files is SECTION.NAME, ``conf`` are its names in update.conf, ``cloud`` is that in a cloud-config.

    A ``secret`` is never shown.
    """

    key: str
    kind: Kind[Any]
    default: Any
    about: str
    conf: tuple[str, ...]
    cloud: str
    secret: bool

    @property
    def environment(self) -> str:
        """The variable of the environment."""
        return ENVIRONMENT + self.key.upper().replace(".", "_").replace("-", "_")


def setting(
    key: str,
    kind: Kind[T],
    default: T,
    about: str,
    *,
    conf: tuple[str, ...] = (),
    cloud: str = "",
    secret: bool = False,
) -> T:
    """A field of ``Settings``, with its row."""
    row = Row(key, kind, default, about, conf, cloud, secret)
    field: T = dataclasses.field(default=default, metadata={"row": row})
    return field


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings as they hold. Rates are bytes a second (0: no limit), sizes bytes; an empty text is no address, path or name."""

    group: str = setting(
        "update.group",
        _WORD,
        "stable",
        "The channel: `stable`, `beta`, `alpha`, or one of your own. Not the group of the lock.",
        conf=("GROUP",),
        cloud="coreos.update.group",
    )
    server: str = setting(
        "update.server",
        kinds.url(DISABLED),
        "",
        f"`{DISABLED}` stops all updates. The address of an Omaha server: it says which of the releases of the repository this machine may take now, in place of their waves ([updates.md](updates.md#a-server-says-who-takes-what)).",
        conf=("SERVER",),
        cloud="coreos.update.server",
    )
    app_id: str = setting(
        "update.app-id",
        kinds.text(r"[A-Za-z0-9{}._-]{1,80}", "1 to 80 letters, digits, '{', '}', '.', '_' and '-'"),
        "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}",
        "What the Omaha server knows this system as; by default that of CoreOS and Flatcar.",
    )
    machine_alias: str = setting(
        "update.machine-alias", _TEXT, "", "A name for people, which the Omaha server is told.", conf=("MACHINE_ALIAS",)
    )
    repository: str = setting(
        "update.repository",
        kinds.url(folders=True),
        "",
        "Where updates are published: the address or the path of the folder.",
    )
    name: str = setting(
        "update.name",
        kinds.text(r"([A-Za-z0-9][A-Za-z0-9.-]{0,63})?", "letters, digits, '.' and '-', a letter or digit first"),
        "",
        "The name that releases for this machine have; by default `IMAGE_ID` of its os-release, else `ID`.",
    )
    root: str = setting(
        "update.root",
        kinds.path(),
        "/usr/share/slotboot/root.json",
        "The root of trust that the image was built with: `metadata/1.root.json` of the repository, or a later one.",
    )
    tries: int = setting(
        "update.tries",
        kinds.whole_number(1, 15),
        3,
        "Boots that a new version has to prove itself in before it is rolled back.",
    )
    first_check: timedelta = setting(
        "check.first", kinds.duration("0s", "7d"), timedelta(minutes=7), "From the boot to the first check."
    )
    check_interval: timedelta = setting(
        "check.interval", kinds.duration("1m", "30d"), timedelta(minutes=45), "From one check to the next."
    )
    check_jitter: timedelta = setting(
        "check.jitter",
        kinds.duration("0s", "30d"),
        timedelta(minutes=10),
        "Each interval is longer or shorter by up to this much, at random, so that a fleet does not come all at once.",
    )
    proxy: str = setting(
        "network.proxy",
        kinds.url(schemes=("http",)),
        "",
        "The proxy for everything that is fetched. Without it those of the environment: `http_proxy`, `https_proxy`, `no_proxy`.",
    )
    ca_file: str = setting(
        "network.ca-file", kinds.path(empty=True), "", "Certificates (PEM) to trust in place of the system's."
    )
    rate_limit: int = setting(
        "network.rate-limit", kinds.rate("4kB/s", unlimited=True), 0, "At most so much is fetched; `off` for no limit."
    )
    minimum_rate: int = setting(
        "network.minimum-rate",
        kinds.rate("1B/s"),
        1000,
        "A source that is slower than this is given up and asked again.",
    )
    minimum_rate_time: timedelta = setting(
        "network.minimum-rate-time", kinds.duration("1s", "1h"), timedelta(minutes=1), "How long it has to be slower."
    )
    connect_deadline: timedelta = setting(
        "network.connect-deadline",
        kinds.duration("1s", "1h"),
        timedelta(seconds=30),
        "For a connection, until the answer begins.",
    )
    metadata_deadline: timedelta = setting(
        "network.metadata-deadline",
        kinds.duration("1s", "1d"),
        timedelta(minutes=10),
        "For all signed metadata of a check.",
    )
    payload_deadline: timedelta = setting(
        "network.payload-deadline",
        kinds.duration("1m", "30d"),
        timedelta(days=1),
        "For the bytes of an update. What was fetched until then is kept.",
    )
    retries: int = setting(
        "network.retries", kinds.whole_number(0, 1000), 10, "How often a request that failed is made again."
    )
    state_folder: str = setting(
        "state.folder", kinds.path(), "/var/lib/slotboot", "Where the state and the history are."
    )
    history_size: int = setting(
        "state.history-size", kinds.size("16KiB", "1GiB"), 1 << 20, "The history is at most so large."
    )
    run_folder: str = setting(
        "run.folder", kinds.path(), "/run/slotboot", "Where the agent keeps what a reboot may forget."
    )
    metrics_file: str = setting(
        "metrics.file",
        kinds.path(empty=True),
        "/run/slotboot/metrics.prom",
        "Where the numbers for Prometheus are written; empty for nowhere.",
    )
    reboot_strategy: str = setting(
        "reboot.strategy",
        kinds.choice(*STRATEGIES),
        "best-effort",
        "When the machine may reboot into the new version.",
        conf=("REBOOT_STRATEGY",),
        cloud="coreos.update.reboot-strategy",
    )
    reboot_warning: timedelta = setting(
        "reboot.warning",
        kinds.duration("0s", "1d"),
        timedelta(minutes=5),
        "How long before the reboot the terminals of those who are logged in are told. Where nobody is, there is no wait.",
    )
    inhibit_time: timedelta = setting(
        "reboot.inhibit-time",
        kinds.duration("0s", "30d"),
        timedelta(hours=1),
        "How long programs may put the reboot off by an inhibitor of logind (`systemd-inhibit --what=shutdown`).",
    )
    drain_timeout: timedelta = setting(
        "reboot.drain-timeout",
        kinds.duration("1s", "1d"),
        timedelta(minutes=10),
        "How long all of `pre-reboot.d` may take, and all of `post-good.d`.",
    )
    lock_endpoint: str = setting(
        "locksmith.endpoint",
        kinds.addresses(),
        "",
        "Endpoints of etcd, separated by commas.",
        conf=("LOCKSMITHD_ENDPOINT",),
        cloud="coreos.locksmith.endpoint",
    )
    lock_group: str = setting(
        "locksmith.group",
        _TEXT,
        "",
        "The group of the lock: machines that reboot one after the other.",
        conf=("LOCKSMITHD_GROUP",),
        cloud="coreos.locksmith.group",
    )
    lock_ca_file: str = setting(
        "locksmith.etcd-cafile",
        kinds.path(empty=True),
        "",
        "Certificates that etcd is known by.",
        conf=("LOCKSMITHD_ETCD_CAFILE",),
        cloud="coreos.locksmith.etcd_cafile",
    )
    lock_certificate: str = setting(
        "locksmith.etcd-certfile",
        kinds.path(empty=True),
        "",
        "The certificate for etcd.",
        conf=("LOCKSMITHD_ETCD_CERTFILE",),
        cloud="coreos.locksmith.etcd_certfile",
    )
    lock_key: str = setting(
        "locksmith.etcd-keyfile",
        kinds.path(empty=True),
        "",
        "Its key.",
        conf=("LOCKSMITHD_ETCD_KEYFILE",),
        cloud="coreos.locksmith.etcd_keyfile",
    )
    lock_user: str = setting(
        "locksmith.etcd-username",
        _TEXT,
        "",
        "The user of etcd.",
        conf=("LOCKSMITHD_ETCD_USERNAME",),
        cloud="coreos.locksmith.etcd_username",
    )
    lock_password: str = setting(
        "locksmith.etcd-password",
        _TEXT,
        "",
        "The password of that user; it is never shown.",
        conf=("LOCKSMITHD_ETCD_PASSWORD",),
        cloud="coreos.locksmith.etcd_password",
        secret=True,
    )
    lock_expiry: timedelta = setting(
        "locksmith.expiry",
        kinds.duration("0s", "30d"),
        timedelta(0),
        "A machine that took the lock loses it after so long, even if it is only slow; `0s` for never. Longer than any reboot with its proof.",
    )
    window_start: str = setting(
        "locksmith.window-start",
        kinds.checked(parse_start, 'a time as "14:00", or with a day as "Thu 23:00"'),
        "",
        'When the window for reboots opens: `"14:00"`, `"Thu 23:00"`.',
        conf=("LOCKSMITHD_REBOOT_WINDOW_START", "REBOOT_WINDOW_START"),
        cloud="coreos.locksmith.window_start",
    )
    window_length: str = setting(
        "locksmith.window-length",
        kinds.checked(parse_length, 'a duration of Go, as "1h30m"'),
        "",
        'How long it is open: `"1h30m"`. Less than 24 hours, or than 7 days where it opens on one day of the week.',
        conf=("LOCKSMITHD_REBOOT_WINDOW_LENGTH", "REBOOT_WINDOW_LENGTH"),
        cloud="coreos.locksmith.window_length",
    )
    fleet_lock_url: str = setting(
        "fleet-lock.url", kinds.url(), "", "The address of a FleetLock server, for the strategy `fleet-lock`."
    )
    fleet_lock_group: str = setting(
        "fleet-lock.group",
        kinds.text(r"[A-Za-z0-9.-]{1,64}", "1 to 64 letters, digits, '.' and '-'"),
        "default",
        "The group that it is asked for.",
    )

    @property
    def enabled(self) -> bool:
        """Whether updates are looked for at all: not where the server is ``disabled``."""
        return self.server != DISABLED

    @property
    def selected(self) -> bool:
        """Whether an Omaha server says which release is taken."""
        return self.server not in ("", DISABLED)


ROWS: Mapping[str, Row] = {field.metadata["row"].key: field.metadata["row"] for field in dataclasses.fields(Settings)}
"""Key -> row, in the order of the table."""
FIELDS: Mapping[str, str] = {field.metadata["row"].key: field.name for field in dataclasses.fields(Settings)}
"""Key -> field of ``Settings``."""
