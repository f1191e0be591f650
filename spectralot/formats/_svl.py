"""Sonic Visualiser's layer of time values: XML, times in samples."""

from xml.parsers import expat

import numpy as np

from ..checks import ParameterError
from ..files import writing
from ._points import Points, as_number, rising

_FILE = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE sonic-visualiser>
<sv>
  <data>
    <model id="1" name="f0" sampleRate="{rate}" start="0" end="{end}" type="sparse" dimensions="2" \
resolution="1" notifyOnAdd="true" dataset="0" minimum="{low:.9g}" maximum="{high:.9g}" units="Hz"/>
    <dataset id="0" dimensions="2">
{points}
    </dataset>
  </data>
  <display>
    <layer id="2" type="timevalues" name="f0" model="1" plotStyle="0"/>
  </display>
</sv>
"""  # plot style 0, single points: lines would run through the silences


def write(tracks, path, *, overwrite=False):
    """A point for each voiced frame."""
    rate = round(tracks.sample_rate)
    sample = np.rint(tracks.time_s[tracks.voiced].astype(np.float64) * rate).astype(int)
    f0_hz = tracks.f0_hz[tracks.voiced]
    text = _FILE.format(
        rate=rate, end=tracks.n_samples, low=f0_hz.min(initial=np.inf) if len(f0_hz) else 0,
        high=f0_hz.max(initial=0), points="\n".join(
            f'      <point frame="{n}" value="{hz:.9g}" label=""/>'
            for n, hz in zip(sample, f0_hz, strict=True)
        ),
    )  # fmt: skip
    with writing(path, overwrite=overwrite) as part:
        part.write_text(text, encoding="ascii", newline="\n")


def read(path):
    """The points of the layer."""
    model, places, samples, f0_hz = {}, [], [], []
    parser = expat.ParserCreate()

    def start(name, attributes):
        where = f"line {parser.CurrentLineNumber}"
        if name == "model":
            for key in {"sampleRate", "end"} & attributes.keys():
                model[key] = as_number(attributes[key], key, where)
        elif name == "point":
            places.append(where)
            samples.append(as_number(attributes.get("frame"), "frame", where))
            f0_hz.append(as_number(attributes.get("value"), "value", where))

    parser.StartElementHandler = start
    with open(path, "rb") as file:
        try:
            parser.ParseFile(file)
        except expat.ExpatError as error:
            what = expat.ErrorString(error.code)
            raise ParameterError(f"line {error.lineno}: it is no XML: {what}") from None
        except LookupError:
            raise ParameterError("line 1: it is no XML: unknown encoding") from None
    rate = model.get("sampleRate", 0)
    if rate < 1:
        raise ParameterError(f"its model must have a sampleRate of at least 1, got {rate:g}")
    times = rising(np.array(samples) / rate, places.__getitem__)
    n_samples = int(model["end"]) if model.get("end", 0) > samples[-1] else None
    return Points(
        times, np.array(f0_hz), sample_rate=rate, n_samples=n_samples, sparse=True,
        duration_s=n_samples and n_samples / rate,
    )  # fmt: skip
