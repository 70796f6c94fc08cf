"""Sentences to speak: quotations, templates, word lists and dictionary examples -> WORK/sentences.txt.

Needs Debian's `fortunes`, `wamerican-small` and `wordnet-base`. Short sentences of plain letters, no words in capitals, no
digits. The first 13,800 are mixed, so that any number from the top is a fair sample to hear; the dictionary's examples follow.
"""

import random
import re
from pathlib import Path

from common import WORK

HELD_OUT = Path(__file__).parents[2] / "tests/speech_check/sentences.txt"  # never trained on
SKIP = ("ascii-art", "off", "sex", "drugs", "ethnic", "politics", "religion", "men-women", "translate", "perl", "magic")
SUBJECTS = (
    "I|you|we|they|my sister|my brother|the teacher|our neighbor|the doctor|a friend|the captain|the children|"
    "the old man|the young woman|the engineer|the whole team|everyone|nobody|the driver|the artist"
).split("|")
VERBS = (
    "bought|found|painted|carried|watched|borrowed|fixed|opened|closed|cleaned|measured|described|remembered|forgot|"
    "finished|started|changed|moved|wanted|needed|discovered|recorded|heard|built"
).split("|")
OBJECTS = (
    "the red bicycle|a small wooden boat|the kitchen window|an orange umbrella|three fresh apples|the broken radio|"
    "a letter from Paris|the yellow house|a cup of coffee|the first chapter|two silver coins|the garden gate|"
    "a bowl of hot soup|the morning train|a pair of blue shoes|the village map|some strange music|the longest bridge|"
    "a quiet song|the new machine|the winter coat|a jar of honey|the final answer|every single page"
).split("|")
TIMES = (
    "yesterday|this morning|last night|on Monday|on Friday evening|before breakfast|after lunch|at noon|"
    "in the summer|two weeks ago|during the storm|near the river|at the station|by the sea|in the park|just in time|"
    "without any help|for the first time|on the way home|at half past nine"
).split("|")
QUESTIONS = (
    "Can you hear me clearly|Where did you put the keys|What time is it now|How are you doing today|"
    "Would you like some tea|Do you know the way to the station|Could you say that again please|"
    "Why is the sky so blue|Who was at the door|When does the next bus leave|Is it going to rain tomorrow|"
    "Are you sure about that|What do you think about this plan|How much does this cost|Have you seen my glasses"
).split("|")
ANSWERS = (
    "That sounds wonderful|I am not so sure|Thank you very much|It was nice to meet you|Good morning everyone|"
    "See you tomorrow|Please speak slowly|I completely agree with you|Let me think about it|That is a great idea|"
    "I will call you later|Hello from the speech model|This is only a test|We should try again|Have a lovely day|"
    "Welcome back my friend|The weather is beautiful today|Nothing could be better|I really enjoyed the show|"
    "Please take a seat"
).split("|")
NUMBERS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred"
).split()
THINGS = "apples houses people minutes miles books stars birds questions dollars pictures words steps trees letters".split()


def quotations() -> list[str]:
    """Sentences of fortunes' quotations."""
    found = set()
    for path in sorted(Path("/usr/share/games/fortunes").iterdir()):
        if path.suffix in (".dat", ".u8") or any(word in path.name for word in SKIP):
            continue
        for quote in path.read_text(encoding="latin-1").split("\n%\n"):
            quote = " ".join(re.sub(r"\n\s*--.*", "", quote, flags=re.S).split())
            for s in re.split(r"(?<=[.!?])\s+", quote):
                s = s.strip('"').strip()
                plain = re.fullmatch(r"[A-Z][A-Za-z ,'?!.;:-]+[.!?]", s) and not re.search(r"[A-Z]{3,}|  |\.\.", s)
                if plain and 4 <= len(s.split()) <= 13 and 18 <= len(s) <= 72:
                    found.add(s.replace(";", ",").replace(":", ","))
    return sorted(found)


def examples() -> list[str]:
    """WordNet's example sentences."""
    found = set()
    for part in ("noun", "verb", "adj", "adv"):
        for line in Path(f"/usr/share/wordnet/data.{part}").read_text(encoding="latin-1").splitlines():
            meaning = "" if line.startswith("  ") else line.split("|", 1)[1]  # indented: the licence, at the top
            for s in re.findall(r'"([^"]+)"', meaning):
                s = s.strip().rstrip(";,")
                plain = re.fullmatch(r"[A-Za-z][A-Za-z ,'?!.-]+", s) and not re.search(r"[A-Z]{2,}|\.\.|  ", s)
                if plain and 3 <= len(s.split()) <= 14 and 12 <= len(s) <= 72:
                    found.add(s[0].upper() + s[1:] + ("" if s[-1] in ".?!" else "."))
    return sorted(found)


def template() -> str:
    """A sentence made up, a question, an answer or a count."""
    r, pick = random.random(), random.choice
    if r < 0.62:
        return f"{pick(SUBJECTS)} {pick(VERBS)} {pick(OBJECTS)} {pick(TIMES)}."
    if r < 0.72:
        return f"{pick(TIMES)}, {pick(SUBJECTS)} {pick(VERBS)} {pick(OBJECTS)}."
    if r < 0.80:
        return pick(QUESTIONS) + "?"
    if r < 0.88:
        return pick(ANSWERS) + pick(".!.")
    if r < 0.94:
        return f"There are {pick(NUMBERS)} {pick(THINGS)} and {pick(NUMBERS)} {pick(THINGS)}."
    return f"{pick(ANSWERS)}. {pick(QUESTIONS)}?"


def triples() -> list[str]:
    """Three words that have nothing to do with each other."""
    words = Path("/usr/share/dict/american-english-small").read_text().split()
    words = [w for w in words if re.fullmatch(r"[a-z]{3,10}", w)]
    random.shuffle(words)
    return [f"{words[i].capitalize()}, {words[i + 1]}, and {words[i + 2]}." for i in range(0, 6_000, 3)]


def shuffled(lines) -> list[str]:
    """Sorted first, so that the order depends on the seed only."""
    lines = sorted(lines)
    random.shuffle(lines)
    return lines


def main():
    random.seed(7)
    quotes, made = shuffled(quotations()), set()
    while len(made) < 2_600:
        s = template()
        made.add(s[0].upper() + s[1:])
    made, words, dictionary = shuffled(made), triples(), shuffled(examples())
    lines, i = [], 0
    while 3 * i < len(quotes) or 2 * i < len(made):
        lines += quotes[3 * i : 3 * i + 3] + made[2 * i : 2 * i + 2] + words[i : i + 1]
        i += 1
    unseen = {line.lower() for line in HELD_OUT.read_text().splitlines()}
    lines = [s for key, s in {s.lower(): s for s in lines + dictionary}.items() if key not in unseen]
    WORK.mkdir(parents=True, exist_ok=True)
    (WORK / "sentences.txt").write_text("\n".join(lines) + "\n")
    counts = f"{len(quotes)} quotations, {len(made)} made up, {len(words)} word triples, {len(dictionary)} examples"
    print(f"{len(lines)} sentences: {counts}")


if __name__ == "__main__":
    main()
