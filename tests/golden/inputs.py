"""The texts that the SmolLM2 reference is made from. Data only, so that a change of wording shows as one in a diff."""

# Each is tokenised twice by llama.cpp: with special tokens as plain text, and with them recognised.
TOKENIZER_TEXTS = [
    "",
    " ",
    "   ",
    "Hello, world!",
    " Hello, world!",
    "   three spaces before, two between  words",
    "trailing space ",
    "The capital of France is",
    "12345 and 3.14159, 1,000,000 or 2026-01-31",
    "x1y22z333",
    "first line\nsecond line\n\nfourth line",
    "\n\n\n",
    "\tindented\tby\ttabs",
    "windows\r\nline ends\r\n",
    "I'm sure they've said it's what we'd do; you'll see, can't you? DON'T",
    "na\u00efve caf\u00e9, Stra\u00dfe, se\u00f1or, \u0141\u00f3d\u017a",
    # The same letter composed and decomposed: a tokenizer that normalises would give one answer for both.
    "composed \u00e9, decomposed e\u0301",
    "\U0001f600 \U0001f44d\U0001f3fd \U0001f469\u200d\U0001f4bb \U0001f1eb\U0001f1f7",
    "\u4f60\u597d\uff0c\u4e16\u754c\u3002\u6771\u4eac\u306f\u65e5\u672c\u306e\u9996\u90fd\u3067\u3059\u3002",
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd \u041f\u0440\u0438\u0432\u0435\u0442 \u0928\u092e\u0938\u094d\u0924\u0947",
    "non\u00a0breaking, zero\u200bwidth, em\u2014dash, \u201cquotes\u201d\u2026",
    "fn main() {\n    let x: Vec<u8> = vec![0; 16];\n    println!(\"{:?}\", x);\n}",
    "def f(x):\n\tif x >= 10:\n\t\treturn x**2  # square\n    return None",
    "{\"key\": [1, 2.5e-3, null], \"url\": \"https://example.org/a?b=c&d=%20\"}",
    "$$\\int_0^1 x^2\\,dx = \\frac{1}{3}$$ ~!@#^&*()_+",
    "CamelCase snake_case SCREAMING_CASE kebab-case",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "<|im_start|>user\nHello<|im_end|>\n",
    "text <|im_end|> in between <|endoftext|>",
    "<|im_start|> <|im_start|>\n<|not_special|> <s> </s> <repo_name>",
]

# `parse_special`: whether special tokens in the text are recognised. Sixteen greedy tokens follow each.
GREEDY_PROMPTS = [
    {"name": "france", "text": "The capital of France is", "parse_special": False},
    {"name": "story", "text": "Once upon a time, in a village by the sea, there lived", "parse_special": False},
    {"name": "code", "text": "def fibonacci(n):\n    if n", "parse_special": False},
    {"name": "counting", "text": "one, two, three, four,", "parse_special": False},
    {"name": "leading_space", "text": " The sun rises in the", "parse_special": False},
    {
        "name": "long",
        "text": "The lighthouse keeper climbed the narrow stairs every evening, carrying a small lamp and a notebook "
        "bound in green cloth. He wrote down the weather, the ships that passed, and the names of the birds that",
        "parse_special": False,
    },
    {"name": "unicode", "text": "Le caf\u00e9 est tr\u00e8s", "parse_special": False},
    {
        "name": "chat",
        "text": "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\nName three primary "
        "colours.<|im_end|>\n<|im_start|>assistant\n",
        "parse_special": True,
    },
]

# Which of the prompts above the residual stream is recorded for.
RESIDUAL_PROMPTS = ["france", "long"]

STEERED_PROMPT = "story"

CONVERSATIONS = [
    {"name": "default_system", "messages": [{"role": "user", "content": "What is the capital of France?"}]},
    {
        "name": "explicit_system",
        "messages": [
            {"role": "system", "content": "You answer in one short sentence."},
            {"role": "user", "content": "Why is the sky blue?"},
        ],
    },
    {
        "name": "multi_turn",
        "messages": [
            {"role": "user", "content": "Hi! I have 2 apples \U0001f34e."},
            {"role": "assistant", "content": "Good for you.\nWhat will you do with them?"},
            {"role": "user", "content": "  I'll eat one.  How many are left?"},
        ],
    },
]

PERPLEXITY_TEXT = (
    "A river begins as a thin stream in the hills, fed by rain and melting snow. As it flows down to the plain, other "
    "streams join it, and it grows wide and slow. Where it meets the sea, it leaves behind the sand and mud that it "
    "has carried, and over many years these build new land."
)
