"""docs/reference/python.md is what the code says of itself."""

import inspect

import meshkit_fastprobe as fp
from tools.python_reference import CHAPTERS, PAGE, page


def test_the_page_is_what_the_code_says():
    assert PAGE.read_text(encoding="utf-8") == page(), "write it again with: python tools/python_reference.py"


def test_every_public_method_says_what_it_does():
    """Those of probe kinds excepted: the lanes call them, and docs/how-to/write-a-probe.md tells of them."""
    silent = [
        f"{name}.{part}"
        for name in set(fp.__all__) - set(CHAPTERS["Probes"])
        if inspect.isclass(getattr(fp, name))
        for part, value in vars(getattr(fp, name)).items()
        if not part.startswith("_") and (inspect.isfunction(value) or isinstance(value, property)) and not inspect.getdoc(value)
    ]
    assert silent == []
