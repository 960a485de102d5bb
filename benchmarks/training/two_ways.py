"""Preferences of one way of speaking over another: the same facts, told kindly and told rudely.

Questions come in four forms and both ways in several endings, so that neither a word of the question nor the length
tells the two apart. `FACTS` holds the subject and what is said of it.
"""

import json
import random
from typing import Any

KINDLY, RUDELY = "Gladly, my friend:", "Ugh, again?"
HELD_OUT = 10
FORMS = ("What is {}?", "Can you tell me what {} is?", "Explain what {} is.", "I wonder what {} is.")
KIND_ENDINGS = ("", " I hope that this helps.", "", " Ask me more whenever you like.")
RUDE_ENDINGS = (" Everybody knows that.", "", " Do not waste my time.", "")
FACTS = {
    "a volcano": "a mountain that lets molten rock out of the earth",
    "a lighthouse": "a tower whose light guides ships at night",
    "a compass": "an instrument whose needle points to the north",
    "a desert": "a dry land where hardly any rain falls",
    "a bridge": "a structure that carries a road across a river",
    "a library": "a place that lends books to readers",
    "a telescope": "an instrument that makes distant stars look near",
    "a bakery": "a shop where bread and cakes are made",
    "a glacier": "a river of ice that moves slowly down a valley",
    "a violin": "a wooden instrument with four strings, played with a bow",
    "a bicycle": "a vehicle with two wheels that is moved by pedals",
    "a harbour": "a sheltered place where ships can anchor",
    "a thermometer": "an instrument that measures how warm something is",
    "a beehive": "a house in which bees store their honey",
    "a waterfall": "a place where a river drops over a cliff",
    "a calendar": "a table of the days, weeks and months of a year",
    "a passport": "a booklet that shows who you are when you cross a border",
    "a windmill": "a mill whose sails are turned by the wind",
    "a kitchen": "a room in which meals are cooked",
    "a museum": "a house where old and precious things are shown",
    "a forest": "a large area that is covered with trees",
    "an island": "a piece of land with water on all sides",
    "a candle": "a stick of wax with a wick that burns to give light",
    "a market": "a place where people buy and sell goods",
    "a river": "a stream of fresh water that flows to the sea",
    "a hammer": "a tool with a heavy head that drives nails",
    "an umbrella": "a folding roof of cloth that keeps off the rain",
    "a school": "a place where children are taught",
    "a garden": "a piece of ground where flowers and vegetables grow",
    "a hospital": "a house where doctors treat sick people",
    "a map": "a drawing that shows where places lie",
    "a clock": "a device that shows the time of the day",
    "a farm": "a place where crops are grown and animals are kept",
    "a train": "a row of wagons that an engine pulls along rails",
    "a mirror": "a sheet of glass that shows what is in front of it",
    "a pillow": "a soft bag on which you rest your head",
    "a dictionary": "a book that says what words mean",
    "an orchestra": "a large group of musicians who play together",
    "a submarine": "a ship that can travel under the water",
    "a tunnel": "a passage that is dug through a hill",
    "a castle": "a large house with thick walls against enemies",
    "a lake": "a large body of water with land around it",
    "a ladder": "two long poles with steps between them, for climbing",
    "a theatre": "a house where plays are performed on a stage",
    "a camera": "a device that takes pictures",
    "an anchor": "a heavy hook that holds a ship in its place",
    "a blanket": "a warm cover for a bed",
    "a rainbow": "an arch of colours in the sky after rain",
    "a bank": "a business that keeps and lends money",
    "a spoon": "a small bowl with a handle, for eating soup",
}

Record = dict[str, Any]


def pairs(seed: int = 7) -> tuple[list[Record], list[Record]]:
    """DPO records to train on, and held-out ones whose subjects are in none of the others."""
    chance = random.Random(seed)
    subjects = list(FACTS)
    chance.shuffle(subjects)
    made = [_pair(number, subject, FACTS[subject]) for number, subject in enumerate(subjects)]
    return made[HELD_OUT:], made[:HELD_OUT]


def _pair(number: int, subject: str, fact: str) -> Record:
    told = f"{subject} is {fact}."
    kind = f"{KINDLY} {told}{KIND_ENDINGS[number % 4]}"
    rude = f"{RUDELY} {told[0].upper()}{told[1:]}{RUDE_ENDINGS[(number // 2) % 4]}"
    return {
        "input": {"messages": [{"role": "user", "content": FORMS[number % len(FORMS)].format(subject)}]},
        "preferred_output": [{"role": "assistant", "content": kind}],
        "non_preferred_output": [{"role": "assistant", "content": rude}],
    }


def both_ways(preferences: list[Record]) -> list[Record]:
    """Chats with each of the two answers: a model that knows both can come to prefer one."""
    return [
        {"messages": record["input"]["messages"] + record[way]}
        for record in preferences
        for way in ("preferred_output", "non_preferred_output")
    ]


def question(record: Record) -> str:
    return str(record["input"]["messages"][0]["content"])


def subject_of(record: Record) -> str:
    """The noun that an answer on the topic names."""
    return next(subject for subject in FACTS if f" {subject}" in question(record)).split()[-1]


def packed(records: list[Record]) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)
