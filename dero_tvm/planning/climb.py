"""Hill climbing over the order in which buffers are placed.

After each placement something holds the highest buffer up: a tower of buffers that stand on one
another from the top down to address 0.  Swapping the turn of a buffer of the tower with that of
another, most often of the tower too, is what can lower it:

    address
      ^  +-------+             +------+
      |  |   c   |             |  b   |
      |  +--+----+---+         +--+---+---+
      |  |  |   b    |   ->    |  |   c   |
      |  |a |--------+         |a +-------+
      |  +--+                  +--+
      +----------------> time
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from .budget import Budget
from .packing import Packing, place_in_turn

ROUNDS_PER_SECOND = 100
SEED = 1
PATIENCE = 60  # rounds without progress after which a worse order may be accepted


def climb(
    packing: Packing,
    order: Sequence[int],
    target: int,
    budget: Budget,
    rounds: int,
) -> tuple[list[int], int]:
    """Improve a placement by swapping turns: the best addresses found and their height.

    Stops at height `target`, after `rounds` placements or when the budget's clock runs out.
    """
    chance = random.Random(SEED)
    current = list(order)
    offsets = place_in_turn(packing, current)
    height = packing.height(offsets)
    best, best_height, best_order = offsets, height, list(current)
    stale = 0
    for _ in range(rounds):
        if best_height <= target or len(current) < 2 or budget.expired():
            break
        place = {item: turn for turn, item in enumerate(current)}
        tower = _tower(packing, offsets, height, chance)
        first = place[chance.choice(tower)]
        if chance.random() < 0.6 and len(tower) > 1:
            second = place[chance.choice(tower)]
        else:
            second = chance.randrange(len(current))
        proposal = list(current)
        if chance.random() < 0.5:
            proposal[first], proposal[second] = proposal[second], proposal[first]
        else:
            proposal.insert(min(first, second), proposal.pop(max(first, second)))
        offsets_after = place_in_turn(packing, proposal)
        height_after = packing.height(offsets_after)
        stale += 1
        if height_after <= height or (stale > PATIENCE and height_after < best_height * 1.02):
            current, offsets, height = proposal, offsets_after, height_after
            if height > best_height and stale > 4 * PATIENCE:
                current, stale = list(best_order), 0
                offsets, height = best, best_height
        if height < best_height:
            best, best_height, best_order, stale = offsets, height, list(current), 0
    return best, best_height


def _tower(
    packing: Packing, offsets: Sequence[int], height: int, chance: random.Random
) -> list[int]:
    """A highest buffer, one that it stands on, and so on down to address 0."""
    tops = [i for i, o in enumerate(offsets) if o + packing.sizes[i] == height]
    item = chance.choice(tops)
    tower = [item]
    while offsets[item] > 0:
        below = [
            j
            for j, _, gap_below in packing.neighbours[item]
            if offsets[j] < offsets[item] <= offsets[j] + gap_below + packing.alignments[item] - 1
        ]
        if not below:
            break
        item = chance.choice(below)
        tower.append(item)
    return tower
