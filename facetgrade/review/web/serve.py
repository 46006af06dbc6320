"""Serve the readers' pages until the program is stopped."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from facetgrade.compare.graded import ImageSearch
from facetgrade.compare.settings import CompareSettings
from facetgrade.config import read_config, read_shipped
from facetgrade.errors import ConfigError
from facetgrade.ingest import Privacy, user_key
from facetgrade.review.accounts import Accounts
from facetgrade.review.serving import ServeOptions
from facetgrade.review.store import Store
from facetgrade.review.web.app import STATIC, create_app
from facetgrade.review.web.desk import Desk
from facetgrade.review.web.entrance import Link, Links
from facetgrade.review.web.joint_images import JointImages
from facetgrade.review.web.preparing import prepare_behind, prepare_first

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

CACHE = Path("review") / "images"

_BACKLOG = 128
_SWITCH_S = 0.0005
_LOOPBACK_HOSTS = ["127.0.0.1", "localhost", "[::1]", "::1"]


def serve(
    store: Store,
    accounts: Accounts,
    options: ServeOptions,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve the pages of a review; returns when the program is asked to stop.

    On this machine alone, everybody of the charter gets a link that works once. Beyond
    it, everybody logs in with a password. The first images of everybody are prepared
    before, those that come later behind the scenes.

    Parameters
    ----------
    store : Store
        The review, begun.
    accounts : Accounts
        Its accounts.
    options : ServeOptions
        Address, certificate, folder.
    announce : callable or None
        Told the links, and how far the images are; None prints it.

    Raises
    ------
    ConfigError
        If the viewer is not installed, nobody has an account, or the address is taken.
    """
    import uvicorn

    announce = announce or _print
    check_viewer()
    if options.needs_accounts and not any(one.active for one in accounts.all()):
        raise ConfigError(
            f"{options.host} is reachable from other machines, so everybody needs a "
            "password; make accounts with `facetgrade review account`"
        )
    desk = open_desk(store, accounts, options)
    listening = reserve(options)
    prepare_first(desk, announce)
    # Links are printed before the server runs: who is quick waits a moment.
    listening.listen(_BACKLOG)
    root = f"{_scheme(options)}://{_shown_host(options)}:{listening.getsockname()[1]}"
    app = create_app(
        desk,
        links=_links(desk, options, root, announce),
        hosts=["*"] if options.needs_accounts else _LOOPBACK_HOSTS,
    )
    server = uvicorn.Server(_uvicorn_config(app, options))
    if options.needs_accounts:
        announce(f"{root}/login")
    # Requests wait this long for the thread that prepares images; 5 ms by default.
    sys.setswitchinterval(_SWITCH_S)
    preparing = prepare_behind(desk, lambda: server.should_exit, announce)
    try:
        server.run(sockets=[listening])
    finally:
        server.should_exit = True
        preparing.join(timeout=60)
        listening.close()


def open_desk(store: Store, accounts: Accounts, options: ServeOptions) -> Desk:
    """Bring together what serves requests; no image is read yet."""
    config = read_config()
    privacy = Privacy(key=user_key(), keep_patient_id=False, mask_uids=False)
    compare = read_shipped("configs/compare.toml", CompareSettings)
    return Desk(
        store=store,
        accounts=accounts,
        charter=store.charter(),
        images=JointImages(
            options.out,
            ImageSearch(config.ingest, privacy, options.images),
            compare.registration,
            options.out / CACHE,
        ),
        rules=config.grade,
        software=options.software,
        models=options.models,
    )


def check_viewer() -> Path:
    """Return the bundle of the viewer.

    Raises
    ------
    ConfigError
        If this installation does not hold it.
    """
    bundle = STATIC / "vendor" / "niivue.js"
    if not bundle.is_file():
        raise ConfigError(
            "the image viewer is not installed; in a checkout run "
            "`python scripts/fetch_viewer.py`, else reinstall facetgrade"
        )
    return bundle


def reserve(options: ServeOptions) -> socket.socket:
    """Take the address, so that a taken one is told before anything is printed.

    Nobody is let in yet: who comes early is refused at once instead of waiting.

    Raises
    ------
    ConfigError
        If it is taken or not of this machine.
    """
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((options.host, options.port))
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"cannot listen on {options.host} port {options.port} ({error.strerror}); "
            "another server may run there: give another --port"
        ) from error
    return listening


def _uvicorn_config(app: FastAPI, options: ServeOptions) -> uvicorn.Config:
    """Set the server up, without a log of who opened what."""
    import uvicorn

    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=bool(options.trusted_proxy),
        forwarded_allow_ips=options.trusted_proxy or None,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
        timeout_graceful_shutdown=5,
    )


def _links(
    desk: Desk, options: ServeOptions, root: str, announce: Callable[[str], None]
) -> Links:
    """Print a link for everybody, unless passwords are asked."""

    def tell(link: Link) -> None:
        announce(f"{link.person.name}: {root}/enter?token={link.secret}")

    return Links(() if options.needs_accounts else desk.charter.people, tell)


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _scheme(options: ServeOptions) -> str:
    return "https" if options.tls_certificate else "http"


def _shown_host(options: ServeOptions) -> str:
    return f"[{options.host}]" if ":" in options.host else options.host
