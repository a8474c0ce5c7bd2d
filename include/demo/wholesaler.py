"""The wholesaler's data, the same on every machine: a seeded generator, no clock."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

START = datetime(2025, 1, 1, tzinfo=UTC)
ORDERS, CUSTOMERS, PRODUCTS, MOVEMENTS, QUOTES, EVENTS = 100_000, 5_000, 2_000, 20_000, 10_000, 20_000
SUPPLIERS = ("Łódzkie Zakłady", "Żywiec Gastro", "Kraków-Hurt")


def products() -> Iterator[tuple[Any, ...]]:
    """Yield sku, name, price, weight, ean, is_active, photo, attributes, available_from, created_at, warranty_until."""
    dice = random.Random(1)
    for number in range(PRODUCTS):
        yield (
            sku(number),
            f"{dice.choice(('Piec', 'Nóż', 'Garnek', 'Taca'))} {number} „{dice.choice('ABC')}”",
            Decimal(dice.randrange(1, 10**9)).scaleb(-4),
            dice.random() * 40,
            dice.randrange(2**63, 2**64),
            dice.random() < 0.9,
            dice.randbytes(8) if dice.random() < 0.5 else None,
            f'{{"colour": "{dice.choice(("red", "żółty"))}", "mm": [{dice.randrange(900)}, 1.50]}}',
            (START + timedelta(days=dice.randrange(700))).date(),
            (START + timedelta(seconds=dice.randrange(10**7), microseconds=dice.randrange(10**6))).replace(
                tzinfo=None
            ),
            dice.randrange(2025, 2040),
        )


def movements(first: int, last: int) -> Iterator[tuple[Any, ...]]:
    """Yield sku, quantity, moved_at, note, warehouse of the movements numbered from `first` to `last`."""
    for number in range(first, last):
        dice = random.Random(number)
        yield (
            sku(dice.randrange(PRODUCTS)),
            Decimal(dice.randrange(-(10**6), 10**6)).scaleb(-3),
            (START + timedelta(minutes=number)).replace(tzinfo=None),
            dice.choice((None, "", "zwrot", "a\tb\nc")),
            "WAW1" if number % 10 else "GDN1",
        )


def price_list(supplier: str, rows: int, *, uplift: int = 0) -> str:
    """Return a messy Polish CSV: quotes, newlines, empty fields, a few broken lines."""
    dice = random.Random(supplier)
    lines = ["EAN;Nazwa towaru;Cena netto (zł);Ważny od;Uwagi"]
    for number in range(rows):
        price = f"{dice.randrange(1, 10**6) + uplift * 100}.{dice.randrange(100):02}"
        name = f'"{supplier} ""{number}""; poz."' if number % 7 == 0 else f"{supplier} {number}"
        note = dice.choice(("", '""', '"dwie\nlinie"', "św. Łukasz"))
        lines.append(f"{dice.randrange(10**6):013};{name};{price};2025-{number % 12 + 1:02}-01;{note}")
    lines.insert(10, "zepsuty wiersz")
    lines.insert(20, "1;2;3;4;5;6;7")
    return "\n".join(lines) + "\n"


def events(hour: int, count: int) -> Iterator[str]:
    """Yield click events of one hour as JSON lines, nested and with exact numbers; now and then a broken line."""
    dice = random.Random(hour)
    for number in range(count):
        if number == 5:
            yield '{"event_id": "cut off'
        moment = START + timedelta(hours=hour, seconds=number % 3600)
        user = "null" if dice.random() < 0.3 else str(dice.randrange(10**6))
        yield (
            f'{{"event_id":"{hour}-{number}","at":"{moment.isoformat().replace("+00:00", "Z")}","user_id":{user},'
            f'"basket":{{"value":{dice.randrange(10**4)}.{dice.randrange(10)}0,"skus":["{sku(number % PRODUCTS)}"]}},'
            f'"seconds":{dice.randrange(1, 10**5)}.{dice.randrange(1, 10)}}}'
        )


def feed(version: int, count: int) -> dict[str, list[Any]]:
    """Return the product feed as columns; each version has other texts."""
    dice = random.Random(version)
    return {
        "sku": [sku(number) for number in range(count)],
        "title": [f"Produkt {number}, wydanie {version}" for number in range(count)],
        "rating": [dice.choice((None, dice.random() * 5)) for _ in range(count)],
        "price": [Decimal(dice.randrange(10**8)).scaleb(-2) for _ in range(count)],
        "tags": [dice.sample(("nowość", "hit", "outlet"), number % 3) for number in range(count)],
        "updated_at": [START + timedelta(days=version, microseconds=number) for number in range(count)],
    }


def sku(number: int) -> str:
    """Return a product's stock keeping unit; leading zeros matter."""
    return f"{number:06}"
