"""Each shard is counted for its share of the sample only, and the sample is that of all rows in one."""

import numpy as np
from datasets import Dataset

from hf_unlearnable import RegTextTransform
from hf_unlearnable.protection import shards
from tests.protection.test_shards import written


def test_a_shard_that_holds_most_words_is_counted_again_until_the_sample_is_whole(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    drawn = np.random.default_rng(0).zipf(1.3, (800, 8)) % 500
    texts = [" ".join("ab" + chr(97 + word % 26) + chr(97 + word // 26) for word in words) for words in drawn.tolist()]
    rows = Dataset.from_dict({"text": texts, "label": [i % 2 for i in range(800)]})
    files = written(rows, (10, 10, 10, 10, 10, 10, 10, 730))
    counted, count = [], shards._count_shard
    monkeypatch.setattr(shards, "_count_shard", lambda *task: (counted.append(task[2].name), count(*task)))
    done = shards.protect_shards(files, RegTextTransform(seed=7, sample_words=600), "out", key="k")
    assert counted == [*files, "h.parquet"]
    assert done.transform.key.same_secret(RegTextTransform(seed=7, sample_words=600).fit(rows).key)
