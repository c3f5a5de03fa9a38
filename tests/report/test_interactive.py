"""The script of the page: its policy, and JSON that can't leave its element."""

import base64
import hashlib
import json

import pytest

from sweeper.report.interactive import json_in_html, page_script, policy


def test_the_script_fits_into_an_element_and_is_the_only_one_allowed():
    pytest.importorskip("vl_convert")
    script = page_script()
    assert "vegaEmbed" not in script  # the name in page.js, which the bundle replaces
    assert not any(text in script for text in ("</script", "<!--", "\r"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy(script)


def test_without_charts_no_script_is_allowed():
    assert policy(None) == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize("text", ["</script><script>alert(1)</script>", "<!-- <script>", "]]>", "&lt;", "\u2028"])
def test_json_stays_in_its_element(text):
    written = json_in_html({"name": text})
    assert not set("<>&") & set(written)
    assert json.loads(written) == {"name": text}
