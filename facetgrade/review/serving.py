"""What `facetgrade review serve` was asked, for the web application."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from facetgrade.errors import ConfigError
from facetgrade.review.people import Origin


@dataclass(frozen=True, kw_only=True, slots=True)
class ServeOptions:
    """How the web application runs.

    Attributes
    ----------
    out : Path
        Reviewed folder; `StudyRef.folder` counts from it.
    images : tuple of Path
        Where the images are now, if not where they were graded.
    host, port
        Address to listen on; port 0 takes a free one.
    tls_certificate, tls_key : Path or None
        Certificate and key for an address beyond this machine.
    trusted_proxy : str
        Address of a proxy that ends TLS, empty without.
    software : str
        Version of facetgrade.
    models : mapping of str to str
        SHA-256 of the models that graded the studies.
    """

    out: Path
    images: tuple[Path, ...]
    host: str
    port: int
    tls_certificate: Path | None
    tls_key: Path | None
    trusted_proxy: str
    software: str
    models: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_loopback(self) -> bool:
        """Only this machine can connect."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def needs_accounts(self) -> bool:
        """Others can connect, by themselves or through a proxy."""
        return not self.is_loopback or bool(self.trusted_proxy)

    def origin(self, who: str, address: str = "") -> Origin:
        """Return where an action comes from."""
        return Origin(
            who=who, address=address, software=self.software, models=self.models
        )

    def check(self) -> None:
        """Refuse to listen beyond this machine without encryption.

        Raises
        ------
        ConfigError
            If neither certificate and key nor a trusted proxy are given.
        """
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ConfigError("give --tls-certificate and --tls-key together")
        if not self.is_loopback and not (self.tls_certificate or self.trusted_proxy):
            raise ConfigError(
                f"--host {self.host} is reachable from other machines; give "
                "--tls-certificate and --tls-key, or --trusted-proxy"
            )
