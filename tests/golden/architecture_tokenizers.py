"""Small tokenizers for architectures.py, built as three families of the hub build theirs, with reference ids."""

import json

import inputs
import jinja2.sandbox
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
    "'\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
LLAMA3_CHAT = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + "
    "message['content'] | trim + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
GEMMA_CHAT = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' + "
    "message['content'] | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)

CONVERSATION = [
    {"role": "user", "content": "Why is the sky blue?"},
    {"role": "assistant", "content": "Because of the air."},
    {"role": "user", "content": "  And at night? "},
]


def byte_level(split, specials, size):
    """Byte-level BPE after a split by a pattern; `specials` come first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(split), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[AddedToken(text, special=True) for text in specials],
        initial_alphabet=sorted(alphabet),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def corpus():
    """Texts to learn merges from."""
    prompts = [prompt["text"] for prompt in inputs.GREEDY_PROMPTS if not prompt["parse_special"]]
    return [inputs.PERPLEXITY_TEXT, *prompts]


def llama3(size):
    """As Llama 3's: BOS before every text, by the post-processor."""
    bos = "<|begin_of_text|>"
    specials = [bos, "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tokenizer = byte_level(LLAMA3_SPLIT, specials, size)
    tokenizer.post_processor = processors.Sequence(
        [
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(
                single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=[(bos, tokenizer.token_to_id(bos))]
            ),
        ]
    )
    settings = {"bos_token": bos, "eos_token": "<|end_of_text|>", "chat_template": LLAMA3_CHAT}
    return tokenizer, settings, {"eos_token_id": [1, 4]}


def qwen2(size):
    """As Qwen2's: composed characters, no BOS."""
    tokenizer = byte_level(QWEN2_SPLIT, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], size)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    settings = {
        "add_bos_token": False,
        "bos_token": None,
        "eos_token": {"__type": "AddedToken", "content": "<|im_end|>", "special": True},
        "chat_template": CHATML,
    }
    return tokenizer, settings, {"eos_token_id": [2, 0]}


def gemma(size):
    """As Gemma's: a space is `▁`, bytes for what is in no token, runs of newlines cut out before all else."""
    specials = ["<pad>", "<eos>", "<bos>", "<unk>"]
    turns = ["<start_of_turn>", "<end_of_turn>"]
    words = Tokenizer(models.BPE(unk_token="<unk>"))
    words.normalizer = normalizers.Replace(" ", "▁")
    words.pre_tokenizer = pre_tokenizers.Split(Regex(r"(?<=\S)(?=▁)"), "isolated")
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    newlines = ["\n\n", "\n\n\n"]
    fixed = [*specials, *turns, *newlines, *bytes_]
    words.train_from_iterator(
        corpus(), trainers.BpeTrainer(vocab_size=size - len(fixed), show_progress=False, special_tokens=[])
    )
    learned = sorted(words.get_vocab().items(), key=lambda pair: pair[1])
    merges = [tuple(pair) for pair in json.loads(words.to_str())["model"]["merges"]]
    vocabulary = {text: index for index, text in enumerate([*fixed, *(text for text, _ in learned)])}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos>:1 $B:1", special_tokens=[("<bos>", vocabulary["<bos>"])]
    )
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in [*specials, *turns]])
    tokenizer.add_tokens([AddedToken(text, normalized=False) for text in newlines])
    settings = {"add_bos_token": True, "bos_token": "<bos>", "eos_token": "<eos>"}
    # Newer repositories keep the template in a file of its own.
    return tokenizer, settings, {"eos_token_id": [1, 5], "chat_template.jinja": GEMMA_CHAT}


KINDS = {"llama3": llama3, "qwen2": qwen2, "gemma": gemma}


def reference(tokenizer, template, settings):
    """Ids of the texts of inputs.py, special tokens recognised, and of a conversation.

    `ids_with_special`: as the tokenizer's own post-processor has it.
    """
    def text_of(token):
        return token["content"] if isinstance(token, dict) else token or ""

    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    chat = environment.from_string(template).render(
        messages=CONVERSATION,
        add_generation_prompt=True,
        bos_token=text_of(settings["bos_token"]),
        eos_token=text_of(settings["eos_token"]),
    )
    texts = [
        {
            "text": text,
            "ids": tokenizer.encode(text, add_special_tokens=False).ids,
            "ids_with_special": tokenizer.encode(text).ids,
        }
        for text in inputs.TOKENIZER_TEXTS
    ]
    return {
        "texts": texts,
        "chat": {
            "messages": CONVERSATION,
            "text": chat,
            "ids": tokenizer.encode(chat, add_special_tokens=False).ids,
        },
    }
