"""Settings of archives and transfers: configs/pacs.toml and the user's own file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from facetgrade.config_files import check_settings, merge, read_toml, shipped_path
from facetgrade.errors import ConfigError

NO_CREDENTIALS = "none"
KEYRING = "keyring"
SHIPPED = "configs/pacs.toml"
_PATHS = ("ca_file", "cert_file", "key_file")

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[^\\\s]+$")]
Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]


class _Section(BaseModel):
    """Frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class TlsSettings(_Section):
    """Certificates in PEM; an empty name stands for none.

    Attributes
    ----------
    ca_file : str
        Authorities that the other side's certificate must come from.
    cert_file, key_file : str
        Own certificate and its key.
    """

    ca_file: str
    cert_file: str
    key_file: str

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if bool(self.cert_file) != bool(self.key_file):
            raise ValueError("cert_file and key_file belong together")
        return self


class _Node(_Section, ABC):
    """What every node has.

    Attributes
    ----------
    credentials : str
        ``none``, ``keyring``, or a credentials file that only its owner can read.
    user : str
        User name in the keyring.
    tls : TlsSettings or None
        Left out where the protocol's usual way is wanted.
    """

    credentials: str
    user: str = ""
    tls: TlsSettings | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.credentials == KEYRING and not self.user:
            raise ValueError("credentials from a keyring need the key user")
        if self.credentials != NO_CREDENTIALS and not (
            self.encrypted or is_loopback(self.address)
        ):
            raise ValueError("credentials are sent over TLS only")
        return self

    @property
    def encrypted(self) -> bool:
        """Tell whether nobody on the way can read along."""
        return self.tls is not None

    @property
    @abstractmethod
    def address(self) -> str:
        """Name or address of the machine."""


class DicomwebNode(_Node):
    """An archive that speaks QIDO-RS, WADO-RS and STOW-RS.

    Attributes
    ----------
    url : str
        Root of the service, without user, password or query.
    identifiers_in_url : bool
        Search by accession number and PatientID at the server. The standard knows no
        other place for them than the URL, which servers log; otherwise the studies
        that fit all else are listed and compared here.
    """

    protocol: Literal["dicomweb"]
    url: str
    identifiers_in_url: bool

    @field_validator("url")
    @classmethod
    def _bare(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must start with https:// or http://")
        if "@" in parts.netloc or parts.query:
            raise ValueError("must not hold user, password or query")
        return url.rstrip("/")

    @property
    def encrypted(self) -> bool:
        """Tell whether nobody on the way can read along."""
        return self.url.startswith("https://")

    @property
    def address(self) -> str:
        """Name or address of the machine."""
        return urlsplit(self.url).hostname or ""


class DimseNode(_Node):
    """An archive that speaks C-FIND, C-GET or C-MOVE, and C-STORE.

    Attributes
    ----------
    host, port, ae_title
        Whom to call.
    retrieve : str
        ``get`` brings images over the connection that asks for them; ``move`` makes
        the archive call us, which it must be configured for.
    """

    protocol: Literal["dimse"]
    host: str
    port: Port
    ae_title: AeTitle
    retrieve: Literal["get", "move"]

    @property
    def address(self) -> str:
        """Name or address of the machine."""
        return self.host


Node = Annotated[DicomwebNode | DimseNode, Field(discriminator="protocol")]


class LocalSettings(_Section):
    """How other machines see facetgrade.

    Attributes
    ----------
    ae_title, host, port
        Where C-MOVE and ``facetgrade listen`` receive.
    callers : tuple of str
        AE titles that may send; empty allows any, on this machine only.
    max_associations : int
        Connections at the same time.
    tls : TlsSettings or None
        With ``ca_file`` a caller must show a certificate.
    """

    ae_title: AeTitle
    host: str
    port: Port
    callers: tuple[AeTitle, ...]
    max_associations: Annotated[int, Field(ge=1)]
    tls: TlsSettings | None = None

    @model_validator(mode="after")
    def _guarded(self) -> Self:
        known = self.callers or (self.tls and self.tls.ca_file)
        if not (is_loopback(self.host) or known):
            raise ValueError(
                "beyond this machine, name the callers or give tls.ca_file"
            )
        if self.tls and not self.tls.cert_file:
            raise ValueError("tls needs cert_file and key_file to receive")
        return self


class RetrySettings(_Section):
    """How long to try.

    Attributes
    ----------
    attempts : int
        Failures in a row after which a study is left for another run.
    first_wait_s, longest_wait_s : float
        The wait doubles from the first to the longest, with a random part.
    give_up_after_studies : int
        Studies lost in a row after which the archive counts as down.
    """

    attempts: Annotated[int, Field(ge=1)]
    first_wait_s: Annotated[float, Field(ge=0)]
    longest_wait_s: Annotated[float, Field(ge=0)]
    give_up_after_studies: Annotated[int, Field(ge=1)]


class TimeoutSettings(_Section):
    """When the other side counts as gone."""

    connect_s: Seconds
    answer_s: Seconds


class PullSettings(_Section):
    """What is fetched.

    Attributes
    ----------
    modalities : tuple of str
        Modalities of series unless the command names others.
    page_size : int
        Studies per answer of a DICOMweb search.
    """

    modalities: tuple[str, ...]
    page_size: Annotated[int, Field(ge=1)]


class ListenSettings(_Section):
    """When received studies are graded and where results go.

    Attributes
    ----------
    quiet_s : float
        A study has arrived when nothing came for so long.
    broken_s : float
        The same where the connection broke off: the sender may come back so long.
    attempts : int
        How often a study that cannot be graded is tried before the next start.
    resend_s : float
        What failed, also to be sent, is tried again after so long.
    destination : str
        Node for SEG and SR; empty sends nothing.
    """

    quiet_s: Seconds
    broken_s: Seconds
    attempts: Annotated[int, Field(ge=1)]
    resend_s: Seconds
    destination: str


class PacsSettings(_Section):
    """All of configs/pacs.toml."""

    local: LocalSettings
    retry: RetrySettings
    timeouts: TimeoutSettings
    pull: PullSettings
    listen: ListenSettings
    nodes: dict[str, Node]

    def node(self, name: str) -> DicomwebNode | DimseNode:
        """Return a node by its name.

        Raises
        ------
        ConfigError
            If there is none of this name.
        """
        if name not in self.nodes:
            known = ", ".join(sorted(self.nodes)) or "none"
            raise ConfigError(f"no archive is called {name}; known are {known}")
        return self.nodes[name]


def read_pacs(path: Path) -> PacsSettings:
    """Read the user's archives; what the file leaves out is as shipped.

    Names of certificate and credentials files are relative to the file.

    Raises
    ------
    ConfigError
        If the file is missing, or a key is unknown, missing or impossible.
    """
    own = read_toml(path)
    values = merge({**read_toml(shipped_path(SHIPPED)), "nodes": {}}, own)
    folder = path.resolve().parent
    nodes = values["nodes"]
    sections = [values["local"], *(nodes.values() if isinstance(nodes, dict) else ())]
    for section in sections:
        if isinstance(section, dict):
            _resolve(section, folder)
    return check_settings(values, PacsSettings, path)


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _resolve(section: dict[str, Any], folder: Path) -> None:
    """Make the names of files absolute."""
    named = section.get("credentials")
    if isinstance(named, str) and named not in (NO_CREDENTIALS, KEYRING):
        section["credentials"] = str(folder / Path(named).expanduser())
    tls = section.get("tls")
    for key in _PATHS:
        if isinstance(tls, dict) and isinstance(tls.get(key), str) and tls[key]:
            tls[key] = str(folder / Path(tls[key]).expanduser())
