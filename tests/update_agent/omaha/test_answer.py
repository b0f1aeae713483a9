"""What servers say: real answers are understood, and whatever is none is one error that says why."""

from __future__ import annotations

import base64
import tracemalloc
from pathlib import Path

import pytest

from update_agent.omaha.answer import Answer, Named, parse_answer
from update_agent.omaha.errors import OmahaAnswerError

RECORDED = Path(__file__).parent / "recorded"
FLATCAR, CHROME = "{e96281a6-d1af-4bde-9a0a-97b76e56dc57}", "{87efface-864d-49a5-9bb3-4b050a7c227a}"
# What "base64 -d | xxd -p" prints for the sha256 in the recorded answers.
SIGNED = "d15025416dd113df521ad481e51e26d3c6a7b401cef170e804c283cb1413fcc8"
NAMED = Named("9999.0.0", frozenset({SIGNED}))


def parse(text: str | bytes, app_id: str = FLATCAR) -> Answer:
    return parse_answer("http://omaha", text if isinstance(text, bytes) else text.encode(), app_id)


def app(inner: str, status: str = "ok", app_id: str = FLATCAR) -> str:
    return f'<response protocol="3.0"><app appid="{app_id}" status="{status}">{inner}</app></response>'


def manifest(version: str = "1.1", package: str = "", action: str = "") -> str:
    return app(
        f'<updatecheck status="ok"><manifest version="{version}"><packages><package name="x" size="1" {package}/></packages>'
        f'<actions><action event="postinstall" {action}/></actions></manifest></updatecheck>'
    )


def sha(byte: int) -> str:
    return base64.b64encode(bytes([byte]) * 32).decode()


@pytest.mark.parametrize(
    ("name", "app_id"), [("response.xml", CHROME), ("marshalled.xml", "52f1b9bc-d31a-4d86-9276-cbc256aadf9a")]
)
def test_an_update_that_real_servers_offer(name: str, app_id: str) -> None:
    assert parse((RECORDED / name).read_bytes(), app_id) == Answer("ok", "ok", 0, NAMED)


def test_no_update_as_real_servers_say_it() -> None:
    assert parse((RECORDED / "noupdate.xml").read_bytes()) == Answer("ok", "noupdate", 0, None)


def test_hashes_of_the_first_package_and_of_the_action_both_count() -> None:
    both = parse(manifest(package=f'hash_sha256="{sha(1)}"', action=f'sha256="{sha(2)}"')).named
    assert both == Named("1.1", frozenset({"01" * 32, "02" * 32}))
    assert parse(manifest(package=f'hash_sha256="{sha(1)}"')).named == Named("1.1", frozenset({"01" * 32}))
    extra = app(
        '<updatecheck status="ok"><manifest version="1.1"><packages><package name="a"/>'
        f'<package name="b" hash_sha256="{sha(9)}"/></packages><actions><action event="install" sha256="{sha(8)}"/>'
        f'<action event="postinstall" sha256="{sha(3)}"/></actions></manifest></updatecheck>'
    )
    assert parse(extra).named == Named("1.1", frozenset({"03" * 32}))


def test_what_nebraska_says_of_what_it_cannot_do() -> None:
    said = parse(app('<updatecheck status="error-internal"/>', "error-updateInProgressOnInstance"))
    assert (said.app, said.check, said.named) == ("error-updateInProgressOnInstance", "error-internal", None)
    assert not said.took(1)


def test_reports_are_taken_where_the_application_is_known_or_each_is_acknowledged() -> None:
    assert parse(app('<event status="ok"/>')).took(1)
    assert parse(app("")).took(2)
    assert parse(app('<event status="ok"/><event status="ok"/>', "error-updatesDisabled")).took(2)
    assert not parse(app('<event status="ok"/>', "error-updatesDisabled")).took(2)


BOMB = (
    '<!DOCTYPE response [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + f']><response protocol="3.0"><app appid="{FLATCAR}" status="&j;"/></response>'
)
OUTSIDE = (
    '<!DOCTYPE response [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    f'<response protocol="3.0"><app appid="{FLATCAR}" status="ok">&x;</app></response>'
)
ELSEWHERE = '<!DOCTYPE response SYSTEM "http://127.0.0.1:1/evil.dtd">' + app('<updatecheck status="noupdate"/>')


@pytest.mark.parametrize("text", [BOMB, OUTSIDE, ELSEWHERE], ids=["bomb", "file", "document"])
def test_entities_are_not_expanded_and_nothing_outside_is_read(text: str) -> None:
    tracemalloc.start()
    with pytest.raises(OmahaAnswerError, match="it has a document type"):
        parse(text)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no element found"),
        ("invalid xml>", "syntax error"),
        ("<html><body>Please log in</body></html>", "a web page came"),
        ("\n<!doctype HTML><title>Please log in</title>", "a web page came"),
        ("{}", "not well-formed"),
        ("\x00\xff", "syntax error"),
        (app('<updatecheck status="noupdate"/>') + "<more/>", "junk after document element"),
        (app("")[:-5], "unclosed token|no element found"),
        ("<feed/>", "it begins with 'feed'"),
        ('<response protocol="2.0"/>', "of the protocol '2.0'"),
        ('<response protocol="3.0"/>', "it speaks 0 times of the application"),
        (app('<updatecheck status="noupdate"/>', app_id="other"), "it speaks 0 times"),
        (f'<response protocol="3.0"><app appid="{FLATCAR}"/><app appid="{FLATCAR}"/></response>', "it speaks 2 times"),
        (app("<updatecheck/>"), "the status of updatecheck is ''"),
        (app('<updatecheck status="ok"/><updatecheck status="noupdate"/>'), "more than one answer"),
        (app('<updatecheck status="ok"/>'), "it names the version ''"),
        (app("", status="&lt;b&gt;"), "the status of app is '<b>'"),
        (manifest("../1.1", action=f'sha256="{sha(1)}"'), "it names the version '../1.1'"),
        (manifest("1" * 300, action=f'sha256="{sha(1)}"'), "it names the version '1111"),
        (manifest(), "it names no SHA-256 of version 1.1"),
        (manifest(action='sha256="HASH1234="'), "is no SHA-256 in base64"),
        (manifest(action=f'sha256="{"01" * 32}"'), "is no SHA-256 in base64"),
        (manifest(package='hash_sha256="é"'), "is no SHA-256 in base64"),
        (f'<response protocol="3.0">{"<a>" * 20}', "nested too deeply"),
    ],
)
def test_nonsense_is_one_error_that_says_why(text: str, problem: str) -> None:
    with pytest.raises(OmahaAnswerError, match=problem) as caught:
        parse(text)
    assert str(caught.value).startswith("http://omaha: this is no answer of an Omaha server: ")
    assert str(caught.value).count("\n") == 0


def test_the_recorded_answer_that_is_no_xml_is_refused() -> None:
    with pytest.raises(OmahaAnswerError, match="not well-formed"):
        parse((RECORDED / "broken.xml").read_bytes(), CHROME)
