"""The script of the page: its policy, and JSON that can't leave its element."""

import base64
import hashlib
import json

import pytest

from sweeper.report.interactive import json_in_html, page_script, policy


@pytest.mark.parametrize("with_charts", [False, True])
def test_the_script_fits_into_an_element_and_is_the_only_one_allowed(with_charts):
    if with_charts:
        pytest.importorskip("vl_convert")
    script = page_script(with_charts)
    assert "vegaEmbed" not in script  # the name in charts.js, which the bundle replaces
    assert not any(text in script for text in ("</script", "<!--", "\r"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy(script) == (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def test_without_charts_the_script_writes_rows_alone():
    assert 0 < len(page_script(with_charts=False)) < 3000


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!-- <script>", "]]>", "&lt;", "\u2028"])
def test_json_stays_in_its_element(text):
    written = json_in_html({"name": text})
    assert not set("<>&") & set(written)
    assert json.loads(written) == {"name": text}
