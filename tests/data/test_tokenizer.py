import subprocess
import sys

import pytest
from transformers import AutoTokenizer

from pipeline.data.tokens.tokenizer import check_vocabulary, load_tokenizer, train_wordpiece
from pipeline.errors import DataError, ModelError

TEXTS = ["The student learns from the teacher.", "Les élèves étudient the Teacher's états."] * 20


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer")
    train_wordpiece(iter(TEXTS), 150, model_max_length=64).save_pretrained(path)
    return path


def test_a_trained_tokenizer_opens_as_a_fast_bert_tokenizer(folder):
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.is_fast
    assert type(tokenizer).__name__.startswith("Bert")
    assert tokenizer.convert_tokens_to_ids(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]) == [0, 1, 2, 3, 4]
    assert tokenizer.pad_token_id == 0
    assert tokenizer.mask_token_id == 4
    assert tokenizer.model_max_length == 64
    assert len(tokenizer) <= 150
    pair = tokenizer("the TEACHER", "élèves")
    assert tokenizer.decode(pair["input_ids"]) == "[CLS] the teacher [SEP] eleves [SEP]"
    assert pair["token_type_ids"] == sorted(pair["token_type_ids"])
    assert pair["token_type_ids"][-1] == 1


def test_a_cased_vocabulary_keeps_case_and_accents(tmp_path):
    train_wordpiece(iter(TEXTS), 200, lowercase=False).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(str(tmp_path))
    assert tokenizer.decode(tokenizer("Les élèves")["input_ids"][1:-1]) == "Les élèves"


def test_the_same_texts_give_the_same_ids_in_another_process(folder):
    code = (
        "import sys, json; from pipeline.data.tokens.tokenizer import train_wordpiece;"
        "print(json.dumps(train_wordpiece(json.loads(sys.argv[1]), 150).get_vocab(), sort_keys=True))"
    )
    import json

    command = [sys.executable, "-c", code, json.dumps(TEXTS)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert json.loads(done.stdout) == load_tokenizer(str(folder)).get_vocab()


def test_no_words_no_vocabulary():
    with pytest.raises(DataError, match="no words"):
        train_wordpiece(iter(["  ", ""]), 100)


def test_a_folder_without_tokenizer_says_so(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelError, match="no tokenizer in this folder"):
        load_tokenizer(str(tmp_path))
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    with pytest.raises(ModelError, match="tokenizer") as caught:
        load_tokenizer(str(tmp_path))
    assert "\n" not in str(caught.value)
    with pytest.raises(ModelError, match="no such folder"):
        load_tokenizer(str(tmp_path / "missing"))


def test_ids_beyond_the_embedding_are_refused(folder):
    tokenizer = load_tokenizer(str(folder))
    check_vocabulary(tokenizer, len(tokenizer))
    with pytest.raises(ModelError, match=rf"up to {len(tokenizer) - 1}.*{len(tokenizer) - 1} rows"):
        check_vocabulary(tokenizer, len(tokenizer) - 1)
