"""A run that is killed at random moments, again and again: in the end every file is right."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable

import pytest

from hazards import fault
from voyage import Voyage

pytestmark = pytest.mark.slow

SetSail = Callable[..., Voyage]

#: How many times the run is killed; the more, the longer it takes (about a second each).
KILLS = int(os.environ.get("ARGOSY_TEST_KILLS", "25"))


@pytest.mark.torture(47)
@pytest.mark.timeout(60 + 15 * KILLS)
@pytest.mark.parametrize("digests", [True, False])
def test_killed_at_random_moments(set_sail: SetSail, digests: bool) -> None:
    seed = int(os.environ.get("ARGOSY_TEST_SEED", "0")) or random.randrange(1, 2**32)
    print(f"seed: ARGOSY_TEST_SEED={seed}")  # shown where the test fails
    dice = random.Random(seed)
    voyage = set_sail(
        items=max(8, KILLS // 3),
        resources_per_item=2,
        size=lambda number: (4_000_000, 30_000, 1_500_000)[number % 3],
        digests=digests,
        lease_mode="revoke",
        max_workers=4,
        rate=3_000_000,
        faults=[fault("cut", every=7, fraction=0.5)],
    )
    lives = kills = 0
    while kills < KILLS:
        process = voyage.start("--quiet")
        # a run needs some tenths of a second to begin; half the kills are to strike the work itself
        time.sleep(dice.choice((dice.uniform(0, 0.6), dice.uniform(0.6, 2.5))))
        process.kill()
        process.communicate(timeout=60)
        assert voyage.damaged() == [], "a file that is not whole stands under a final name"
        lives += process.returncode == 0
        kills += process.returncode != 0
        if process.returncode == 0:  # it was done before the kill came
            assert voyage.wrong() == []
            again = voyage.library.rename(voyage.root / f"done-{lives}")
            assert again.exists()
    last = voyage.run("--quiet")
    assert (last.returncode, last.stderr, voyage.wrong()) == (0, "", [])
    assert [p for p in (voyage.library / ".argosy" / "staging").rglob("*") if p.is_file()] == []
    assert voyage.server.stats().replaced_tokens_sent == 0
