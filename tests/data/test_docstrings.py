import subprocess
import sys

import pytest

from pipeline.data.corpus.docstrings import docstring_corpus, packages_identity, paragraphs, prose_paragraphs
from pipeline.data.tasks.docstring_task import docstring_rows, names_library
from pipeline.errors import DataError

SOURCE = '''r"""Module text that is long enough to be taken as one
paragraph of prose.
"""
HELP = """
This string is assigned and so it is not a docstring of anything at all.
"""

def f(x, y):
    """Return the :func:`~a.b.mean` of ``x`` and *every* other value that was given.

    Parameters
    ----------
    x : array_like
        Values for which the mean is to be computed along
        the axis.
    y: Some other values that are described here in the Google style.
    :param z: a value that is described in the style of the Sphinx tool

    - a bullet that says one thing about all of the values
    - another bullet that says one more thing about the values

    >>> f(1, 2)  # an example that should never be taken for a paragraph of prose

    ========  =======
    name      meaning
    ========  =======

    Short text.

    .. note::
       What has to be noted about this is said in the text here.

    The following code shows how it is to be used by a caller::

        f(first, second)
    """
'''


def test_prose_is_found_and_freed_of_markup():
    assert list(prose_paragraphs(SOURCE)) == [
        "Module text that is long enough to be taken as one paragraph of prose.",
        "Return the mean of x and every other value that was given.",
        "Values for which the mean is to be computed along the axis.",
        "Some other values that are described here in the Google style.",
        "a value that is described in the style of the Sphinx tool",
        "a bullet that says one thing about all of the values",
        "another bullet that says one more thing about the values",
        "What has to be noted about this is said in the text here.",
        "The following code shows how it is to be used by a caller:",
    ]


@pytest.mark.parametrize(
    "code",
    [
        "SELECT name, value FROM table WHERE value > 3 AND name = 'x' ORDER BY name.",
        "if x then return the value {of} the thing that was asked for.",
        "x = 1; y = 2; z = x + y; print(x, y, z); return z.",
        "| left | right | of | a | table | that | has | cells |.",
    ],
)
def test_code_is_not_prose(code):
    assert not list(prose_paragraphs(f'"""{code}"""'))


def test_paragraphs_are_in_file_order_and_unique():
    found = list(paragraphs("prefect"))
    assert found == list(paragraphs("prefect"))
    assert len(found) > 1000
    assert len({p.text for p in found}) == len(found)
    assert all(p.package == "prefect" and p.file.endswith(".py") for p in found)
    assert sum(map(len, docstring_corpus(["prefect"]))) == len(found)


def test_packages_are_read_without_being_imported():
    code = (
        "import sys; from pipeline.data.corpus.docstrings import paragraphs, packages_identity;"
        "next(paragraphs('sympy')); print(packages_identity(['stdlib', 'sympy']));"
        "sys.exit('sympy' in sys.modules or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("stdlib 3.")


def test_a_missing_package_says_how_to_install_it():
    with pytest.raises(DataError, match="pip install absent_package"):
        packages_identity(["absent_package"])
    with pytest.raises(DataError, match="pip install absent_package"):
        next(paragraphs("absent_package"))
    with pytest.raises(DataError, match="top-level package 'xml'"):
        next(paragraphs("xml.dom"))


LIBRARIES = ("prefect", "networkx")


@pytest.fixture(scope="module")
def task():
    return docstring_rows(LIBRARIES, seed=3, train_rows=200, dev_rows=100, unlabelled_rows=300)


def test_classes_are_balanced_and_sizes_as_asked(task):
    assert task.label_names == LIBRARIES
    assert [len(task.train), len(task.dev), len(task.unlabelled)] == [200, 100, 300]
    for rows in (task.train, task.dev):
        assert sum(row.label == "prefect" for row in rows) == len(rows) / 2
    assert {row.label for row in task.unlabelled} == {None}


def test_development_files_are_its_own_and_no_text_occurs_twice(task):
    dev_files = {row.file for row in task.dev}
    assert not dev_files & {row.file for row in task.train + task.unlabelled}
    assert len(dev_files) > 5
    texts = [row.text for row in task.train + task.dev + task.unlabelled]
    assert len(set(texts)) == len(texts)


def test_no_row_names_its_library(task):
    for row in task.train + task.dev:
        assert row.label not in row.text.lower()
        assert not names_library(row.text, row.label)


@pytest.mark.parametrize(
    ("text", "package", "given_away"),
    [
        ("use np.mean here", "numpy", True),
        ("a PrefectFuture", "prefect", True),
        ("Scikit-Learn does", "sklearn", True),
        ("the NumPy array", "numpy", True),
        ("the NumPy array", "pandas", False),
        ("input and output", "numpy", False),
        ("in Python code", "stdlib", True),
    ],
)
def test_names_and_aliases_give_a_library_away(text, package, given_away):
    assert names_library(text, package) is given_away


def test_the_draw_is_a_function_of_the_seed(task):
    assert docstring_rows(LIBRARIES, 3, 200, 100, 300) == task
    assert docstring_rows(LIBRARIES, 4, 200, 100, 300) != task


@pytest.mark.parametrize(
    ("packages", "sizes", "part"),
    [
        (("prefect",), (10, 10, 0), "one label only"),
        (LIBRARIES, (100_000, 10, 0), "prefect has"),
        (LIBRARIES, (10, 10, 100_000), "are left"),
        (LIBRARIES, (1, 10, 0), "train_rows 1"),
    ],
)
def test_more_than_there_is_is_refused(packages, sizes, part):
    with pytest.raises(DataError, match=part):
        docstring_rows(packages, 0, *sizes)
