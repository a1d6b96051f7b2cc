"""Runs whose every text was chosen to harm the page that shows it; BASE and TOKEN say which server gets them.

Prints one line of JSON: {"project": ..., "texts": [...], "ids": [...]}.
"""

from __future__ import annotations

import json
import math
import os
import sys

import httpx
from buoy_proto import v1

from tests.server.streams import Stream

TEXTS = {
    "markup": """<img src=x onerror="window.__pwned=1"><script>window.__pwned=1</script>"'&""",
    "template": "{{constructor.constructor('window.__pwned=1')()}}${window.__pwned=1}",
    "address": "javascript:window.__pwned=1",
    "svg": "</title></style><svg/onload=window.__pwned=1><iframe srcdoc='<script>parent.__pwned=1</script>'>",
    "prototype": "__proto__",
    "turned": "\u202eexe.gpj\u2066right\u202d to left",
    "invisible": "a\u200b\u200d\ufeff\u00adb\u2028c\u3164",
    "control": "\x01\x1b[31mred\x7f\ttab\nline\r\vend",
    "long": "w" * 600,
    "stacked": "tall" + "\u0336\u0321\u0325\u030d\u0360" * 20,
    "percent": "%2e%2e/../..?x=1#y%00",
    "surrogates": "\U0001f9ed\U0001f468\u200d\U0001f469\u200d\U0001f467 深夜の学習 שלום",
}
PROJECT = f"{TEXTS['markup']} {TEXTS['turned']} {'w' * 120}"


def config(text: str) -> dict[str, object]:
    """The text as a key, as a value, and deep inside."""
    return {
        text: text,
        "lr": 3e-4,
        "nested": {text: {text: [text, {text: None}]}},
        "constructor": {"prototype": text},
    }


def stream(number: int, text: str) -> Stream:
    """A run that has the text wherever a text may be."""
    made = Stream(
        f"hostile{number:02d}", project=PROJECT, name=text, host=text, start_us=1_760_000_000_000_000 + number
    )
    made.info.notes = made.info.group = made.info.job_type = text
    made.info.tags.append(text)
    writer = made.writer(metadata={"program": text, "args": [text], "python": text, "os": text, "user": text})
    keys = ["train/loss", text, f"train/{text}", f"{text}/{text}"]
    writer.config(config(text))
    writer.log([(step, {key: math.exp(-step / 20) for key in keys} | {"words": text}) for step in range(60)])
    writer.log([(0, {f"gpu.0.{text}": 1.0, "cpu": 2.0})], system=True)
    writer.summary({text: text, "best": {"deep": text}})
    event = v1.Event(
        time_unix_us=made.start_us, level=v1.LEVEL_ERROR, code=text, text=text, json=json.dumps({text: text})
    )
    made.add([v1.Record(event=event)], writer.id)
    made.add_gap(3, text)
    made.add([v1.Record(writer_end=v1.WriterEnd(writer_id=writer.id, state=3, exit_code=1))], writer.id)
    return made


def main() -> None:
    """Sends all of it, and keeps a view of that kind."""
    headers = {"Authorization": "Bearer " + os.environ["TOKEN"]}
    with httpx.Client(base_url=os.environ["BASE"], headers=headers, trust_env=False, timeout=60) as client:
        for number, text in enumerate(TEXTS.values()):
            made = stream(number, text)
            client.post(made.path, content=b"".join(made.blocks)).raise_for_status()
        listed = client.get("/api/v1/projects").json()["projects"]
        (project,) = [found["name"] for found in listed if "onerror" in found["name"]]
        for text in TEXTS.values():
            view = {"name": text[:200], "content": {"schema": 1, "query": "q=loss"}}
            client.put(f"/api/v1/p/local:{project}/views/{len(text)}", json=view)
    sys.stdout.write(json.dumps({"project": project, "texts": TEXTS}))


if __name__ == "__main__":
    main()
