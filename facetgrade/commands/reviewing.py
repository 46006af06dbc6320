"""The commands `facetgrade review ...`: serve, account, verify, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facetgrade.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from facetgrade.review.charter import Charter
    from facetgrade.review.store import Store

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

REVIEW = "review"
DATABASE_FILE, HEAD_FILE = "review.sqlite", "audit_head.json"

Database = Annotated[
    str,
    typer.Argument(
        metavar="DB", help="sqlite:///FILE, FILE, or postgresql://USER@HOST/NAME."
    ),
]
PasswordFile = Annotated[
    Path | None, typer.Option(help="File with the password of the database.")
]
AuditKey = Annotated[
    Path | None,
    typer.Option(help="Secret of the audit trail; ~/.config/facetgrade/audit.key."),
]
HeadFile = Annotated[
    Path | None, typer.Option("--head", help="Exported head of the audit trail.")
]
ExportFolder = Annotated[
    Path, typer.Option("-o", "--out", help="Folder for the files.")
]


@app.command()
def serve(
    out: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            exists=True,
            file_okay=False,
            help="Folder of grade or compare.",
        ),
    ],
    charter: Annotated[
        Path | None, typer.Option(exists=True, help="Like configs/charter.toml.")
    ] = None,
    db: Annotated[
        str, typer.Option(help="sqlite:///FILE or postgresql://USER@HOST/NAME.")
    ] = "",
    db_password_file: PasswordFile = None,
    audit_key: AuditKey = None,
    head: HeadFile = None,
    images: Annotated[
        list[Path] | None, typer.Option(help="Where the images are now.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 0,
    tls_certificate: Annotated[
        Path | None, typer.Option(exists=True, help="PEM file for other machines.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(exists=True, help="PEM file of its key.")
    ] = None,
    trusted_proxy: Annotated[
        str, typer.Option(help="Address of a proxy that ends TLS.")
    ] = "",
) -> None:
    """Let readers grade the cases of OUT in the browser, as the charter says."""
    _need_review_packages()
    from importlib.metadata import version

    from facetgrade.review.accounts import Accounts
    from facetgrade.review.cases import find_cases
    from facetgrade.review.serving import ServeOptions
    from facetgrade.review.web.serve import serve as serve_pages

    folder = out / REVIEW
    store = _open_store(
        db or f"sqlite:///{folder / DATABASE_FILE}",
        db_password_file,
        audit_key,
        head or folder / HEAD_FILE,
    )
    rules = _charter(charter, store)
    found = find_cases(out, rules)
    options = ServeOptions(
        out=out,
        images=tuple(images or ()),
        host=host,
        port=port,
        tls_certificate=tls_certificate,
        tls_key=tls_key,
        trusted_proxy=trusted_proxy,
        software=version("facetgrade"),
        models=found.models,
    )
    options.check()
    store.begin(rules, found.cases, options.origin("system"))
    for sentence in found.left_out:
        typer.secho(f"left out: {sentence}", err=True, fg="yellow")
    serve_pages(store, Accounts(store.trail, rules.access), options)


@app.command()
def account(
    db: Database,
    name: Annotated[str, typer.Argument(help="As in the charter.")],
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password; else it is asked.")
    ] = None,
    close: Annotated[
        bool, typer.Option("--close", help="Nobody can log in any more.")
    ] = False,
    db_password_file: PasswordFile = None,
    audit_key: AuditKey = None,
    head: HeadFile = None,
) -> None:
    """Make the account of somebody in the charter, or give it a new password."""
    _need_review_packages()
    from importlib.metadata import version

    from facetgrade.review.accounts import Accounts
    from facetgrade.review.people import Account, Origin

    store = _reopen_store(db, db_password_file, audit_key, head)
    rules = store.charter()
    role = next((one.role for one in rules.people if one.name == name), None)
    if role is None:
        raise ConfigError(f"{name} is not in the charter")
    Accounts(store.trail, rules.access).save(
        Account(name=name, role=role, active=not close),
        _password(password_file),
        Origin(who="system", software=version("facetgrade")),
    )
    typer.echo(f"{name}: {'closed' if close else role.value}")


@app.command()
def verify(
    db: Database,
    head: HeadFile = None,
    db_password_file: PasswordFile = None,
    audit_key: AuditKey = None,
) -> None:
    """Check every row of DB against its audit trail: changed, inserted, removed."""
    _need_review_packages()
    from facetgrade.review.chain import read_head, read_or_make_key
    from facetgrade.review.verify import verify_database

    engine = _engine(_existing(db), db_password_file)
    key = read_or_make_key(audit_key or _user_key(), may_make=False)
    known = read_head(head) if head else None
    if head and known is None:
        raise ConfigError(f"{head}: no such head file")
    found = verify_database(engine, key, known)
    for problem in found.problems:
        typer.echo(problem)
    typer.echo(f"{found.entries} audit entries and {found.rows} rows checked")
    typer.echo(f"head: {found.head.count} {found.head.mac}")
    if known is None:
        typer.echo("without --head FILE, the removal of the last entries is not seen")
    if found.problems:
        typer.secho(f"{len(found.problems)} problems: DB was altered", fg="red")
        raise typer.Exit(3)


@app.command()
def export(
    db: Database,
    out: ExportFolder,
    agreement: Annotated[
        bool, typer.Option(help="Write agreement.json with its intervals.")
    ] = True,
    db_password_file: PasswordFile = None,
    audit_key: AuditKey = None,
    head: HeadFile = None,
) -> None:
    """Write reads, results, audit trail (CSV, JSON) and agreement of readers."""
    _need_review_packages()
    from facetgrade.review.export import write_export

    store = _reopen_store(db, db_password_file, audit_key, head)
    for path in write_export(store, out, with_agreement=agreement):
        typer.echo(path)


@app.command("export-training")
def export_training(
    db: Database,
    out: ExportFolder,
    images: Annotated[
        list[Path],
        typer.Option(exists=True, help="Folder that was graded, with the images."),
    ],
    db_password_file: PasswordFile = None,
    audit_key: AuditKey = None,
    head: HeadFile = None,
) -> None:
    """Write edited masks as NIfTI, with the manifest that `facetgrade train` takes."""
    _need_review_packages()
    from facetgrade.review.training import write_training_set

    store = _reopen_store(db, db_password_file, audit_key, head)
    typer.echo(write_training_set(store, out, images))


def _charter(path: Path | None, store: Store) -> Charter:
    """Take the charter of the user, else that of the database, else the example."""
    from facetgrade.review.charter import read_charter
    from facetgrade.review.errors import ReviewError

    if path is not None:
        return read_charter(path)
    try:
        return store.charter()
    except ReviewError:
        return read_charter()


def _open_store(
    db: str, password_file: Path | None, audit_key: Path | None, head: Path
) -> Store:
    from facetgrade.review.store import open_store

    return open_store(
        db,
        key_file=audit_key or _user_key(),
        head_file=head,
        password_file=password_file,
    )


def _reopen_store(
    db: str, password_file: Path | None, audit_key: Path | None, head: Path | None
) -> Store:
    """Open the store of a review that has begun."""
    url = _existing(db)
    return _open_store(url, password_file, audit_key, head or _head_beside(url))


def _engine(db: str, password_file: Path | None) -> Engine:
    from facetgrade.review.database import open_database

    return open_database(db, password_file=password_file)


def _existing(db: str) -> str:
    """Turn a file name into an address; refuse a file that is not there."""
    url = db if "://" in db else f"sqlite:///{db}"
    if url.startswith("sqlite:///"):
        path = Path(url.removeprefix("sqlite:///"))
        if not path.is_file():
            raise ConfigError(f"{path}: no such database")
    return url


def _head_beside(url: str) -> Path:
    """Return where `serve` keeps the head of an SQLite database."""
    if not url.startswith("sqlite:///"):
        raise ConfigError("give --head FILE, where the head of the audit trail is kept")
    return Path(url.removeprefix("sqlite:///")).with_name(HEAD_FILE)


def _user_key() -> Path:
    return Path.home() / ".config" / "facetgrade" / "audit.key"


def _password(path: Path | None) -> str:
    """Read a password from a file, or ask for it."""
    if path is None:
        return str(typer.prompt("password", hide_input=True, confirmation_prompt=True))
    try:
        return path.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, UnicodeDecodeError, IndexError) as error:
        raise ConfigError(f"{path}: holds no password ({error})") from error


def _need_review_packages() -> None:
    """Say in one sentence what to install."""
    from importlib.util import find_spec

    missing = [
        name
        for name in ("sqlalchemy", "argon2", "fastapi", "uvicorn")
        if find_spec(name) is None
    ]
    if missing:
        raise ConfigError(
            f"review needs {', '.join(missing)}; pip install 'facetgrade[review]'"
        )
