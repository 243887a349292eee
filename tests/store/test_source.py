import json
import os
import time

import pytest

from pipeline.errors import DataError
from pipeline.store.digest_cache import DigestCache
from pipeline.store.fingerprint import digest_file
from pipeline.store.source import Source, source_digest


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(path)


def test_moving_files_changes_nothing(tmp_path):
    here = Source((write(tmp_path / "a" / "corpus.txt", "text"), str(tmp_path / "a")))
    there = Source((write(tmp_path / "b" / "corpus.txt", "text"), str(tmp_path / "b")))
    assert source_digest(here) == source_digest(there)


def test_content_names_in_folders_suffixes_and_order_count(tmp_path):
    one, two = write(tmp_path / "one.txt", "1"), write(tmp_path / "two.txt", "2")
    base = source_digest(Source((one, two)))
    assert source_digest(Source((two, one))) != base
    assert source_digest(Source((one,))) != base
    write(tmp_path / "two.txt", "3")
    assert source_digest(Source((one, two))) != base
    as_lines = Source((write(tmp_path / "x.jsonl", "1"),))
    assert source_digest(as_lines) != source_digest(Source((one,)))
    folder = Source((str(tmp_path / "folder"),))
    write(tmp_path / "folder" / "sub" / "train.tsv", "row")
    before = source_digest(folder)
    (tmp_path / "folder" / "sub" / "train.tsv").rename(tmp_path / "folder" / "sub" / "dev.tsv")
    assert source_digest(folder) != before


def test_hidden_files_are_skipped_and_linked_folders_entered_once(tmp_path):
    folder = tmp_path / "folder"
    write(folder / "train.tsv", "row")
    before = source_digest(Source((str(folder),)))
    write(folder / ".DS_Store", "x")
    write(folder / ".cache" / "part", "x")
    (folder / "loop").symlink_to(folder)
    assert source_digest(Source((str(folder),))) == before
    write(tmp_path / "elsewhere" / "more.tsv", "row")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    assert source_digest(Source((str(folder),))) != before


def test_an_identity_alone_is_enough():
    hub = Source(identity="hub:bert@main")
    assert source_digest(hub) == source_digest(Source(("/nowhere",), "hub:bert@main"))
    assert source_digest(hub) != source_digest(Source(identity="hub:bert@v2"))


def test_a_path_that_cannot_be_used_is_named(tmp_path):
    with pytest.raises(DataError, match=r"absent\.txt does not exist"):
        source_digest(Source((str(tmp_path / "absent.txt"),)))
    with pytest.raises(DataError, match="does not exist"):
        source_digest(Source((str(tmp_path / "embedded\0"),)))
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="neither a file nor a folder"):
        source_digest(Source((str(tmp_path / "pipe"),)))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "dead").symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"dead does not exist"):
        source_digest(Source((str(tmp_path / "folder"),)))


def later():
    return time.time() + 60


def test_an_unchanged_file_is_not_read_again(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("text")
    cache = DigestCache(tmp_path / "digests.json", clock=later)
    digest = cache.digest(corpus)
    cache.save()
    # The proof that nothing is read: a false entry is believed.
    entries = json.loads((tmp_path / "digests.json").read_text())
    entries[str(corpus)][5] = "believed"
    (tmp_path / "digests.json").write_text(json.dumps(entries))
    assert digest == digest_file(corpus)
    assert DigestCache(tmp_path / "digests.json").digest(corpus) == "believed"


def test_other_content_of_the_same_size_is_noticed(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("aaaa")
    cache = DigestCache(tmp_path / "digests.json", clock=later)
    cache.digest(corpus)
    cache.save()
    stat = corpus.stat()
    corpus.write_text("bbbb")
    assert cache.digest(corpus) == digest_file(corpus)
    corpus.write_text("cccc")
    os.utime(corpus, ns=(stat.st_atime_ns, stat.st_mtime_ns))  # as rsync or a restored backup does
    assert DigestCache(tmp_path / "digests.json").digest(corpus) == digest_file(corpus)


def test_a_digest_taken_right_after_a_change_is_not_trusted(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("aaaa")
    changed = corpus.stat().st_mtime
    for seconds, kept in [(0.5, False), (1.9, False), (2.5, True), (-100, False)]:
        path = tmp_path / f"digests{seconds}.json"
        cache = DigestCache(path, clock=lambda seconds=seconds: changed + seconds)
        cache.digest(corpus)
        cache.save()
        assert path.exists() == kept


@pytest.mark.parametrize("spoiled", ["", "[]", "{", '{"x": 1}', '{"x": [1, 2, 3, 4, 5, 6]}', '{"x": ["1"]}'])
def test_a_spoiled_cache_counts_as_empty(tmp_path, spoiled):
    corpus, path = tmp_path / "corpus.txt", tmp_path / "digests.json"
    corpus.write_text("text")
    path.write_text(spoiled)
    cache = DigestCache(path, clock=later)
    assert cache.digest(corpus) == digest_file(corpus)
    cache.save()
    assert list(json.loads(path.read_text())) == [str(corpus)]


def test_a_cache_makes_no_folder_to_be_kept_in(tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("text")
    cache = DigestCache(tmp_path / "store" / "digests.json", clock=later)
    cache.digest(corpus)
    cache.save()
    assert list(tmp_path.iterdir()) == [corpus]
    (tmp_path / "store").mkdir()
    cache.save()  # what was learned meanwhile is not lost
    assert str(corpus) in json.loads((tmp_path / "store" / "digests.json").read_text())


def test_two_writers_keep_each_others_entries(tmp_path):
    files = [tmp_path / "a.txt", tmp_path / "b.txt"]
    caches = [DigestCache(tmp_path / "digests.json", clock=later) for _ in files]
    for file, cache in zip(files, caches, strict=True):
        file.write_text(file.name)
        cache.digest(file)
    for cache in caches:
        cache.save()
    assert set(json.loads((tmp_path / "digests.json").read_text())) == {str(file) for file in files}
    assert [path.name for path in tmp_path.glob("*.draft")] == []
