"""The lock that the settings of a machine name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from update_agent.lock.etcd import Access, Etcd, endpoints_of
from update_agent.lock.fleetlock import FleetLock
from update_agent.lock.queue import EtcdLock
from update_agent.lock.tls import Tls

if TYPE_CHECKING:
    from update_agent.config.settings import Settings

LOCAL = "http://127.0.0.1:2379"
"""The endpoint where none is configured."""


def access_of(settings: Settings) -> Access:
    """How etcd is reached. Raises EndpointError."""
    tls = Tls(settings.lock_ca_file, settings.lock_certificate, settings.lock_key)
    endpoints = endpoints_of(settings.lock_endpoint) or (LOCAL,)
    return Access(endpoints, tls, settings.lock_user, settings.lock_password)


def etcd_lock(settings: Settings, machine: str) -> EtcdLock:
    """The lock of the strategy ``etcd-lock``. ``machine`` is the id of machine-id(5). Nothing is sent yet.

    Raises EndpointError, GroupError and LockCertificateError.
    """
    etcd = Etcd(access_of(settings))
    return EtcdLock(etcd, settings.lock_group, machine, expiry=settings.lock_expiry)


def fleet_lock(settings: Settings, machine: str) -> FleetLock:
    """The lock of the strategy ``fleet-lock``. Nothing is sent yet. Raises EndpointError and LockCertificateError."""
    return FleetLock(settings.fleet_lock_url, settings.fleet_lock_group, machine, tls=Tls(settings.ca_file))
