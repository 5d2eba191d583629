"""`./dev bench`: what can be measured."""

from pathlib import Path

import click

from bench import joins, lifecycle


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Measure. Every figure comes with that of a peer from the same run."""


@main.command("joins")
@click.option("--count", default=2000, show_default=True, help="How many engines join.")
def _joins(count: int) -> None:
    """A storm of joins: group commit beside one commit per join."""
    joins.run(count)


@main.command("lifecycle")
@click.option("--runs", default=5, show_default=True, help="Runs of each measurement; the median is printed.")
@click.option(
    "--reference",
    type=click.Path(exists=True, path_type=Path),
    help="Directory with DAOS's own daos_server and dmg, to be measured beside ours.",
)
def _lifecycle(runs: int, reference: Path | None) -> None:
    """Start to listening, format to joined, restart to joined, memory, dmg commands."""
    lifecycle.run(runs, reference)


if __name__ == "__main__":
    main()
