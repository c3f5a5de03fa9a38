"""The script of the page: it writes rows as CSV, and draws charts again so that a reader can point, filter and switch.

It is one script. Where the page has charts, Vega-Lite and all that it needs is in it, bundled offline by vl-convert.
The page's policy allows this script alone, by its digest, and no evaluation of text as code: Vega interprets its
expressions instead.
"""

import base64
import hashlib
import json
from functools import cache
from pathlib import Path

_TEMPLATES = Path(__file__).parent / "templates"


def page_script(with_charts: bool) -> str:
    """Return the script of the page, with the part for charts if it has charts."""
    scripts = [(_TEMPLATES / name).read_text(encoding="utf-8") for name in ("unpack.js", "csv.js")]
    return "".join([*scripts, *([_charts_script()] if with_charts else [])])


@cache
def _charts_script() -> str:
    """Return the script that draws charts, with all libraries that it needs."""
    import vl_convert

    return vl_convert.javascript_bundle((_TEMPLATES / "charts.js").read_text(encoding="utf-8"))


def policy(script: str) -> str:
    """Return the content security policy of a page: no request at all, and no script but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def json_in_html(content: object) -> str:
    """Return JSON that can stand in a script element: no text in it can end the element or begin a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
