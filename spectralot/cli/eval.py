"""``spectralot eval``: an estimate of f0 beside a reference, in mir_eval's numbers."""

import json
import math
from pathlib import Path

import click

from .common import one_line_on_failure, say
from .convert import FORMAT, counted, format_of

_ROWS = {"rpa": "RPA", "rca": "RCA", "oa": "OA", "gpe": "GPE", "fpe": "FPE"}


@click.command("eval")
@click.argument("ref", type=click.Path(path_type=Path))
@click.argument("est", type=click.Path(path_type=Path))
@click.option("--from-ref", type=FORMAT, help="Format of REF.  [default: by its suffix]")
@click.option("--from-est", type=FORMAT, help="Format of EST.  [default: by its suffix]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else.")
def evaluate_pitch(ref, est, from_ref, from_est, as_json):
    """Score f0 in EST against the reference REF, files as convert reads them.

    RPA, RCA: raw pitch and chroma accuracy. OA: overall accuracy. VR, VFA: voicing recall and
    false alarm. All five are mir_eval's, which reads EST at the times of REF. GPE, FPE: share of
    gross errors, and spread of the others, where both are voiced.

    Exit status: 0 all went well, 1 it failed, 2 wrong usage.
    """
    formats = format_of("--from-ref", ref, from_ref), format_of("--from-est", est, from_est)
    with one_line_on_failure():
        from ..formats import read_pitch
        from ..metrics import TOLERANCES_CENTS, melody_scores

        pitches = [read_pitch(file, name) for file, name in zip((ref, est), formats, strict=True)]
        scores = melody_scores(*pitches[0], *pitches[1])
    sides = {
        side: {"file": str(file), "frames": len(f0_hz), "voiced_share": float((f0_hz > 0).mean())}
        for side, file, (_, f0_hz) in zip(("ref", "est"), (ref, est), pitches, strict=True)
    }
    if as_json:
        scores = {name: None if math.isnan(value) else value for name, value in scores.items()}
        click.echo(json.dumps(sides | {"scores": scores}, indent=2))
        return
    for side, about in sides.items():
        say(f"{side.upper()}: {about['file']}, {counted(about['frames'], about['voiced_share'])}")
    click.echo("\n    " + "".join(f"{cents:>4} cents" for cents in TOLERANCES_CENTS))
    for key, name in _ROWS.items():
        values = (scores[f"{key}{cents}"] for cents in TOLERANCES_CENTS)
        unit, scale = ("cents", 1) if key == "fpe" else ("%", 100)
        click.echo(f"{name:<4}" + "".join(_cell(value, scale) for value in values) + f" {unit}")
    click.echo()
    for key, name in (("vr", "VR"), ("vfa", "VFA"), ("gpe_20_percent", "GPE beyond 20 %")):
        click.echo(f"{name:<15}{_cell(scores[key], 100)} %")


def _cell(value, scale):
    return f"{'n/a':>10}" if math.isnan(value) else f"{scale * value:>10.2f}"
