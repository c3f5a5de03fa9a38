"""What a job of the right shape can still get wrong, a kind of mistake a file."""
