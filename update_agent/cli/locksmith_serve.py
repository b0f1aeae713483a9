"""``locksmithctl serve-fleetlock``."""

from __future__ import annotations

from typing import Any

import click

from bootselect.click_support import say
from update_agent.cli.locksmith_flags import Flags, client, flag, settings_of_agent
from update_agent.lock.errors import LockCertificateError


@click.command("serve-fleetlock")
@flag("listen", "Address and port.", default="127.0.0.1:3333", show_default=True, metavar="ADDRESS:PORT")
@flag("tls-certfile", "The certificate of the server; without it there is no TLS.", type=click.Path(dir_okay=False))
@flag("tls-keyfile", "Its key.", type=click.Path(dir_okay=False))
@flag(
    "fleet-group",
    "A group of the protocol, and the group of the lock that it is; repeatable. By default 'default' is the group of this command.",
    multiple=True,
    metavar="NAME=GROUP",
)
@flag("kinds", "Whose kinds of errors are sent.", type=click.Choice(["airlock", "poseidon"]), default="airlock")
@click.pass_obj
def serve_fleetlock(
    flags: Flags,
    listen: str,
    tls_certfile: str | None,
    tls_keyfile: str | None,
    fleet_group: tuple[str, ...],
    kinds: str,
) -> None:
    """Serve the FleetLock protocol, so that Zincati's machines share the lock with ours; /metrics has it for Prometheus."""
    from update_agent.lock.serving import FleetLockServer, Service

    address, _, port = listen.rpartition(":")
    if not address or not port.isdecimal() or int(port) > 65535:
        raise click.BadParameter(f"{listen!r}; expected ADDRESS:PORT", param_hint="-listen")
    settings = flags.over(settings_of_agent())
    pairs = {name: group for name, _, group in (word.partition("=") for word in fleet_group)}
    with client(flags, "Error serving") as etcd:
        service = Service(etcd, pairs or {"default": settings.lock_group}, kinds)
        context = _server_context(tls_certfile, tls_keyfile)
        with FleetLockServer(
            (address.strip("[]"), int(port)), service, context, lambda line: say(line, err=True)
        ) as server:
            say(f"listening on {listen} for {', '.join(pairs or ['default'])}", err=True)
            server.serve_forever()


def _server_context(certificate: str | None, key: str | None) -> Any:  # noqa: ANN401  (ssl.SSLContext, which is not loaded without need)
    if certificate is None:
        return None
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise LockCertificateError(certificate, f"no certificate with its key: {error.strerror or error}") from error
    return context
