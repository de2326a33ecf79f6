"""fromager's command ``wcas``, which tells what the plug-in does. Loading it is what begins the plug-in's work."""

from __future__ import annotations

import os
import typing

import click

from wcas import _lookups, _run, short_circuit

if typing.TYPE_CHECKING:
    from fromager.context import WorkContext


@click.command()
@click.pass_obj
def wcas(context: WorkContext) -> None:
    """Tell where the plug-in wcas stores this variant's wheels"""
    place = os.environ.get("WCAS_URL") or os.environ.get("WCAS_STORE") or "nowhere: neither WCAS_STORE nor WCAS_URL is set"
    click.echo(f"variant {_run.variant_of(context)}: {place}")


def _begin(context: WorkContext, options: dict[str, typing.Any]) -> None:
    _run.RUN.begin(context, options)
    if os.environ.get("WCAS_SHORT_CIRCUIT") == "1":
        short_circuit.install()


_run.watch(_begin)
_lookups.teach()
