"""How a sequence of instructions says which of its branches are taken."""

TAKEN = "@ taken"  # a comment behind the branch
