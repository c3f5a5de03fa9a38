"""The script of the page, which draws its charts again so that a reader can point at them, filter and switch.

It is one script with Vega-Lite and all that it needs, bundled offline by vl-convert. The page's policy allows this
script alone, by its digest, and no evaluation of text as code: Vega interprets its expressions instead.
"""

import base64
import hashlib
import json
from functools import cache
from pathlib import Path

_SCRIPT = Path(__file__).parent / "templates" / "page.js"


@cache
def page_script() -> str:
    """Return the script of the page with all libraries that it needs."""
    import vl_convert

    return vl_convert.javascript_bundle(_SCRIPT.read_text(encoding="utf-8"))


def policy(script: str | None) -> str:
    """Return the content security policy of a page: no request at all, and no script but this one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() if script else ""
    scripts = f"script-src 'sha256-{digest}'; " if script else ""
    return f"default-src 'none'; {scripts}style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def json_in_html(content: object) -> str:
    """Return JSON that can stand in a script element: no text in it can end the element or begin a comment."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
