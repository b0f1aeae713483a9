"""By which certificates the keeper of a lock is known, and this machine to it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from update_agent.lock.errors import LockCertificateError


@dataclass(frozen=True)
class Tls:
    """Files (PEM). Without ``ca`` the system's authorities hold; without ``certificate`` this machine shows none."""

    ca: str = ""
    certificate: str = ""
    key: str = ""

    def context(self) -> ssl.SSLContext:
        """Raises LockCertificateError. An authority alone suffices."""
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
        except OSError as error:  # ssl.SSLError is one
            raise LockCertificateError(self.ca, f"no certificates can be read from it: {_reason(error)}") from error
        if self.key and not self.certificate:
            raise LockCertificateError(self.key, "it is a key without a certificate; set locksmith.etcd-certfile, too")
        if self.certificate:
            try:
                context.load_cert_chain(self.certificate, self.key or None)
            except OSError as error:
                files = " and ".join(filter(None, [self.certificate, self.key]))
                raise LockCertificateError(files, f"no certificate with its key: {_reason(error)}") from error
        return context


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
